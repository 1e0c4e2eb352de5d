//! `--udp-port` and its listeners: what cannot be, and what the help says of ports that nobody names.

use super::podwall;

#[test]
fn p2_udp_ports_that_cannot_be_name_flag_and_mend() {
    let many: Vec<String> = (1..=65).map(|port: u16| port.to_string()).collect();
    let sidecar = ["proxy", "--pod", "shop/web", "-f", "state"];
    let init = ["redirect", "--print"];
    for program in [&sidecar[..], &init[..]] {
        for (flags, words) in [
            (
                &["--udp-port", "53,x"][..],
                &["--udp-port", "PODWALL_UDP_PORTS", "\"x\"", "65535"][..],
            ),
            (&["--udp-port", "0"], &["--udp-port", "\"0\""]),
            (
                &["--udp-port", &many.join(",")],
                &["--udp-port", "65 ports", "at most 64"],
            ),
            (
                &["--udp-listen-port", "no"],
                &["--udp-listen-port", "PODWALL_UDP_LISTEN_PORT", "\"no\""],
            ),
            (
                &["--udp-port", "53,54", "--udp-listen-port", "65535"],
                &["--udp-listen-port", "past 65535", "lower"],
            ),
            (
                &["--udp-port", "53,15875"],
                &["--udp-listen-port", "15875", "all are free"],
            ),
            (
                &["--udp-port", "53", "--unguarded-port", "15874/UDP"],
                &["--udp-listen-port", "15874", "all are free"],
            ),
            (
                &["--udp-port", "53,54", "--unguarded-port", "53/UDP"],
                &[
                    "--udp-port",
                    "UDP port 53",
                    "--unguarded-port",
                    "not in both",
                ],
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
    let sctp = ["--udp-port", "53", "--unguarded-port", "53/SCTP"];
    let ran = podwall(&[&init[..], &sctp[..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
}

/// S60: rules cannot know, so the help must tell.
#[test]
fn s60_help_tells_what_undeclared_udp_ports_get() {
    let help = podwall(&["proxy", "--help"]).out;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "UDP ports that are not named by --udp-port",
        "whether policies isolate the pod or not",
        "--unguarded-port takes a UDP or SCTP port out of podwall's hands",
        "PODWALL_UDP_PORTS",
        "PODWALL_UDP_LISTEN_PORT",
    ] {
        assert!(help.contains(words), "{words:?} is not in {help}");
    }
}
