//! P8, S70 to S73: an address and its owners, one after the other and two at a time; P9, S67: a node's address.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use podwall_lab::{Pod, PodSpec, Sidecar};
use serde_json::Value;

use super::waiting::{assert_at_once, assert_waited};
use crate::support::{CART_ONLY, Scene, Seen, podwall};
use crate::talk::{APP, App, Ending, connect_from, ending};

/// A new pod on the addresses of an old one.
fn heir(of: &Pod, name: &str, app: &str) -> PodSpec {
    let heir = PodSpec::new("shop", name).label("app", app);
    heir.address(of.v4()).address(of.v6())
}

/// Asks over both families; podwall takes the client for this pod.
fn fares(scene: &Scene, client: &Pod, seen: Seen, peer: &str) {
    let (saw, line) = scene.ask_logged(client, 80);
    assert_eq!((saw, &line["peer"]), (seen.clone(), &peer.into()), "{line}");
    assert_eq!(scene.ask_v6(client, 80), seen);
}

#[test]
fn p08_s70_a_finished_pod_gives_its_address_up_at_once() {
    let mut scene = Scene::guarded(CART_ONLY);
    for phase in ["Succeeded", "Failed"] {
        fares(&scene, &scene.cart, Seen::Page, "shop/cart");
        scene.change(|lab| lab.set_phase("shop", "cart", phase));
        let (seen, line) = scene.ask_logged(&scene.cart, 80);
        assert_eq!(seen, Seen::Reset);
        assert_waited(&line, "peer_unknown");
        assert_eq!(line["peer"], Value::Null, "{line}");
        scene.change(|lab| lab.set_phase("shop", "cart", "Running"));
    }
    // The next owner has its own labels, while the finished pod's object is still there.
    scene.change(|lab| lab.set_phase("shop", "cart", "Succeeded"));
    let heir = heir(&scene.cart, "heir", "rogue");
    let heir = scene.lab.pod(heir).unwrap();
    scene.change(|lab| lab.relabel("shop", "rogue", &[("taken", "in")]));
    fares(&scene, &heir, Seen::Reset, "shop/heir");
}

#[test]
fn p08_s72_who_gets_the_address_of_a_removed_pod_has_its_own_labels() {
    let mut scene = Scene::guarded(CART_ONLY);
    let (cart, rogue) = (scene.cart.clone(), scene.rogue.clone());
    for (old, name, app, seen) in [
        (&cart, "bad", "rogue", Seen::Reset),
        (&rogue, "good", "cart", Seen::Page),
    ] {
        let mut made = None;
        scene.change(|lab| {
            lab.remove("shop", old.name())?;
            made = Some(lab.pod(heir(old, name, app))?);
            Ok(())
        });
        fares(&scene, &made.unwrap(), seen, &format!("shop/{name}"));
    }
}

/// The old pod's end is told late: until then two objects claim the address, and the newer one has it.
#[test]
fn p08_s72_a_late_end_of_the_old_pod_does_not_take_the_new_one_away() {
    let mut scene = Scene::guarded(CART_ONLY);
    let (cart, rogue) = (scene.cart.clone(), scene.rogue.clone());
    for (old, name, app, seen) in [
        (&cart, "bad", "rogue", Seen::Reset),
        (&rogue, "good", "cart", Seen::Page),
    ] {
        scene.lab.stop("shop", old.name()).unwrap();
        let mut made = None;
        scene.change(|lab| {
            made = Some(lab.pod(heir(old, name, app))?);
            Ok(())
        });
        let (made, peer) = (made.unwrap(), format!("shop/{name}"));
        fares(&scene, &made, seen.clone(), &peer);
        scene.change(|lab| {
            lab.relabel("shop", "web", &[("app", "web"), ("after", name)])?;
            lab.remove("shop", old.name())
        });
        fares(&scene, &made, seen, &peer);
    }
}

/// Two pods that live, claim one address and started at the same time: nobody can tell, so it is nobody's.
#[test]
fn s72_an_address_that_two_pods_claim_alike_belongs_to_nobody() {
    let mut scene = Scene::guarded(CART_ONLY);
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let twin = PodSpec::new("shop", "twin").label("app", "cart");
    let twin = scene.lab.pod(twin.started(started)).unwrap();
    scene.lab.stop("shop", "twin").unwrap();
    let mut made = None;
    scene.change(|lab| {
        made = Some(lab.pod(heir(&twin, "other-twin", "cart").started(started))?);
        Ok(())
    });
    let made = made.unwrap();
    let (seen, line) = scene.ask_logged(&made, 80);
    assert_eq!(seen, Seen::Reset);
    assert_waited(&line, "peer_unknown");
    let contested = scene.sidecar().metric("podwall_contested_addresses");
    assert_eq!(contested.unwrap(), Some(2.0));
    scene.change(|lab| lab.remove("shop", "twin"));
    fares(&scene, &made, Seen::Page, "shop/other-twin");
}

/// The sidecar is not told of the node's own address, so traffic from there is judged: as that of nobody known, and
/// not as that of the pod whose object lists it.
#[test]
fn p09_s67_the_labels_of_a_host_network_pod_do_not_leak_onto_the_node() {
    let mut scene = Scene::bare(CART_ONLY);
    let host = PodSpec::new("shop", "host").label("app", "cart");
    scene.lab.pod(host.host_network()).unwrap();
    let app = App::listen(scene.web.place(), APP);
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &["--host-ips="]).unwrap();
    let sidecar = Sidecar::launch(&scene.lab, &scene.web, &podwall(), &["--host-ips="]);
    scene.sidecar = Some(sidecar.unwrap());
    let ready = || {
        scene
            .sidecar()
            .get("/readyz")
            .is_ok_and(|(code, _)| code == 200)
    };
    assert!(podwall_lab::wait_until(crate::support::SOON, ready));
    let node = scene.lab.node().clone();
    let ends: [(IpAddr, IpAddr); 2] = [
        (node.host_v4().into(), scene.web.v4().into()),
        (node.host_v6().into(), scene.web.v6().into()),
    ];
    let enter = |scene: &Scene, source, address| {
        let skip = scene.sidecar().log().len();
        let client = connect_from(&node, source, (address, APP).into());
        (client.unwrap(), skip)
    };
    let line = |scene: &Scene, skip, source: IpAddr| {
        let own = |line: &Value| line["source"] == source.to_string().as_str();
        let line = scene.sidecar().wait_log(skip, own, crate::support::SOON);
        line.unwrap()
    };
    // Both wait at the same time.
    let clients = ends.map(|(source, address)| (source, enter(&scene, source, address)));
    for (source, (mut client, skip)) in clients {
        assert_eq!(ending(&mut client), Ending::Reset);
        let line = line(&scene, skip, source);
        assert_waited(&line, "peer_unknown");
        assert_eq!(line["peer"], Value::Null, "{line}");
    }
    // An ipBlock is what can admit it.
    let blocks = format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{ name: node, namespace: shop }}\n\
         spec: {{ podSelector: {{}}, ingress: [{{ from: [{{ ipBlock: {{ cidr: {}/32 }} }}, {{ ipBlock: {{ cidr: '{}/128' }} }}] }}] }}\n",
        node.host_v4(),
        node.host_v6()
    );
    scene.change(|lab| lab.policy("shop", "node", &blocks));
    for (source, address) in ends {
        let (client, skip) = enter(&scene, source, address);
        drop(app.accept());
        drop(client);
        assert_at_once(&line(&scene, skip, source), "allow", "rule");
    }
}
