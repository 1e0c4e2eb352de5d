//! With what it runs, and where it refuses to: NET_ADMIN and nothing else, as root or by a file's capability.

use std::path::{Path, PathBuf};

use podwall_lab::{Cmd, Mode, Setting, Sidecar, Source, skipped, wait_until};
use rustix::fs::{XattrFlags, setxattr};

use super::stage::{Stage, guard, setting};
use crate::inside::status;
use crate::support::{CART_ONLY, SOON, Scene, Seen, podwall};
use crate::talk::{APP, both, connect};

/// CAP_NET_ADMIN (12) alone, as `/proc` prints it.
const NET_ADMIN: &str = "0000000000001000";
const NOTHING: &str = "0000000000000000";

/// Waits for an end that must come by itself; gives the exit code and what was said.
fn refused(command: Cmd) -> (Option<i32>, String) {
    let output = command.run(SOON).unwrap();
    (output.status.code(), output.stderr)
}

/// A second sidecar of `shop/web`, to be run by hand.
fn sidecar(scene: &Scene, program: &Path, words: &[&str]) -> Cmd {
    let command = scene
        .web
        .command(program)
        .args(["proxy", "--mode", "queue"]);
    let command = command.args(["--pod", "shop/web", "-f"]);
    command.arg(scene.lab.manifests()).args(words)
}

#[test]
fn a_taken_queue_and_a_missing_capability_are_told_apart_with_exit_3() {
    let mut scene = Scene::bare(CART_ONLY);
    scene.serve();
    guard(&mut scene, &[], &[]);
    let program = scene.sidecar().program().to_owned();
    let elsewhere = ["--admin-port", "16000"];
    let second = sidecar(&scene, &program, &elsewhere).only_net_admin();
    let (code, taken) = refused(second);
    assert_eq!(code, Some(3), "{taken}");
    let said = "queue 15871 is held by another process";
    assert!(
        taken.contains(said) && taken.contains("--queues"),
        "{taken}"
    );
    let powerless = sidecar(&scene, &program, &elsewhere).unprivileged();
    let (code, missing) = refused(powerless);
    assert_eq!(code, Some(3), "{missing}");
    let said = "needs the capability NET_ADMIN";
    assert!(
        missing.contains(said) && !missing.contains("held by"),
        "{missing}"
    );
    // The first goes on.
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Refused);
    assert_eq!(scene.sidecar().get("/readyz").unwrap().0, 200);
}

/// Guards the pod, by both families.
fn guards(stage: &Stage) {
    for to in both(&stage.scene.web, APP) {
        drop(connect(&stage.scene.cart, to).expect("let in"));
        stage.app.accept();
        assert!(connect(&stage.scene.rogue, to).is_err());
    }
}

#[test]
fn it_runs_as_root_with_net_admin_alone() {
    let stage = Stage::set(CART_ONLY);
    let pid = stage.scene.sidecar().process().pid();
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status(pid, set), [NET_ADMIN], "{set}");
    }
    guards(&stage);
}

/// Whether there is a user other than root here; in a user namespace of one user there is none.
fn has_other_users() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    map.lines().any(|line| {
        let words = line.split_whitespace();
        let numbers: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
        numbers[0] + numbers[2] > 65532
    })
}

/// Gives a file CAP_NET_ADMIN, permitted only, as `setcap cap_net_admin+p` does: `struct vfs_cap_data`, revision 2.
fn give_net_admin(file: &Path) {
    let words = [0x0200_0000_u32, 1 << 12, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let name = "security.capability";
    setxattr(file, name, &value, XattrFlags::empty()).expect("a capability of the file");
}

/// Started by somebody who is not root and may gain what a file has, up to this bounding set.
fn as_nobody(scene: &Scene, bounding: &str, program: PathBuf, words: &[&str]) -> Cmd {
    let setpriv = scene.web.command("setpriv");
    let setpriv = setpriv.args(["--reuid=65532", "--regid=65532", "--clear-groups"]);
    let setpriv = setpriv.args([bounding, "--inh-caps=-all", "--"]);
    let podwall = setpriv.arg(program).args(words);
    let node = scene.lab.node();
    let hosts = format!("{},{}", node.host_v4(), node.host_v6());
    podwall.env("HOST_IPS", hosts)
}

#[test]
fn by_a_files_capability_it_runs_as_nobody_and_the_same_file_serves_mode_redirect() {
    let nobody_else = (!has_other_users()).then_some("there is no user but root");
    if skipped("by_a_files_capability", nobody_else) {
        return;
    }
    let mut stage = Stage::bare(CART_ONLY, |_| {});
    super::stage::install(&stage.scene, Mode::Queue, &[]);
    let program = stage.scene.lab.dir().join("podwall");
    give_net_admin(&program);
    let scene = &stage.scene;
    let manifests = scene.lab.manifests().to_string_lossy().into_owned();
    let words = [
        "proxy", "--mode", "queue", "--pod", "shop/web", "-f", &manifests,
    ];
    let net_admin = "--bounding-set=-all,+net_admin";
    let process = as_nobody(scene, net_admin, program.clone(), &words)
        .spawn()
        .unwrap();
    let ready = || {
        let endpoints = podwall_lab::Endpoints::new(scene.lab.node(), scene.web.addresses()[0]);
        endpoints.get("/readyz").is_ok_and(|(code, _)| code == 200)
    };
    assert!(wait_until(SOON, ready), "{}", process.output_so_far());
    let pid = process.pid();
    assert_eq!(status(pid, "Uid"), ["65532"; 4]);
    for set in ["CapPrm", "CapEff"] {
        assert_eq!(status(pid, set), [NET_ADMIN], "{set}");
    }
    guards(&stage);
    drop(process);
    // Where the container forbids to gain anything it says so.
    let (code, said) = refused(sidecar(&stage.scene, &program, &[]).unprivileged());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("allowPrivilegeEscalation"), "{said}");
    let redirect = Setting {
        mode: Mode::Redirect,
        source: Source::Manifests,
        shared: &[],
        more: &[],
    };
    let remove = stage.scene.web.command(&program);
    let removed = remove.args(["redirect", "--mode", "queue", "--remove"]);
    let removed = removed.run(SOON).unwrap();
    assert!(removed.status.success(), "{}", removed.stderr);
    let scene = &mut stage.scene;
    let sidecar = Sidecar::start_as(&redirect, &scene.lab, &scene.web, &podwall());
    let sidecar = sidecar.expect("a ready sidecar of mode redirect");
    assert_eq!(sidecar.program(), program);
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status(sidecar.process().pid(), set), [NOTHING], "{set}");
    }
    drop(sidecar);
    // And with all dropped but free to gain, which is what a file's capability is about.
    let words = [
        "proxy", "--mode", "redirect", "--pod", "shop/web", "-f", &manifests,
    ];
    let process = as_nobody(scene, "--bounding-set=-all", program, &words);
    let process = process.spawn().unwrap();
    assert!(
        wait_until(SOON, ready_of(scene)),
        "{}",
        process.output_so_far()
    );
    assert_eq!(status(process.pid(), "CapPrm"), [NOTHING]);
}

fn ready_of(scene: &Scene) -> impl FnMut() -> bool + use<> {
    let endpoints = podwall_lab::Endpoints::new(scene.lab.node(), scene.web.addresses()[0]);
    move || endpoints.get("/readyz").is_ok_and(|(code, _)| code == 200)
}

/// The flags of the sidecar that the lab starts are those that it says it has.
#[test]
fn it_says_how_it_runs() {
    let mut scene = Scene::bare(CART_ONLY);
    let shared = ["--queues", "7:2", "--udp-deny", "unreachable"];
    let setting = setting(&shared, &["--max-connections", "1000"]);
    let sidecar = Sidecar::start_as(&setting, &scene.lab, &scene.web, &podwall());
    scene.sidecar = Some(sidecar.expect("a ready sidecar"));
    let said = scene.sidecar().process().stderr_so_far();
    for words in [
        "--mode queue",
        "--queues 7:2",
        "--udp-deny unreachable",
        "1000 flows",
    ] {
        assert!(said.contains(words), "no {words}: {said}");
    }
}

/// The programs of back end legacy read rules by raw sockets.
#[test]
fn with_rules_of_back_end_legacy_it_wants_net_raw_too_and_says_so() {
    let none = !Path::new("/usr/sbin/iptables-legacy").exists();
    if skipped(
        "with_rules_of_back_end_legacy",
        none.then_some("no iptables-legacy"),
    ) {
        return;
    }
    let mut stage = Stage::bare(CART_ONLY, |_| {});
    let queue = podwall_deploy::Queue {
        queues: podwall_deploy::Queues::new(15871, 1).unwrap(),
        udp_deny: podwall_deploy::UdpDeny::Drop,
    };
    let wanted = podwall_deploy::Wanted::new(queue, []).unwrap();
    let legacy = [podwall_deploy::Backend::Legacy];
    let install = || podwall_deploy::install_with(&wanted, &legacy);
    stage.scene.web.enter(install).unwrap().unwrap();
    super::stage::launch(&mut stage.scene, &[], &[]);
    let told = || {
        let (code, text) = super::stage::readiness(&stage.scene);
        code == 503 && text.contains("legacy") && text.contains("NET_RAW")
    };
    assert!(
        wait_until(SOON, told),
        "{:?}",
        super::stage::readiness(&stage.scene)
    );
    // It judges all the same.
    guards(&stage);
    let program = stage.scene.sidecar().program().to_owned();
    stage.scene.sidecar = None;
    let scene = &stage.scene;
    let manifests = scene.lab.manifests().to_string_lossy().into_owned();
    let setpriv = scene.web.command("setpriv");
    let caps = "--bounding-set=-all,+net_admin,+net_raw";
    let setpriv = setpriv.args([caps, "--inh-caps=-all", "--"]).arg(program);
    let words = [
        "proxy", "--mode", "queue", "--pod", "shop/web", "-f", &manifests,
    ];
    let node = scene.lab.node();
    let hosts = format!("{},{}", node.host_v4(), node.host_v6());
    let process = setpriv.args(words).env("HOST_IPS", hosts).spawn().unwrap();
    assert!(
        wait_until(SOON, ready_of(scene)),
        "{}",
        process.output_so_far()
    );
    guards(&stage);
}

/// NET_ADMIN of a user namespace is enough for everything but a buffer beyond the host's limit, which is said.
#[test]
fn in_a_user_namespace_it_runs_and_says_how_little_waits() {
    let scene = Scene::bare(CART_ONLY);
    let may = scene.web.command("unshare");
    let may = may
        .args(["--user", "--net", "true"])
        .run(SOON)
        .unwrap()
        .status
        .success();
    let not = (!may).then_some("this user may not make a user namespace");
    if skipped("in_a_user_namespace", not) {
        return;
    }
    let command = scene.web.command("unshare");
    let command = command.args(["--user", "--map-root-user", "--net", "--"]);
    let command = command.arg(podwall()).args(["proxy", "--mode", "queue"]);
    let command = command.args(["--pod", "shop/web", "--node-address", "10.0.0.1", "-f"]);
    let process = command.arg(scene.lab.manifests()).spawn().unwrap();
    let serves = || process.output_so_far().contains("serving;");
    assert!(wait_until(SOON, serves), "{}", process.output_so_far());
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    // The kernel grants twice what is asked for; four times the hold, at a kilobyte each.
    let is_small = 2 * limit < 4 * podwall_proxy::hold::HOLD_PLACES * 1024;
    let said = process.output_so_far();
    assert_eq!(said.contains("net.core.rmem_max"), is_small, "{said}");
}
