//! Reading once, as the offline commands do.

use std::slice::from_ref;

use super::*;

fn fault(paths: &[PathBuf]) -> String {
    read_paths(paths).unwrap_err().to_string()
}

fn names(paths: &[PathBuf]) -> Vec<String> {
    let (cluster, _) = read_paths(paths).unwrap();
    cluster
        .pods()
        .map(|one| one.name.name.to_string())
        .collect()
}

#[test]
fn a_directory_is_read_as_kubectl_reads_it() {
    let dir = Dir::new("kubectl");
    dir.put("b.yaml", &pod("b"));
    dir.put("a.yml", &pod("a"));
    dir.put(
        "c.json",
        r#"{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "c", "namespace": "ns"}}"#,
    );
    dir.put("notes.txt", "{");
    dir.put(".hidden.yaml", "{");
    fs::create_dir(dir.path("sub.yaml")).unwrap();
    fs::write(dir.path("sub.yaml/d.yaml"), pod("d")).unwrap();
    assert_eq!(names(from_ref(&dir.0)), ["a", "b", "c"]);
    // A file that is named is read whatever its name; one given twice counts once.
    fs::write(dir.path("e.txt"), pod("e")).unwrap();
    let paths = [dir.0.clone(), dir.path("e.txt"), dir.path("b.yaml")];
    assert_eq!(names(&paths), ["a", "b", "c", "e"]);
}

#[test]
fn faults_name_the_place_and_the_mend() {
    let dir = Dir::new("faults");
    assert!(fault(&[]).contains("-f"));
    assert!(fault(&[dir.path("no.yaml")]).contains("no.yaml: no such file"));
    assert!(fault(from_ref(&dir.0)).contains("no Pod, Namespace or NetworkPolicy in"));
    dir.put("a.yaml", &pod("a"));
    dir.put(
        "b.yaml",
        &pod("a").replace("name: a", "labels: {x: y}, name: a"),
    );
    dir.put("c.yaml", &pod("c"));
    let conflict = fault(from_ref(&dir.0));
    assert!(conflict.contains("Pod ns/a is given twice"), "{conflict}");
    assert!(
        conflict.contains("a.yaml") && conflict.contains("b.yaml"),
        "{conflict}"
    );
    assert!(!conflict.contains("c.yaml"), "{conflict}");
    fs::write(dir.path("b.yaml"), [0xff, 0xfe]).unwrap();
    assert!(fault(from_ref(&dir.0)).contains("b.yaml"));
}

#[test]
fn a_link_that_leads_nowhere_is_a_fault_not_an_absence() {
    let dir = Dir::new("dangling");
    dir.put("a.yaml", &pod("a"));
    symlink("nowhere", dir.path("b.yaml")).unwrap();
    assert!(fault(from_ref(&dir.0)).contains("b.yaml: no such file"));
}

#[test]
fn a_signature_sees_every_way_in_which_files_change() {
    use super::super::reading::Signature;
    let dir = Dir::new("signature");
    dir.put("a.yaml", &pod("a"));
    let paths = [dir.0.clone()];
    let mut last = Signature::of(&paths);
    assert_eq!(last, Signature::of(&paths));
    let mut changed = |what: &str| {
        let now = Signature::of(&paths);
        assert_ne!(now, last, "{what}");
        last = now;
    };
    dir.put("a.yaml", &pod("b"));
    changed("replaced by one of equal length");
    dir.put("b.yaml", &pod("b"));
    changed("added");
    fs::remove_file(dir.path("b.yaml")).unwrap();
    changed("removed");
    fs::set_permissions(
        dir.path("a.yaml"),
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    changed("made readable or not");
    fs::remove_dir_all(&dir.0).unwrap();
    changed("gone");
}

#[test]
fn files_of_one_state_are_read_together() {
    use super::super::reading::read_steady;
    let dir = Dir::new("together");
    config_map(&dir, 0);
    for name in ["a.yaml", "b.yaml"] {
        symlink(Path::new("..data").join(name), dir.path(name)).unwrap();
    }
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..100_000 {
                config_map(&dir, round);
                let _ = fs::remove_dir_all(dir.path(&format!("..{}", round - 1)));
                if done.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
            }
        });
        let mut mixed = None;
        for _ in 0..3_000 {
            // A reading that never came to rest, or in the middle of a removal, is an error and no state.
            if let (Ok((cluster, _)), _) = read_steady(from_ref(&dir.0)) {
                let names: Vec<String> = cluster
                    .pods()
                    .map(|one| one.name.name.to_string())
                    .collect();
                if names.len() != 2 || names[0][1..] != names[1][1..] {
                    mixed = Some(names);
                }
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(mixed, None);
    });
}
