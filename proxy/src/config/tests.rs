#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use super::*;
use crate::access::Access;

mod source;

fn good() -> Settings {
    Settings {
        pod: "shop/web-0".to_owned(),
        source: files("state"),
        listen_port: LISTEN_PORT,
        admin_port: ADMIN_PORT,
        canary_port: CANARY_PORT,
        ..Settings::default()
    }
}

fn files(path: &str) -> Given {
    Given {
        files: vec![PathBuf::from(path)],
        ..Given::default()
    }
}

/// The faults of `given`, printed.
fn faults(given: &Settings) -> Vec<String> {
    let faults = Config::new(given).err().unwrap_or_default();
    faults.iter().map(ConfigFault::to_string).collect()
}

/// The default with one thing changed has one fault, whose text has each of `words`.
#[track_caller]
fn refused(change: impl FnOnce(&mut Settings), words: &[&str]) {
    let mut given = good();
    change(&mut given);
    let found = faults(&given);
    assert_eq!(found.len(), 1, "{found:?}");
    for word in words {
        assert!(found[0].contains(word), "{found:?} lacks {word:?}");
    }
}

#[test]
fn what_is_not_given_has_its_default() {
    let config = Config::new(&good()).unwrap();
    assert_eq!(config.subject, ObjectName::new("shop", "web-0"));
    assert_eq!(config.half_close_timeout, HALF_CLOSE_TIMEOUT);
    assert_eq!(config.drain_timeout, DRAIN_TIMEOUT);
    assert_eq!(config.max_connections, None);
    assert!(config.worker_threads >= 1);
    assert!(!config.keep_established);
}

#[test]
fn the_default_ports_are_below_the_local_port_range() {
    for port in [LISTEN_PORT, ADMIN_PORT, CANARY_PORT] {
        assert!(port < 32768, "{port}");
    }
}

#[test]
fn the_subject_may_come_from_the_downward_api() {
    let given = Settings {
        pod: String::new(),
        pod_namespace: "shop".to_owned(),
        pod_name: "web.0".to_owned(),
        ..good()
    };
    assert_eq!(
        Config::new(&given).unwrap().subject,
        ObjectName::new("shop", "web.0")
    );
}

#[test]
fn the_flag_wins_over_the_downward_api() {
    let given = Settings {
        pod_namespace: "other".to_owned(),
        pod_name: "pod".to_owned(),
        ..good()
    };
    assert_eq!(
        Config::new(&given).unwrap().subject,
        ObjectName::new("shop", "web-0")
    );
}

#[test]
fn a_subject_is_named_or_refused() {
    refused(
        |s| s.pod = String::new(),
        &["--pod", "POD_NAMESPACE, POD_NAME"],
    );
    refused(
        |s| s.pod = "web".to_owned(),
        &["--pod", "\"web\"", "NAMESPACE/NAME"],
    );
    refused(|s| s.pod = "shop/".to_owned(), &["--pod", "\"shop/\""]);
    refused(
        |s| s.pod = "Shop/web".to_owned(),
        &["--pod", "\"Shop\"", "namespace"],
    );
    refused(
        |s| s.pod = "shop/web_0".to_owned(),
        &["--pod", "\"web_0\"", "name"],
    );
    refused(|s| s.pod = "shop/web/0".to_owned(), &["--pod", "\"web/0\""]);
    refused(|s| s.pod = "shop/-web".to_owned(), &["--pod", "\"-web\""]);
    refused(
        |s| s.pod = format!("{}/web", "n".repeat(64)),
        &["--pod", "63"],
    );
    let only_one = |s: &mut Settings| {
        s.pod = String::new();
        s.pod_name = "web".to_owned();
    };
    refused(only_one, &["--pod", "both variables"]);
}

#[test]
fn ports_are_distinct_and_not_zero() {
    refused(
        |s| s.admin_port = 0,
        &["--admin-port", "PODWALL_ADMIN_PORT", "\"0\""],
    );
    refused(
        |s| s.canary_port = LISTEN_PORT,
        &["--canary-port", "--listen-port has this port"],
    );
}

#[test]
fn node_addresses_are_canonical_and_each_once() {
    let given = Settings {
        node_addresses: vec![
            "::ffff:10.0.0.1".parse().unwrap(),
            "10.0.0.1".parse().unwrap(),
        ],
        ..good()
    };
    let want: Vec<IpAddr> = vec!["10.0.0.1".parse().unwrap()];
    assert_eq!(Config::new(&given).unwrap().node_addresses, want);
    refused(
        |s| s.node_addresses.push("127.0.0.1".parse().unwrap()),
        &["--node-address", "HOST_IPS", "127.0.0.1"],
    );
    refused(
        |s| s.node_addresses.push("::".parse().unwrap()),
        &["--node-address"],
    );
}

#[test]
fn times_and_counts_have_bounds() {
    refused(
        |s| s.drain_timeout = "soon".to_owned(),
        &["--drain-timeout", "\"soon\"", "25s"],
    );
    refused(|s| s.drain_timeout = "0s".to_owned(), &["--drain-timeout"]);
    refused(
        |s| s.half_close_timeout = "2days".to_owned(),
        &["--half-close-timeout", "1day"],
    );
    refused(
        |s| s.max_connections = "0".to_owned(),
        &["--max-connections", "from 1 to"],
    );
    refused(
        |s| s.max_connections = "many".to_owned(),
        &["--max-connections"],
    );
    refused(
        |s| s.worker_threads = "65".to_owned(),
        &["--worker-threads", "64"],
    );
    let given = Settings {
        drain_timeout: "1m 5s".to_owned(),
        max_connections: "7".to_owned(),
        worker_threads: "1".to_owned(),
        ..good()
    };
    let config = Config::new(&given).unwrap();
    assert_eq!(config.drain_timeout, Duration::from_secs(65));
    assert_eq!(
        (config.max_connections, config.worker_threads),
        (Some(7), 1)
    );
}

#[test]
fn all_faults_are_reported_together() {
    let given = Settings {
        half_close_timeout: "x".to_owned(),
        worker_threads: "x".to_owned(),
        ..Settings::default()
    };
    let found = faults(&given);
    for flag in [
        "--pod",
        "-f",
        "--listen-port",
        "--admin-port",
        "--canary-port",
        "--half-close-timeout",
        "--worker-threads",
    ] {
        assert!(
            found.iter().any(|fault| fault.starts_with(flag)),
            "{found:?} lacks {flag}"
        );
    }
}

#[test]
fn the_effective_settings_print_as_flags() {
    let printed = Config::new(&good()).unwrap().to_string();
    assert!(
        printed.starts_with("--pod shop/web-0 -f state "),
        "{printed}"
    );
    assert!(
        printed.contains("--half-close-timeout 5m --drain-timeout 25s"),
        "{printed}"
    );
}
