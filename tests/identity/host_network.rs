//! S66: a pod that uses its node's network cannot be guarded. Both programs say so and leave everything as it is.

use podwall_lab::{Place, PodSpec, Sidecar};

use crate::manifests::adopt_pod;
use crate::support::{CART_ONLY, SOON, Scene, podwall};

/// Every rule of every back end that has one.
fn rules(place: &Place) -> String {
    let save = |program: &str| {
        let saved = place.command(program).run(SOON).unwrap();
        let lines = saved.stdout.lines().filter(|line| !line.starts_with('#'));
        lines.collect::<Vec<_>>().join("\n")
    };
    ["iptables-nft-save", "ip6tables-nft-save"]
        .map(save)
        .join("\n")
}

#[test]
fn s66_redirect_refuses_where_the_nodes_address_is_its_own() {
    let mut scene = Scene::bare(CART_ONLY);
    let host = PodSpec::new("shop", "host").host_network();
    let host = scene.lab.pod(host).unwrap();
    let before = rules(host.place());
    let refused = Sidecar::redirect(&scene.lab, &host, &podwall(), &[]).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
    let node = scene.lab.node().host_v4().to_string();
    for word in [node.as_str(), "hostNetwork"] {
        assert!(refused.stderr.contains(word), "{}", refused.stderr);
    }
    assert_eq!(rules(host.place()), before, "something was changed");
    assert!(!before.contains("PODWALL"), "{before}");
}

#[test]
fn s66_redirect_refuses_a_node_address_that_is_the_pods() {
    let scene = Scene::bare(CART_ONLY);
    for own in scene.web.addresses() {
        let own = own.to_string();
        let more = ["--node-address", own.as_str()];
        let refused = Sidecar::redirect(&scene.lab, &scene.web, &podwall(), &more).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(&own), "{}", refused.stderr);
        assert!(!rules(scene.web.place()).contains("PODWALL"));
    }
}

/// Where it runs says it, or what the source holds.
#[test]
fn s66_the_sidecar_refuses_a_host_network_subject() {
    let mut scene = Scene::bare(CART_ONLY);
    let host = PodSpec::new("shop", "host").host_network();
    let host = scene.lab.pod(host).unwrap();
    let mut cart = adopt_pod(&mut scene.lab, "shop", "cart", "cart.json");
    cart["spec"]["hostNetwork"] = true.into();
    crate::manifests::write(&scene.lab, "cart.json", cart.to_string());
    for (pod, word) in [
        (&host, scene.lab.node().host_v4().to_string()),
        (&scene.cart, "shop/cart".to_owned()),
    ] {
        let sidecar = Sidecar::launch(&scene.lab, pod, &podwall(), &[]).unwrap();
        let status = sidecar.process().wait(SOON).expect("it refuses");
        let talk = sidecar.process().stderr_so_far();
        assert_eq!(status.code(), Some(3), "{talk}");
        for word in [word.as_str(), "hostNetwork"] {
            assert!(talk.contains(word), "{talk}");
        }
    }
}
