#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::document;

/// The state of these manifests, one per item, and what is found odd in it.
#[track_caller]
fn assemble(manifests: &[&str]) -> Result<(Cluster, Vec<String>), Conflict> {
    let read = document::read("test.yaml", &manifests.join("\n---\n")).expect("readable manifests");
    let (cluster, found) = Cluster::assemble(read.objects)?;
    Ok((cluster, found.iter().map(ToString::to_string).collect()))
}

#[track_caller]
fn owners(manifests: &[&str], address: &str) -> Vec<String> {
    let (cluster, _) = assemble(manifests).expect("no conflict");
    let address = address.parse().expect("an address");
    let all: Vec<String> = cluster
        .owners(address)
        .map(|pod| pod.name.to_string())
        .collect();
    all
}

#[track_caller]
fn owner(manifests: &[&str], address: &str) -> Option<String> {
    let (cluster, _) = assemble(manifests).expect("no conflict");
    let owner = cluster.owner(address.parse().expect("an address"));
    owner.map(|pod| pod.name.to_string())
}

const SHOP: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: a}}}";
const WEB: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, status: {podIP: 10.0.0.1}}";
const DENY: &str = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: deny, namespace: shop}}";

fn pod(name: &str, start: &str, rest: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop}}, spec: {{{rest}}}, \
         status: {{podIPs: [{{ip: 10.0.0.1}}, {{ip: 'fd00::1'}}], {start}}}}}"
    )
}

#[test]
fn objects_are_found_by_name() {
    let (cluster, found) = assemble(&[DENY, WEB, SHOP]).unwrap();
    assert_eq!(found, Vec::<String>::new());
    let web = cluster.pod(&ObjectName::new("shop", "web")).unwrap();
    assert_eq!(cluster.pod(&ObjectName::new("shop", "db")), None);
    assert_eq!(cluster.policies().len(), 1);
    assert_eq!(cluster.pods().count(), 1);
    assert_eq!(cluster.namespaces().next().unwrap().name, "shop".into());
    let identity = cluster.identity(web);
    assert_eq!(identity.labels.to_string(), "app=web");
    assert_eq!(identity.namespace_labels.unwrap().get("team"), Some("a"));
}

#[test]
fn pods_and_policies_come_sorted() {
    let deny = |name: &str| DENY.replace("deny", name);
    let (cluster, _) = assemble(&[&deny("c"), &deny("a"), &deny("b")]).unwrap();
    let names: Vec<&str> = cluster
        .policies()
        .iter()
        .map(|policy| &*policy.name.name)
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}

#[test]
fn the_same_object_twice_is_fine_and_a_differing_one_is_not() {
    assert_eq!(
        assemble(&[WEB, DENY, SHOP, WEB, DENY, SHOP]).unwrap().0,
        assemble(&[WEB, DENY, SHOP]).unwrap().0
    );
    for (one, other, name) in [
        (
            WEB.to_owned(),
            WEB.replace("app: web", "app: db"),
            "Pod shop/web",
        ),
        (
            WEB.to_owned(),
            WEB.replace("app: web", "app: 7"),
            "Pod shop/web",
        ),
        (
            SHOP.to_owned(),
            SHOP.replace("team: a", "team: b"),
            "Namespace shop",
        ),
        (
            SHOP.to_owned(),
            SHOP.replace("team: a", "team: 7"),
            "Namespace shop",
        ),
        (
            DENY.to_owned(),
            format!(
                "{}, spec: {{egress: [{{}}]}}}}",
                DENY.strip_suffix('}').unwrap()
            ),
            "NetworkPolicy shop/deny",
        ),
    ] {
        let conflict = assemble(&[&one, SHOP, &other]).map(|_| ()).unwrap_err();
        assert_eq!(
            conflict.to_string(),
            format!("{name} is given twice with different content; remove one of the two")
        );
    }
}

#[test]
fn s31_a_namespace_without_an_object_has_unknown_labels_and_is_named() {
    let (cluster, found) = assemble(&[WEB, DENY]).unwrap();
    assert_eq!(cluster.namespace_labels("shop"), None);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("warning: Namespace shop: ")
            && found[0].contains("labels are unknown"),
        "{found:?}"
    );
    let pod = cluster.pods().next().unwrap();
    assert_eq!(cluster.identity(pod).namespace_labels, None);
}

#[test]
fn p26_broken_pods_and_namespaces_are_remembered_as_unknown() {
    let (web, shop) = (
        WEB.replace("app: web", "app: 7"),
        SHOP.replace("team: a", "team: 7"),
    );
    let (cluster, found) = assemble(&[&web, &shop]).unwrap();
    assert_eq!(
        found,
        Vec::<String>::new(),
        "the namespace is given, though broken"
    );
    assert_eq!(cluster.namespace_labels("shop"), None);
    assert_eq!(cluster.pods().count(), 0);
    assert_eq!(
        cluster
            .broken_pods()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["shop/web"]
    );
    assert_eq!(
        cluster
            .broken_namespaces()
            .map(|name| &**name)
            .collect::<Vec<_>>(),
        ["shop"]
    );
    assert_eq!(cluster.owner("10.0.0.1".parse().unwrap()), None);
}

#[test]
fn s72_of_several_owners_the_newest_comes_first() {
    let old = pod("a", "startTime: '2026-01-01T00:00:00Z'", "");
    let new = pod("b", "startTime: '2026-01-02T00:00:00Z'", "");
    let unknown = pod("c", "phase: Running", "");
    let manifests = [unknown.as_str(), old.as_str(), new.as_str()];
    assert_eq!(
        owners(&manifests, "10.0.0.1"),
        ["shop/b", "shop/a", "shop/c"]
    );
    assert_eq!(
        owners(&manifests, "fd00::1"),
        ["shop/b", "shop/a", "shop/c"]
    );
    assert_eq!(
        owners(&manifests, "::ffff:10.0.0.1"),
        ["shop/b", "shop/a", "shop/c"]
    );
    assert_eq!(owners(&manifests, "10.0.0.2"), Vec::<String>::new());
    assert_eq!(owner(&[&old, &new], "10.0.0.1").as_deref(), Some("shop/b"));
    assert_eq!(owner(&[&unknown], "fd00::1").as_deref(), Some("shop/c"));
    assert_eq!(owner(&manifests, "10.0.0.2"), None);
}

#[test]
fn s77_an_address_belongs_to_nobody_where_no_owner_is_certainly_the_newest() {
    let old = pod("a", "startTime: '2026-01-01T00:00:00Z'", "");
    let new = pod("b", "startTime: '2026-01-02T00:00:00Z'", "");
    let same = pod("c", "startTime: '2026-01-02T00:00:00Z'", "");
    let (unknown, other) = (pod("d", "", ""), pod("e", "", ""));
    for claims in [
        &[&old, &new, &same][..],
        &[&new, &unknown],
        &[&unknown, &other],
    ] {
        let manifests: Vec<&str> = claims.iter().map(|one| one.as_str()).collect();
        assert_eq!(owner(&manifests, "10.0.0.1"), None, "{manifests:?}");
        assert_eq!(owners(&manifests, "10.0.0.1").len(), claims.len());
    }
}

#[test]
fn s67_and_s70_host_network_and_finished_pods_own_no_address() {
    for gone in [
        pod("a", "phase: Succeeded", ""),
        pod("a", "phase: Failed", ""),
        pod("a", "phase: Running", "hostNetwork: true"),
    ] {
        assert_eq!(owners(&[&gone, WEB], "10.0.0.1"), ["shop/web"], "{gone}");
    }
    for alive in ["Running", "Pending", "Unknown"] {
        assert_eq!(
            owners(&[&pod("a", &format!("phase: {alive}"), "")], "fd00::1"),
            ["shop/a"]
        );
    }
}

/// The objects of these manifests.
fn objects(manifests: &[&str]) -> Vec<Object> {
    document::read("test.yaml", &manifests.join("\n---\n"))
        .expect("readable manifests")
        .objects
}

#[test]
fn what_lies_on_top_replaces_the_object_of_its_kind_and_name() {
    let relabelled = WEB.replace("app: web", "app: db");
    let open = DENY.replace("shop}", "shop}, spec: {podSelector: {}, ingress: [{}]}");
    let over = objects(&[&relabelled, &open]);
    let all = overlay(objects(&[SHOP, WEB, DENY]), over);
    let (cluster, found) = Cluster::assemble(all).expect("nothing is there twice");
    assert!(found.is_empty(), "the namespace is below: {found:?}");
    let web = cluster.pod(&ObjectName::new("shop", "web")).unwrap();
    assert_eq!(web.labels.to_string(), "app=db");
    assert_eq!(cluster.pods().len(), 1);
    let policies = cluster.policies();
    assert_eq!(policies.len(), 1);
    assert_eq!(policies[0], assemble(&[&open]).unwrap().0.policies()[0]);
}

#[test]
fn what_lies_on_top_leaves_everything_else() {
    // The same name as another kind's, and in another namespace, is another object.
    let over = [
        DENY.replace("name: deny", "name: web"),
        WEB.replace("namespace: shop", "namespace: other"),
    ];
    let over = objects(&[&over[0], &over[1]]);
    let (cluster, _) = Cluster::assemble(overlay(objects(&[SHOP, WEB, DENY]), over)).unwrap();
    assert_eq!((cluster.pods().len(), cluster.policies().len()), (2, 2));
    assert_eq!(cluster.namespaces().len(), 1);
}

#[test]
fn a_pod_on_top_takes_its_addresses_with_it() {
    let bare = WEB.replace(", status: {podIP: 10.0.0.1}", "");
    let all = overlay(objects(&[SHOP, WEB]), objects(&[&bare]));
    let (cluster, _) = Cluster::assemble(all).unwrap();
    assert_eq!(cluster.owner("10.0.0.1".parse().unwrap()), None);
    // One that cannot be read replaces, too: what it was before is unknown (P26).
    let broken = WEB.replace("{app: web}", "app=web");
    let all = overlay(objects(&[SHOP, WEB]), objects(&[&broken]));
    let (cluster, _) = Cluster::assemble(all).unwrap();
    assert_eq!((cluster.pods().len(), cluster.broken_pods().len()), (0, 1));
}

#[test]
fn two_that_differ_on_top_still_contradict_each_other() {
    let over = objects(&[WEB, &WEB.replace("app: web", "app: db")]);
    let conflict = Cluster::assemble(overlay(objects(&[WEB]), over)).unwrap_err();
    assert_eq!((conflict.kind, &*conflict.name), ("Pod", "shop/web"));
}
