//! The start: a port that is taken, and ports that are declared and not carried.

use podwall_lab::{PodSpec, Sidecar, wait_until};

use super::stage::{App, setting, start};
use crate::support::{CART_ONLY, SOON, Scene, podwall};

#[test]
fn a_taken_listener_port_is_an_error_that_names_it_and_the_mend() {
    let scene = Scene::bare(CART_ONLY);
    // The second of the two.
    let _taken = App::listen(&scene.web, 15_875);
    let sidecar = Sidecar::launch_as(&setting(&[]), &scene.lab, &scene.web, &podwall()).unwrap();
    let status = sidecar.process().wait(SOON).unwrap();
    assert_eq!(status.code(), Some(3));
    let said = sidecar.process().stderr_so_far();
    for words in ["UDP port 15875", "--udp-port 5353", "--udp-listen-port"] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_declared_udp_port_that_is_not_carried_is_told() {
    let mut scene = Scene::bare(CART_ONLY);
    let spec = PodSpec::new("shop", "declaring").label("app", "web");
    let spec = spec.port("dns", 53, "UDP").port("tftp", 69, "UDP");
    // One without a name, and one that is left to everybody.
    let spec = spec
        .port("", 500, "UDP")
        .port("ntp", 123, "UDP")
        .port("web", 80, "TCP");
    scene.web = scene.lab.pod(spec).unwrap();
    let shared = ["--udp-port", "53", "--unguarded-port", "123/UDP"];
    let setting = podwall_lab::Setting {
        shared: &shared,
        ..setting(&[])
    };
    let sidecar = Sidecar::start_as(&setting, &scene.lab, &scene.web, &podwall()).unwrap();
    let told = || {
        let said = sidecar.process().stderr_so_far();
        said.contains("UDP ports 69, 500") && said.contains("--udp-port")
    };
    assert!(
        wait_until(SOON, told),
        "{}",
        sidecar.process().stderr_so_far()
    );
    scene.sidecar = Some(sidecar);
}

#[test]
fn where_all_declared_ports_are_carried_nothing_is_told() {
    let mut scene = Scene::bare(CART_ONLY);
    let spec = PodSpec::new("shop", "declaring").label("app", "web");
    scene.web = scene
        .lab
        .pod(spec.port("dns", 53, "UDP").port("dns-tcp", 53, "TCP"))
        .unwrap();
    start(&mut scene, &podwall(), &[]);
    let known = || {
        scene
            .sidecar()
            .process()
            .stderr_so_far()
            .contains("is known")
    };
    assert!(wait_until(SOON, known));
    let said = scene.sidecar().process().stderr_so_far();
    assert!(!said.contains("declares"), "{said}");
}
