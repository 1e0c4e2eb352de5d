//! S42, S45, S46: addresses of both families, their spellings, and what an ipBlock matches.

use serde_json::Value;

use crate::support::{Scene, Seen};
use crate::talk::connect;

/// One policy over shop/web that admits these blocks.
fn blocks(blocks: &[&str]) -> String {
    let peers = blocks.iter().map(|block| format!("{{ ipBlock: {block} }}"));
    let peers = peers.collect::<Vec<_>>().join(", ");
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{ name: blocks, namespace: shop }}\n\
         spec: {{ podSelector: {{ matchLabels: {{ app: web }} }}, ingress: [{{ from: [{peers}] }}] }}\n"
    )
}

/// Everyone fares so, over IPv4 and over IPv6.
fn fares(scene: &Scene, v4: Seen, v6: Seen, when: &str) {
    for client in [&scene.cart, &scene.stranger] {
        assert_eq!(scene.ask(client, 80), v4, "{when}: IPv4");
        assert_eq!(scene.ask_v6(client, 80), v6, "{when}: IPv6");
    }
}

#[test]
fn s42_a_block_of_one_family_admits_nobody_of_the_other() {
    let mut scene = Scene::guarded(&blocks(&["{ cidr: 0.0.0.0/0 }"]));
    fares(&scene, Seen::Page, Seen::Reset, "all of IPv4");
    scene.change(|lab| lab.set_policies_yaml(&blocks(&["{ cidr: '::/0' }"])));
    fares(&scene, Seen::Reset, Seen::Page, "all of IPv6");
    let everything = blocks(&["{ cidr: 0.0.0.0/0 }", "{ cidr: '::/0' }"]);
    scene.change(|lab| lab.set_policies_yaml(&everything));
    fares(&scene, Seen::Page, Seen::Page, "both");
}

/// The relay listens on both families by one socket, which spells IPv4 clients in IPv6.
#[test]
fn s45_an_ipv4_client_is_one_client_however_it_is_spelled() {
    let mapped = format!("{{ cidr: '::ffff:10.244.0.0/{}' }}", 96 + 16);
    let scene = Scene::guarded(&blocks(&[&mapped]));
    fares(&scene, Seen::Page, Seen::Reset, "mapped");
    let (seen, line) = scene.ask_logged(&scene.cart, 80);
    assert_eq!(seen, Seen::Page);
    assert_eq!(line["source"], scene.cart.v4().to_string().as_str());
    assert_eq!(line["destination"], scene.web.v4().to_string().as_str());
    assert_eq!(line["peer"], "shop/cart");
    // A client that itself uses the other spelling is the same on the wire.
    let spelled = (scene.web.v4().to_ipv6_mapped(), 80).into();
    let skip = scene.sidecar().log().len();
    drop(connect(&scene.cart, spelled).unwrap());
    let line = scene.line(skip, &scene.cart, 80);
    assert_eq!(line["reason"], "rule", "{line}");
}

#[test]
fn s46_a_block_matches_the_addresses_of_pods() {
    let mut scene = Scene::guarded("");
    let (v4, v6) = (scene.cart.v4(), scene.cart.v6());
    let of_cart = [
        format!("{{ cidr: {v4}/32 }}"),
        format!("{{ cidr: '{v6}/128' }}"),
    ];
    let of_cart = blocks(&[&of_cart[0], &of_cart[1]]);
    scene.change(|lab| lab.set_policies_yaml(&of_cart));
    for (client, seen) in [(&scene.cart, Seen::Page), (&scene.rogue, Seen::Reset)] {
        assert_eq!(scene.ask(client, 80), seen);
        assert_eq!(scene.ask_v6(client, 80), seen);
    }
    let (_, line) = scene.ask_logged(&scene.cart, 80);
    assert_eq!(
        (&line["reason"], &line["peer"]),
        (&"rule".into(), &"shop/cart".into())
    );
    let except = format!(
        "{{ cidr: 10.244.0.0/16, except: [{}/32] }}",
        scene.rogue.v4()
    );
    scene.change(|lab| lab.set_policies_yaml(&blocks(&[&except])));
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    let (seen, line) = scene.ask_logged(&scene.rogue, 80);
    assert_eq!(seen, Seen::Reset);
    assert_eq!(line["nearest_miss"]["clause"], "except", "{line}");
    assert_ne!(line["nearest_miss"]["detail"], Value::Null);
    assert_eq!(scene.ask_v6(&scene.cart, 80), Seen::Reset);
}
