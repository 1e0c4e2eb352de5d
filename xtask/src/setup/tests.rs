use super::*;

#[test]
fn an_empty_machine_misses_every_package_once() {
    let wanted = packages(&missing(TOOLS, &[]));
    assert_eq!(
        wanted,
        [
            "iproute2",
            "iptables",
            "nftables",
            "nginx-light",
            "curl",
            "util-linux"
        ]
    );
}

#[test]
fn a_node_wants_more_packages() {
    let wanted = packages(&missing(NODE_TOOLS, &[]));
    assert_eq!(
        wanted,
        ["containerd", "runc", "containernetworking-plugins"]
    );
}

#[test]
fn real_clients_want_more_packages_of_which_one_is_a_module() {
    let wanted = packages(&missing(CLIENT_TOOLS, &[]));
    assert_eq!(
        wanted,
        [
            "bind9-dnsutils",
            "dnsmasq-base",
            "mariadb-server-core",
            "mariadb-client-core",
            "python3-websockets"
        ]
    );
    assert!(places().contains(&PathBuf::from(MODULES)));
    assert!(!search_path().to_string_lossy().contains(MODULES));
}

#[test]
fn a_directory_or_a_plain_file_is_no_program() {
    assert!(!is_program(Path::new("/")));
    assert!(!is_program(Path::new("/etc/passwd")));
    assert!(is_program(&env::current_exe().unwrap_or_default()));
}

#[test]
fn sbin_is_searched_whatever_the_path_says() {
    let path = search_path();
    assert!(env::split_paths(&path).any(|dir| dir == Path::new("/usr/sbin")));
}
