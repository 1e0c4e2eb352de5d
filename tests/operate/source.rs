//! The source is followed as it is edited, in whichever way people edit; what cannot be taken changes nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use podwall_lab::{Sidecar, wait_until};

use crate::manifests::write;
use crate::support::{CART_ONLY, SOON, Scene, Seen, podwall};

/// The policy that lets in who bears this label.
fn policy(app: &str) -> String {
    CART_ONLY.replace("app: cart", &format!("app: {app}"))
}

fn problem(scene: &Scene) -> f64 {
    let series = scene.sidecar().metric("podwall_source_problem");
    series.unwrap().unwrap()
}

/// Waits until the sidecar has a problem with its source, or none any more.
fn wait_problem(scene: &Scene, wanted: f64) {
    let output = || scene.sidecar().process().output_so_far();
    assert!(
        wait_until(SOON, || problem(scene) == wanted),
        "{}",
        output()
    );
}

/// Waits until the change that was made before is taken in.
fn wait_change(scene: &Scene, before: f64) {
    let output = || scene.sidecar().process().output_so_far();
    assert!(
        wait_until(SOON, || scene.generation() > before),
        "{}",
        output()
    );
}

fn page_for(scene: &Scene, cart: bool) {
    let (welcome, shut) = if cart {
        (&scene.cart, &scene.rogue)
    } else {
        (&scene.rogue, &scene.cart)
    };
    assert_eq!(scene.ask(welcome, 80), Seen::Page);
    assert_eq!(scene.ask_v6(welcome, 80), Seen::Page);
    assert_eq!(scene.ask(shut, 80), Seen::Reset);
    assert_eq!(scene.ask_v6(shut, 80), Seen::Reset);
}

/// A guarded pod whose policies stand in a directory of their own, made before the sidecar starts.
fn with_policies_in(prepare: impl FnOnce(&Path)) -> (Scene, PathBuf) {
    let mut scene = Scene::bare("");
    scene.serve();
    let dir = scene.lab.dir().join("policies");
    fs::create_dir(&dir).unwrap();
    prepare(&dir);
    let flags = ["-f", dir.to_str().unwrap()];
    let sidecar = Sidecar::start(&scene.lab, &scene.web, &podwall(), &flags);
    scene.sidecar = Some(sidecar.expect("a ready sidecar"));
    (scene, dir)
}

#[test]
fn a_broken_file_keeps_the_last_good_state_and_is_told_and_mended() {
    let scene = Scene::guarded(CART_ONLY);
    let broken = [
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: { name: [\n",
        "{\"kind\": \"Pod\", ",
        "just a word",
    ];
    for text in broken {
        write(&scene.lab, "more.yaml", text);
        wait_problem(&scene, 1.0);
        let (code, told) = scene.sidecar().get("/readyz").unwrap();
        assert_eq!(code, 200, "the last good state is in force: {told}");
        assert!(
            told.contains("source problem") && told.contains("more.yaml"),
            "{told}"
        );
        page_for(&scene, true);
        // The mended file is taken, although nothing but it has changed.
        let before = scene.generation();
        write(
            &scene.lab,
            "more.yaml",
            policy("rogue").replace("cart-only", "rogue-too"),
        );
        wait_problem(&scene, 0.0);
        wait_change(&scene, before);
        assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
        assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page);
        let before = scene.generation();
        fs::remove_file(scene.lab.manifests().join("more.yaml")).unwrap();
        wait_change(&scene, before);
        page_for(&scene, true);
    }
    let said = scene.sidecar().process().stderr_so_far();
    assert!(said.contains("more.yaml"), "{said}");
}

/// What readiness says of the source's problem.
fn told(scene: &Scene) -> String {
    let (_, text) = scene.sidecar().get("/readyz").unwrap();
    let (_, problem) = text.split_once("source problem").expect("a problem");
    problem.to_owned()
}

/// What a change in the broken file's neighbour says is not taken either: a state is taken whole.
#[test]
fn while_one_file_is_broken_no_half_of_a_change_is_taken() {
    let mut scene = Scene::guarded(CART_ONLY);
    write(&scene.lab, "more.yaml", "kind: [");
    wait_problem(&scene, 1.0);
    let (before, first) = (scene.generation(), told(&scene));
    scene.lab.set_policies_yaml(&policy("rogue")).unwrap();
    // Another fault in the broken file, which is seen after the change of its neighbour.
    write(&scene.lab, "more.yaml", "just a word");
    assert!(wait_until(SOON, || told(&scene) != first), "{first}");
    page_for(&scene, true);
    assert_eq!(scene.generation(), before);
    fs::remove_file(scene.lab.manifests().join("more.yaml")).unwrap();
    wait_change(&scene, before);
    wait_problem(&scene, 0.0);
    page_for(&scene, false);
}

#[test]
fn a_policy_edited_in_place_takes_effect_without_restart() {
    let (scene, dir) =
        with_policies_in(|dir| fs::write(dir.join("p.yaml"), policy("cart")).unwrap());
    page_for(&scene, true);
    for (app, cart) in [("rogue", false), ("cart", true)] {
        let before = scene.generation();
        fs::write(dir.join("p.yaml"), policy(app)).unwrap();
        wait_change(&scene, before);
        page_for(&scene, cart);
    }
    // A second file, and its removal.
    let before = scene.generation();
    fs::write(dir.join("q.json"), "{\"apiVersion\":\"networking.k8s.io/v1\",\"kind\":\"NetworkPolicy\",\
        \"metadata\":{\"name\":\"open\",\"namespace\":\"shop\"},\"spec\":{\"podSelector\":{},\"ingress\":[{}]}}").unwrap();
    wait_change(&scene, before);
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page);
    let before = scene.generation();
    fs::remove_file(dir.join("q.json")).unwrap();
    wait_change(&scene, before);
    page_for(&scene, true);
}

#[test]
fn a_file_that_is_being_written_is_not_taken_by_halves() {
    let (scene, dir) =
        with_policies_in(|dir| fs::write(dir.join("p.yaml"), policy("cart")).unwrap());
    let before = scene.generation();
    // The first half alone is a policy that admits everybody to everything.
    let open = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
        metadata: { name: cart-only, namespace: shop }\nspec:\n  podSelector: {}\n  ingress:\n    - {}\n";
    let mut file = fs::File::create(dir.join("p.yaml")).unwrap();
    file.write_all(open.as_bytes()).unwrap();
    wait_problem(&scene, 1.0);
    assert_eq!(scene.generation(), before);
    page_for(&scene, true);
    file.write_all(b"  policyTypes: [Egress]\n").unwrap();
    drop(file);
    wait_problem(&scene, 0.0);
    wait_change(&scene, before);
    assert_eq!(
        scene.ask(&scene.rogue, 80),
        Seen::Page,
        "nobody isolates it now"
    );
}

/// How the kubelet updates a ConfigMap's volume: a new directory, and one rename of the link that leads to it.
#[test]
fn a_config_map_is_taken_when_its_data_link_is_swapped() {
    let version = |dir: &Path, name: &str, app: &str| {
        fs::create_dir(dir.join(name)).unwrap();
        fs::write(dir.join(name).join("p.yaml"), policy(app)).unwrap();
        let link = dir.join("..data_tmp");
        symlink(name, &link).unwrap();
        fs::rename(&link, dir.join("..data")).unwrap();
    };
    let (scene, dir) = with_policies_in(|dir| {
        version(dir, "..2026_11_24_10", "cart");
        symlink("..data/p.yaml", dir.join("p.yaml")).unwrap();
    });
    page_for(&scene, true);
    let mut old = "..2026_11_24_10".to_owned();
    for (app, cart) in [("rogue", false), ("cart", true), ("rogue", false)] {
        let before = scene.generation();
        let new = format!("{old}_{app}");
        version(&dir, &new, app);
        fs::remove_dir_all(dir.join(&old)).unwrap();
        wait_change(&scene, before);
        page_for(&scene, cart);
        old = new;
    }
    assert_eq!(problem(&scene), 0.0);
}

#[test]
fn without_a_readable_source_it_starts_closed_and_opens_when_there_is_one() {
    let mut scene = Scene::bare("");
    scene.serve();
    let dir = scene.lab.dir().join("policies");
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
    let flags = ["-f", dir.to_str().unwrap()];
    let sidecar = Sidecar::launch(&scene.lab, &scene.web, &podwall(), &flags).unwrap();
    assert!(wait_until(SOON, || sidecar.get("/livez").is_ok()));
    scene.sidecar = Some(sidecar);
    wait_problem(&scene, 1.0);
    closed(&scene, "policies");
    // It is there, but this user may not read it.
    fs::create_dir(&dir).unwrap();
    let file = dir.join("p.yaml");
    let draft = dir.join(".p");
    fs::write(&draft, policy("cart")).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o000)).unwrap();
    fs::rename(&draft, &file).unwrap();
    let told = || scene.sidecar().get("/readyz").unwrap().1.contains("p.yaml");
    assert!(
        wait_until(SOON, told),
        "{:?}",
        scene.sidecar().get("/readyz")
    );
    closed(&scene, "p.yaml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let ready = || scene.sidecar().get("/readyz").unwrap().0 == 200;
    assert!(
        wait_until(SOON, ready),
        "{:?}",
        scene.sidecar().get("/readyz")
    );
    wait_problem(&scene, 0.0);
    page_for(&scene, true);
}

/// Nobody enters, and readiness names what is missing.
fn closed(scene: &Scene, what: &str) {
    let (code, text) = scene.sidecar().get("/readyz").unwrap();
    assert_eq!(code, 503);
    assert!(text.contains("not_synced") && text.contains(what), "{text}");
    let (seen, line) = scene.ask_logged(&scene.cart, 80);
    assert_eq!(seen, Seen::Reset);
    assert_eq!(line["reason"], "not_synced", "{line}");
    assert_eq!(scene.ask_v6(&scene.rogue, 80), Seen::Reset);
}

#[test]
fn a_source_that_vanishes_keeps_the_last_good_state() {
    let (scene, dir) =
        with_policies_in(|dir| fs::write(dir.join("p.yaml"), policy("cart")).unwrap());
    let away = scene.lab.dir().join("away");
    fs::rename(&dir, &away).unwrap();
    wait_problem(&scene, 1.0);
    page_for(&scene, true);
    assert_eq!(scene.sidecar().get("/readyz").unwrap().0, 200);
    fs::rename(&away, &dir).unwrap();
    wait_problem(&scene, 0.0);
    page_for(&scene, true);
}

/// As after `kubectl get ... > FILE` that failed.
#[test]
fn an_emptied_source_keeps_the_last_good_state() {
    let mut scene = Scene::guarded(CART_ONLY);
    for nothing in [
        "",
        "---\n",
        "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[]}\n",
    ] {
        write(&scene.lab, "cluster.yaml", nothing);
        wait_problem(&scene, 1.0);
        page_for(&scene, true);
        scene.lab.set_policies_yaml(CART_ONLY).unwrap();
        wait_problem(&scene, 0.0);
    }
}
