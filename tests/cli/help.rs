//! What `--help` names.

use super::podwall;

#[test]
fn help_names_every_flag_and_variable() {
    for (command, words) in [
        (
            "proxy",
            &[
                "--pod",
                "POD_NAMESPACE",
                "POD_NAME",
                "HOST_IPS",
                "--listen-port",
                "PODWALL_LISTEN_PORT",
                "--keep-established",
                "UDP",
                "--kubeconfig",
                "PODWALL_KUBECONFIG",
                "--context",
                "PODWALL_CONTEXT",
                "--in-cluster",
                "PODWALL_IN_CLUSTER",
                "--mode",
                "--queues",
                "PODWALL_QUEUES",
                "--udp-deny",
                "NET_ADMIN",
            ][..],
        ),
        (
            "redirect",
            &[
                "--print",
                "--check",
                "--remove",
                "--no-gateway",
                "--node-address",
                "--node-port",
                "PODWALL_NODE_PORTS",
                "HOST_IPS",
                "NET_ADMIN",
            ][..],
        ),
        (
            "explain",
            &[
                "--from",
                "--to",
                "--port",
                "-o",
                "kubectl get pods,ns,netpol -A -o yaml",
                "--kubeconfig",
                "--context",
                "--in-cluster",
            ][..],
        ),
        (
            "demo",
            &[
                "--mode",
                "- redirect:",
                "- queue:",
                "--kubernetes",
                "--keep",
                "NET_ADMIN",
            ][..],
        ),
        (
            "matrix",
            &["--port", "csv", "--kubeconfig", "--context", "--in-cluster"][..],
        ),
    ] {
        let ran = podwall(&[command, "--help"]);
        assert_eq!(ran.code, 0);
        for word in words {
            assert!(
                ran.out.contains(word),
                "{command} --help does not name {word}"
            );
        }
    }
}

/// A flattened group of flags must not take those of the command itself under its heading.
#[test]
fn help_puts_the_flags_of_a_cluster_last_and_under_a_heading_of_their_own() {
    for command in ["explain", "matrix"] {
        let help = podwall(&[command, "--help"]).out;
        let (own, cluster) = help.split_once("\nA cluster as the source;").unwrap();
        for flag in ["--port <", "--filename <", "--output <"] {
            assert!(own.contains(flag) && !cluster.contains(flag), "{help}");
        }
        assert!(cluster.contains("--kubeconfig <"), "{help}");
    }
}
