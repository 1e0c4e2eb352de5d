//! The same lab without root: the test program, as an ordinary user, makes itself root of a user namespace.

use std::{env, fs, io::Read, os::unix::fs::PermissionsExt, path::PathBuf, process::Command};

use podwall_lab::{Lab, Nginx, PodSpec};

use crate::{SOON, owner};

/// A copy of this program that every user may run, removed at the end.
struct Copy(PathBuf);

impl Copy {
    fn new() -> Self {
        let path = env::temp_dir().join(format!("plain-user-{}", std::process::id()));
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
    if let Some(why) = cannot_become_plain_user(&user) {
        eprintln!("SKIPPED: works_without_root: {why}");
        assert!(env::var_os("CI").is_none(), "in CI this must run: {why}");
        return;
    }
    let copy = Copy::new();
    let (mut child, mut output) = owner::start("plain-user", &user, copy.0.to_str().unwrap());
    let mut told = String::new();
    output.read_to_string(&mut told).unwrap();
    assert!(child.wait().unwrap().success(), "{told}");
    assert!(told.contains("SERVED AS PLAIN USER"), "{told}");
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
    let inside = format!("{} ip -o address", client.entry());
    assert!(inside.contains("--user"), "{inside}");
    lab.remove("ns", "client").unwrap();
    println!("SERVED AS PLAIN USER");
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
