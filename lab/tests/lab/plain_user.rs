//! The same lab without root: the test program, as an ordinary user, makes itself root of a user namespace.

use std::{
    env, fs,
    io::{BufRead, Read},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use podwall_lab::{Lab, LabError, Nginx, PodSpec, elevate, skipped};

use crate::{SOON, owner};

/// A copy of this program that every user may run, removed at the end.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "plain-user-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let path = env::temp_dir().join(name);
        fs::copy(env::current_exe().unwrap(), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn works_without_root() {
    let user = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    if is_in_user_namespace() {
        // Then this whole run is one without root, and every other test of it is the proof.
        return;
    }
    if skipped("works_without_root", cannot_become_plain_user(&user)) {
        return;
    }
    let copy = Copy::new();
    let (mut child, output) = owner::start("plain-user", &user, copy.0.to_str().unwrap());
    let mut entry = String::new();
    let mut told = String::new();
    for line in output.lines().map(Result::unwrap) {
        if let Some((_, words)) = line.split_once("SERVED; ENTRY ") {
            entry = format!("{words} ip -o address show dev eth0");
            let output = Command::new(user[0])
                .args(&user[1..])
                .args(["sh", "-c", &entry])
                .output()
                .unwrap();
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("10.244.0."),
                "{entry}: {output:?}"
            );
            drop(child.stdin.take());
        }
        told.push_str(&line);
        told.push('\n');
    }
    assert!(child.wait().unwrap().success(), "{told}");
    assert!(!entry.is_empty(), "{told}");
}

/// Where the machine forbids user namespaces the error names the settings. A user namespace that allows no further
/// one, and a process without capabilities in it, are such a machine.
#[test]
fn forbidden_user_namespaces_are_an_error_that_names_the_mend() {
    let copy = Copy::new();
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --no-new-privs \"$@\"";
    let before = [
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        forbid,
        "sh",
    ];
    let (mut child, mut output) = owner::start("forbidden", &before, copy.0.to_str().unwrap());
    let mut told = String::new();
    output.read_to_string(&mut told).unwrap();
    assert!(child.wait().unwrap().success(), "{told}");
    assert!(
        told.contains("REFUSED user namespaces are refused to this user"),
        "{told}"
    );
    assert!(
        told.contains("/proc/sys/user/max_user_namespaces is 0"),
        "{told}"
    );
}

/// Runs in the second program, without privilege.
pub fn be_refused() {
    assert!(matches!(Lab::start(), Err(LabError::NotPrivileged)));
    println!("REFUSED {}", elevate().unwrap_err());
}

/// Runs in the second program, after `elevate`.
pub fn use_a_lab() {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    assert!(
        map.trim_end().ends_with('1'),
        "not in a user namespace of one user: {map}"
    );
    let mut lab = Lab::start().unwrap();
    let server = lab.pod(PodSpec::new("ns", "server")).unwrap();
    let client = lab.pod(PodSpec::new("ns", "client")).unwrap();
    let nginx = Nginx::start(&server, &[80], "served without root").unwrap();
    for url in [
        format!("http://{}/", server.v4()),
        format!("http://[{}]/", server.v6()),
    ] {
        let answer = client.curl(&url, SOON);
        assert_eq!(
            (answer.http, answer.exit),
            (Some(200), 0),
            "{answer:?} {}",
            nginx.process().output_so_far()
        );
        assert!(answer.body.contains("served without root"));
    }
    let capabilities = client
        .command("grep")
        .args(["Cap", "/proc/self/status"])
        .unprivileged()
        .run(SOON)
        .unwrap();
    assert!(
        capabilities
            .stdout
            .lines()
            .all(|line| line.ends_with("0000000000000000")),
        "{}",
        capabilities.stdout
    );
    println!("SERVED; ENTRY {}", client.entry());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let dir = lab.dir().to_owned();
    drop(lab);
    assert!(!dir.exists());
}

fn cannot_become_plain_user(user: &[&str]) -> Option<String> {
    let unshare = ["unshare", "--user", "--map-root-user", "--net", "true"];
    let output = Command::new(user[0])
        .args(&user[1..])
        .args(unshare)
        .output()
        .unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether only some of the machine's users exist here.
fn is_in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}
