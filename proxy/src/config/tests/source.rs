//! Which flags lead to which source.

use super::*;

fn given(files: &[&str], kubeconfig: &str, context: &str, in_cluster: bool) -> Given {
    Given {
        files: files.iter().map(PathBuf::from).collect(),
        kubeconfig: PathBuf::from(kubeconfig),
        context: context.to_owned(),
        in_cluster,
    }
}

fn kubeconfig(path: &str, context: &str) -> Access {
    let some = |text: &str| {
        Some(text)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    Access::Kubeconfig {
        path: some(path).map(PathBuf::from),
        context: some(context),
    }
}

/// What `given` leads to, where it has no fault.
fn source(given: &Given) -> Option<Source> {
    let mut faults = Vec::new();
    let source = given.read(&mut faults);
    assert_eq!(faults, []);
    source
}

#[test]
fn files_alone_ask_no_cluster() {
    let want = Source::Files(vec![PathBuf::from("a"), PathBuf::from("b")]);
    assert_eq!(source(&given(&["a", "b"], "", "", false)), Some(want));
}

#[test]
fn any_of_the_three_flags_asks_a_cluster() {
    for (given, access) in [
        (given(&[], "", "", true), Access::InCluster),
        (given(&[], "config", "", false), kubeconfig("config", "")),
        (given(&[], "", "prod", false), kubeconfig("", "prod")),
        (
            given(&[], "config", "prod", false),
            kubeconfig("config", "prod"),
        ),
    ] {
        assert_eq!(source(&given), Some(Source::Cluster(access.clone())));
        let files = vec![PathBuf::from("new.yaml")];
        let with_files = Given {
            files: files.clone(),
            ..given
        };
        assert_eq!(source(&with_files), Some(Source::Both { files, access }));
    }
}

#[test]
fn a_kubeconfig_contradicts_in_cluster() {
    for (path, context, words) in [
        ("config", "", &["--kubeconfig", "PODWALL_KUBECONFIG"][..]),
        ("", "prod", &["--context", "PODWALL_CONTEXT"]),
    ] {
        refused(
            |s| s.source = given(&[], path, context, true),
            &[
                words,
                &["--in-cluster", "PODWALL_IN_CLUSTER", "one of the two"],
            ]
            .concat(),
        );
    }
}

#[test]
fn without_a_source_the_sidecar_takes_its_own_cluster_or_says_what_to_give() {
    let nothing = |has_account| Settings {
        source: Given::default(),
        has_account,
        ..good()
    };
    let config = Config::new(&nothing(true)).unwrap();
    assert_eq!(config.source, Source::Cluster(Access::InCluster));
    let printed = config.to_string();
    assert!(
        printed.starts_with("--pod shop/web-0 --in-cluster --half"),
        "{printed}"
    );
    refused(
        |s| *s = nothing(false),
        &[
            "-f (PODWALL_FILES)",
            "--in-cluster (PODWALL_IN_CLUSTER)",
            "--kubeconfig FILE (PODWALL_KUBECONFIG)",
            "service account",
        ],
    );
}

#[test]
fn a_service_account_changes_nothing_where_a_source_is_given() {
    let given = Settings {
        has_account: true,
        ..good()
    };
    let want = Source::Files(vec![PathBuf::from("state")]);
    assert_eq!(Config::new(&given).unwrap().source, want);
}

#[test]
fn stdin_cannot_be_watched() {
    refused(
        |s| s.source.files.push(PathBuf::from("-")),
        &["-f", "stdin", "\"-\""],
    );
    refused(
        |s| s.source = given(&["-"], "", "", true),
        &["-f", "stdin", "\"-\""],
    );
}

#[test]
fn the_source_prints_as_flags() {
    for (given, flags) in [
        (given(&["a", "b"], "", "", false), " -f a -f b"),
        (given(&["a"], "", "", true), " -f a --in-cluster"),
        (given(&[], "c", "", false), " --kubeconfig c"),
        (given(&[], "c", "x", false), " --kubeconfig c --context x"),
        (given(&[], "", "x", false), " --context x"),
    ] {
        assert_eq!(source(&given).unwrap().to_string(), flags);
    }
}
