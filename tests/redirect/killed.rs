//! The init step, killed after each of its commits.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

use podwall_deploy::Family;

use super::doorman::Doorman;
use super::wire::{APP, APP_UDP, Wire, ask, send};
use super::{PATIENCE, REFUSED, command, expect};

/// Programs that kill whoever called them once they have been called so often, put before the
/// real ones.
fn killers(wire: &Wire) -> String {
    let directory = wire.lab.dir().join("killers");
    fs::create_dir_all(&directory).unwrap();
    for family in Family::ALL {
        let name = format!("{}-nft-restore", family.program());
        let real = ["/usr/sbin", "/sbin", "/usr/local/sbin"]
            .map(|place| format!("{place}/{name}"))
            .into_iter()
            .find(|path| fs::exists(path).unwrap())
            .expect("iptables is installed");
        let count = directory.join("count");
        let script = format!(
            "#!/bin/sh\n{real} \"$@\"\ncode=$?\necho call >>{0}\n\
             [ $(wc -l <{0}) -lt $KILL_AFTER ] || kill -9 $PPID\nexit $code\n",
            count.display()
        );
        let file = directory.join(&name);
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory.display().to_string()
}

/// Killed after each of its commits, trials included, over nothing, over another installation, and between
/// modes.
#[test]
fn p19_killed_between_tables_the_pod_is_closed() {
    let Some(wire) = Wire::lay("p19_killed_between_tables_the_pod_is_closed") else {
        return;
    };
    let (pod, directory) = (wire.subject.place(), killers(&wire));
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap());
    // Answers at once, so that nobody has to be waited for.
    let _doorman = Doorman::serve(pod, 7..9, |_| false);
    let (redirect, queue) = ("--mode redirect", "--mode queue --queues 7:1");
    for (over, flags) in [
        (None, redirect),
        (Some("--listen-port 16006"), redirect),
        (None, queue),
        (Some("--mode queue --queues 8:1"), queue),
        (Some(redirect), queue),
        (Some(queue), redirect),
    ] {
        for calls in 1..=64 {
            expect(pod, "--remove", 0);
            if let Some(over) = over {
                expect(pod, over, 0);
            }
            let _ = fs::remove_file(format!("{directory}/count"));
            let podwall = command(pod, flags)
                .env("PATH", &path)
                .env("KILL_AFTER", calls.to_string());
            let output = podwall.run(PATIENCE).unwrap();
            if output.status.success() {
                assert!(calls > 4, "all commits were survived at {calls}");
                break;
            }
            let when = format!("{over:?}, then {flags}, killed after {calls} commits");
            assert_eq!(output.status.signal(), Some(9), "{when}: {}", output.stderr);
            for family in Family::ALL {
                let save = pod.command(format!("{}-nft-save", family.program()));
                let closed = save
                    .run(PATIENCE)
                    .unwrap()
                    .stdout
                    .contains("-A INPUT -j PODWALL_INPUT");
                assert!(closed || over.is_none(), "{when}: {family} lost");
                if closed {
                    strangers_stay_out(&wire, family, &when);
                }
            }
            expect(pod, flags, 0);
            expect(pod, &format!("{flags} --check"), 0);
        }
    }
}

/// A stranger gets in neither by UDP nor by TCP; both are judged in the order in which they come.
fn strangers_stay_out(wire: &Wire, family: Family, when: &str) {
    send(&wire.stranger, wire.at(family, APP_UDP), "stranger");
    let answer = ask(&wire.stranger, wire.at(family, APP));
    assert_eq!(answer, REFUSED, "{when}: {family}");
    send(&wire.subject, wire.at(family, APP_UDP), "own");
    assert_eq!(wire.receive(), "own", "{when}: {family}");
}
