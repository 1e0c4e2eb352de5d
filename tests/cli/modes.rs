//! `--mode` and the flags of mode queue: what cannot be, what would mislead, and what the help says.

use super::podwall;

#[test]
fn flags_of_mode_queue_that_cannot_be_name_flag_and_mend() {
    let sidecar = ["proxy", "--pod", "shop/web", "-f", "state"];
    let init = ["redirect", "--print"];
    for program in [&sidecar[..], &init[..]] {
        for (flags, words) in [
            (
                &["--mode", "tproxy"][..],
                &["--mode", "PODWALL_MODE", "\"tproxy\"", "redirect or queue"][..],
            ),
            (
                &["--mode", "queue", "--queues", "5"],
                &["--queues", "PODWALL_QUEUES", "\"5\"", "FIRST:COUNT"],
            ),
            (
                &["--mode", "queue", "--queues", "65535:2"],
                &["--queues", "\"65535:2\"", "none past 65535"],
            ),
            (
                &["--mode", "queue", "--queues", "1:65"],
                &["--queues", "1 to 64"],
            ),
            (
                &["--mode", "queue", "--udp-deny", "reset"],
                &["--udp-deny", "PODWALL_UDP_DENY", "drop or unreachable"],
            ),
            // These would do nothing, though whoever gives them thinks of the other mode.
            (
                &["--queues", "5:2"],
                &[
                    "--queues",
                    "\"5:2\"",
                    "nothing in mode redirect",
                    "--mode queue",
                ],
            ),
            (
                &["--udp-deny", "unreachable"],
                &["--udp-deny", "nothing in mode redirect", "PODWALL_MODE"],
            ),
        ] {
            let ran = podwall(&[program, flags].concat());
            assert_eq!(ran.code, 2, "{program:?} {flags:?}: {}", ran.err);
            let faults: Vec<&str> = ran.err.lines().filter(|l| l.starts_with("  -")).collect();
            assert_eq!(faults.len(), 1, "{program:?} {flags:?}: {}", ran.err);
            for word in words {
                assert!(faults[0].contains(word), "{faults:?} lacks {word}");
            }
        }
    }
}

/// A pod that moves to mode queue keeps its flags: there all of UDP is judged, the named ports too.
#[test]
fn flags_of_mode_redirect_do_no_harm_in_mode_queue() {
    let queue = ["redirect", "--print", "--mode", "queue"];
    let flags = [
        "--udp-port",
        "53",
        "--listen-port",
        "16001",
        "--canary-port",
        "16002",
    ];
    let ran = podwall(&[&queue[..], &flags[..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(ran.out, podwall(&queue).out);
    assert!(ran.out.contains("--queue-num 15871"), "{}", ran.out);
}

#[test]
fn help_tells_what_mode_queue_needs() {
    for (program, words) in [
        (
            "proxy",
            &["Mode queue needs NET_ADMIN", "PODWALL_QUEUES"][..],
        ),
        (
            "redirect",
            &["NFQUEUE", "PODWALL_UDP_DENY", "first in mangle INPUT"],
        ),
    ] {
        let help = podwall(&[program, "--help"]).out;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(help.contains(word), "{word:?} is not in {help}");
        }
    }
}
