//! With how little it runs, and where it refuses to: privilege, ports, the node's network (S66).

use std::fs;
use std::net::TcpStream;

use podwall_lab::{Pod, PodSpec, Sidecar, Signal, wait_until};

use crate::inside::{arrivals, run, status, wrapped};
use crate::manifests::{object, write};
use crate::support::{CART_ONLY, SOON, Scene, Seen, podwall};
use crate::talk::{Ending, both, fate};

/// Whether there is a user other than root here; in a user namespace of one user there is none.
fn has_other_users() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    map.lines().any(|line| {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map(|one| one.parse().unwrap())
            .collect();
        numbers[0] + numbers[2] > 65532
    })
}

#[test]
fn it_guards_the_pod_without_any_capability_and_not_as_root() {
    let scene = Scene::guarded(CART_ONLY);
    let pid = scene.sidecar().process().pid();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(status(pid, set), ["0000000000000000"], "{set}");
    }
    assert_eq!(status(pid, "NoNewPrivs"), ["1"]);
    if has_other_users() {
        assert_eq!(status(pid, "Uid"), ["65532"; 4]);
        assert_eq!(status(pid, "Gid"), ["65532"; 4]);
        assert!(status(pid, "Groups").is_empty());
    }
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    assert_eq!(scene.ask_v6(&scene.rogue, 80), Seen::Reset);
}

/// Starts a sidecar that must end by itself; gives its exit code and what it said.
fn refused(scene: &Scene, pod: &Pod, more: &[&str]) -> (Option<i32>, String) {
    let sidecar = Sidecar::launch(&scene.lab, pod, &podwall(), more).unwrap();
    let status = sidecar.process().wait(SOON).unwrap();
    (status.code(), sidecar.process().stderr_so_far())
}

#[test]
fn a_taken_port_is_named_with_exit_3_and_the_first_sidecar_goes_on() {
    let scene = Scene::guarded(CART_ONLY);
    for (flags, named) in [
        (&[][..], "--listen-port"),
        (&["--listen-port", "16001"], "--admin-port"),
    ] {
        let (code, said) = refused(&scene, &scene.web, flags);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(named), "{said}");
    }
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Reset);
}

#[test]
fn s66_beside_a_host_network_pod_neither_program_starts() {
    let mut scene = Scene::bare(CART_ONLY);
    let host = PodSpec::new("shop", "host").host_network();
    let host = scene.lab.pod(host).unwrap();
    let (code, said) = refused(&scene, &host, &[]);
    assert_eq!(code, Some(3), "{said}");
    // By the addresses, before the source is asked.
    assert!(said.contains("address of this network namespace"), "{said}");
    let init = Sidecar::redirect(&scene.lab, &host, &podwall(), &[]).unwrap();
    assert_eq!(init.status.code(), Some(2), "{}", init.stderr);
    assert!(init.stderr.contains("hostNetwork"), "{}", init.stderr);
}

/// Where the addresses tell nothing, the object does, also when it changes its mind later.
#[test]
fn s66_a_pod_object_with_host_network_ends_the_sidecar() {
    let mut scene = Scene::guarded(CART_ONLY);
    let mut pod = object(&scene.lab, "Pod", "web");
    pod["spec"]["hostNetwork"] = true.into();
    write(&scene.lab, "web.yaml", pod.to_string());
    scene.lab.forget("shop", "web").unwrap();
    let status = scene.sidecar().process().wait(SOON).unwrap();
    let said = scene.sidecar().process().stderr_so_far();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("hostNetwork: true"), "{said}");
    let (code, said) = refused(&scene, &scene.web, &[]);
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(
        scene.ask(&scene.cart, 80),
        Seen::Refused,
        "closed without it"
    );
}

/// More denials than the pipe and the queue of lines hold.
const DENIALS: usize = 6000;

/// What stdout's reader does is no business of the traffic: lines are dropped and counted.
#[test]
fn a_log_reader_that_has_stopped_delays_nobody() {
    let mut scene = Scene::bare(CART_ONLY);
    scene.serve();
    let pipe = scene.lab.dir().join("pipe");
    run(&scene.web, &format!("mkfifo -m 666 {}", pipe.display()));
    // The sidecar holds both ends of its stdout, and nobody reads.
    let script = format!(
        "[ $1 = proxy ] || exec $PODWALL \"$@\"; exec 3<>{}; exec $PODWALL \"$@\" >&3",
        pipe.display()
    );
    let program = wrapped(&scene.lab, &script);
    let sidecar = Sidecar::start(&scene.lab, &scene.web, &program, &[]);
    scene.sidecar = Some(sidecar.expect("a ready sidecar"));
    let to = both(&scene.web, 80);
    let knock = || (0..DENIALS).for_each(|at| drop(TcpStream::connect_timeout(&to[at % 2], SOON)));
    scene.rogue.enter(knock).unwrap();
    let dropped = || {
        let series = scene.sidecar().metric("podwall_log_lines_dropped_total");
        series.unwrap().unwrap()
    };
    assert!(wait_until(SOON, || dropped() > 0.0));
    let page = scene.cart.curl(&format!("http://{}/", to[0].ip()), SOON);
    assert_eq!(page.http, Some(200), "{page:?}");
    assert_eq!(fate(&scene.rogue, to[1]), Ending::Reset);
    let told = || arrivals(scene.sidecar(), "no_rule_admits");
    assert!(
        wait_until(SOON, || told() >= DENIALS as f64 + 1.0),
        "{}",
        told()
    );
    // Nor does it keep podwall from stopping.
    let process = scene.sidecar().process();
    process.signal(Signal::TERM).unwrap();
    assert_eq!(process.wait(SOON).unwrap().code(), Some(0));
}
