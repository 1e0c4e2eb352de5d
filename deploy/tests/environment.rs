//! What is said and done where a privilege, a program or an address family is missing.
//!
//! Each test runs itself again in a child process, whose environment is the poor one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use common::backends::backends;
use common::wishes::{queue, wanted};
use common::{Namespace, ip, save};
use podwall_deploy::{Backend, Family, UdpDeny, check, install, install_with, remove};

/// Set in the child: what it shall do.
const CHILD: &str = "PODWALL_TEST_CHILD";

/// In the child: does what is asked, and prints the outcome.
fn act() -> bool {
    let Ok(action) = std::env::var(CHILD) else {
        return false;
    };
    let outcome = match action.as_str() {
        "queue" => check(&queue("15871:1", UdpDeny::Drop)).map(|report| format!("{report:?}")),
        "count" => check(&queue("15871:1", UdpDeny::Drop))
            .and_then(|report| report.spoofed_packets())
            .map(|packets| format!("packets: {packets}")),
        "install" => install(&wanted()).map(|report| format!("{report:?}")),
        "check" => check(&wanted()).map(|report| format!("{report:?}")),
        "remove" => remove().map(|removed| format!("{removed:?}")),
        other => panic!("no such action: {other}"),
    };
    match outcome {
        Ok(report) => println!("OK {report}"),
        Err(error) => println!("ERROR {error}"),
    }
    true
}

/// Runs `test` again under a wrapping command; gives the line that the child printed.
fn child(test: &str, action: &str, wrapper: &[&str], path: Option<&Scripts>) -> String {
    let mut command = Command::new(wrapper.first().copied().unwrap_or("env"));
    command
        .args(wrapper.iter().skip(1))
        .arg(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, action);
    if let Some(scripts) = path {
        let old = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{old}", scripts.0.display()));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = |line: &&str| line.contains("OK ") || line.contains("ERROR ");
    text.lines()
        .find(said)
        .unwrap_or_else(|| panic!("the child said: {text}"))
        .to_owned()
}

/// A directory of programs that fail, to be put in front of `PATH`.
struct Scripts(PathBuf);

impl Scripts {
    fn failing(test: &str, names: &[&str]) -> Self {
        let name = format!("podwall-{test}-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        for name in names {
            let file = directory.join(name);
            fs::write(
                &file,
                "#!/bin/sh\necho \"$0: Protocol not supported\" >&2\nexit 1\n",
            )
            .unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self(directory)
    }
}

impl Drop for Scripts {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn without_privilege_the_error_names_the_capabilities() {
    const TEST: &str = "without_privilege_the_error_names_the_capabilities";
    if act() {
        return;
    }
    let Some(_pod) = Namespace::enter(TEST) else {
        return;
    };
    let without: &[&str] = &["setpriv", "--bounding-set=-net_admin,-net_raw"];
    for action in ["install", "check", "remove"] {
        let said = child(TEST, action, without, None);
        assert!(
            said.contains("ERROR") && said.contains("NET_ADMIN"),
            "{action}: {said}"
        );
        assert!(said.contains("nft ipv4:"), "{action}: {said}");
    }
    let said = child(TEST, "install", without, None);
    assert!(
        said.contains("legacy ipv4:") && said.contains("NET_RAW"),
        "{said}"
    );
}

#[test]
fn with_net_admin_alone_the_nft_back_end_is_enough() {
    const TEST: &str = "with_net_admin_alone_the_nft_back_end_is_enough";
    if act() {
        return;
    }
    let Some(_pod) = Namespace::enter(TEST) else {
        return;
    };
    let said = child(
        TEST,
        "install",
        &["setpriv", "--bounding-set=-all,+net_admin"],
        None,
    );
    assert!(
        said.contains("OK") && said.contains("backend: Nft"),
        "{said}"
    );
}

/// What a sidecar of mode queue has: NET_ADMIN alone, which reads back end nft and not legacy.
#[test]
fn with_net_admin_alone_the_rules_of_nft_are_read_and_those_of_legacy_named_as_unseen() {
    const TEST: &str =
        "with_net_admin_alone_the_rules_of_nft_are_read_and_those_of_legacy_named_as_unseen";
    if act() {
        return;
    }
    let sidecar = &["setpriv", "--bounding-set=-all,+net_admin"];
    for backend in backends(TEST) {
        let Some(_pod) = Namespace::enter(TEST) else {
            return;
        };
        let wanted = queue("15871:1", UdpDeny::Drop);
        install_with(&wanted, &[backend]).unwrap();
        let (checked, counted) = (
            child(TEST, "queue", sidecar, None),
            child(TEST, "count", sidecar, None),
        );
        match backend {
            Backend::Nft => {
                assert!(checked.contains("OK") && checked.contains("differences: []"));
                assert!(counted.contains("OK packets: 0"), "{counted}");
            }
            Backend::Legacy => {
                for word in ["ERROR none of podwall's rules", "legacy ipv4", "NET_RAW"] {
                    assert!(checked.contains(word), "{checked}");
                    assert!(counted.contains(word), "{counted}");
                }
            }
        }
        remove().unwrap();
    }
}

#[test]
fn without_the_programs_the_error_names_the_package() {
    const TEST: &str = "without_the_programs_the_error_names_the_package";
    if act() {
        return;
    }
    let Some(_pod) = Namespace::enter(TEST) else {
        return;
    };
    let hidden =
        "for d in /usr/sbin /sbin /usr/local/sbin; do mount -t tmpfs none $d; done; exec \"$@\"";
    let wrapper = ["unshare", "-m", "sh", "-c", hidden, "sh"];
    for action in ["install", "check", "remove"] {
        let said = child(TEST, action, &wrapper, None);
        assert!(
            said.contains("ERROR") && said.contains("package `iptables`"),
            "{action}: {said}"
        );
    }
}

#[test]
fn where_nft_does_not_work_legacy_is_taken_and_said() {
    const TEST: &str = "where_nft_does_not_work_legacy_is_taken_and_said";
    if act() {
        return;
    }
    let Some(_pod) = Namespace::enter(TEST) else {
        return;
    };
    if !backends(TEST).contains(&Backend::Legacy) {
        return;
    }
    let scripts = Scripts::failing(TEST, &["iptables-nft-restore"]);
    let said = child(TEST, "install", &[], Some(&scripts));
    assert!(
        said.contains("backend: Legacy") && said.contains("Protocol not supported"),
        "{said}"
    );
    assert!(!save(Backend::Nft, Family::Ipv4).contains("PODWALL"));
    assert!(save(Backend::Legacy, Family::Ipv4).contains("PODWALL_CANARY"));
}

#[test]
fn p20_failing_ipv6_fails_a_pod_that_has_it_and_warns_one_that_has_not() {
    const TEST: &str = "p20_failing_ipv6_fails_a_pod_that_has_it_and_warns_one_that_has_not";
    if act() {
        return;
    }
    let Some(_pod) = Namespace::enter(TEST) else {
        return;
    };
    let scripts = Scripts::failing(TEST, &["ip6tables-nft-restore", "ip6tables-legacy-restore"]);
    let said = child(TEST, "install", &[], Some(&scripts));
    assert!(
        said.contains("OK") && said.contains("families: [Ipv4]"),
        "{said}"
    );
    assert!(said.contains("Protocol not supported"), "{said}");
    assert!(save(Backend::Nft, Family::Ipv4).contains("PODWALL_CANARY"));
    remove().unwrap();

    ip("link add eth0 type veth peer name other");
    ip("addr add fe80::5/64 dev eth0 nodad");
    let said = child(TEST, "install", &[], Some(&scripts));
    assert!(
        said.contains("ERROR") && said.contains("nft ipv6:"),
        "{said}"
    );
    for family in Family::ALL {
        assert!(!save(Backend::Nft, family).contains("PODWALL"), "{family}");
    }
}
