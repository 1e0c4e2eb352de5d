//! Mode queue through the front door, and back to mode redirect.

use podwall_deploy::Family;

use super::doorman::Doorman;
use super::expect;
use super::wire::{APP, Wire, ask};

#[test]
fn p36_mode_queue_is_installed_said_checked_and_left_again() {
    let Some(wire) = Wire::lay("p36_mode_queue_is_installed_said") else {
        return;
    };
    let (pod, queue) = (wire.subject.place(), "--mode queue --queues 7:2");
    let said = expect(pod, queue, 0);
    assert!(
        said.contains("redirect --mode queue --queues 7:2"),
        "{said}"
    );
    assert!(said.contains("--udp-deny drop"), "{said}");
    for absent in ["--listen-port", "--canary-port", "--udp-port"] {
        assert!(!said.contains(absent), "{said}");
    }
    expect(pod, &format!("{queue} --check"), 0);
    for (flags, named) in [
        (
            "--mode queue",
            "installed --queues 7:2, wanted --queues 15871:1",
        ),
        (
            "--mode queue --queues 7:2 --udp-deny unreachable",
            "installed --udp-deny drop, wanted --udp-deny unreachable",
        ),
        ("", "installed --mode queue, wanted --mode redirect"),
    ] {
        let said = expect(pod, &format!("{flags} --check"), 1);
        assert!(said.contains(named), "{said}");
    }
    let doorman = Doorman::serve(pod, 7..9, |_| true);
    for family in Family::ALL {
        let answer = ask(&wire.stranger, wire.at(family, APP));
        assert_eq!(answer.as_deref(), Ok("app"), "{family}");
    }
    assert_eq!(doorman.asked(), 2);
    expect(pod, "", 0);
    expect(pod, "--check", 0);
    wire.is_closed(Family::Ipv4, "left for mode redirect");
    expect(pod, queue, 0);
    expect(pod, "--remove", 0);
    for family in Family::ALL {
        wire.is_open(family, "removed");
    }
}
