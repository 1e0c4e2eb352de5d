//! The main job: who may enter gets the page, everybody else is reset, and the reason is said.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod support;

use support::{CART_ONLY, Scene, Seen};

#[test]
fn the_allowed_pod_gets_its_page_and_the_rogue_is_reset() {
    let scene = Scene::guarded(CART_ONLY);
    let (seen, line) = scene.ask_logged(&scene.cart, 80);
    assert_eq!(seen, Seen::Page);
    assert_eq!(
        (&line["verdict"], &line["policy"], &line["rule"]),
        (&"allow".into(), &"shop/cart-only".into(), &0.into())
    );
    assert_eq!(line["peer"], "shop/cart");
    let (seen, line) = scene.ask_logged(&scene.rogue, 80);
    assert_eq!(seen, Seen::Reset);
    assert_eq!(
        (&line["verdict"], &line["reason"]),
        (&"deny".into(), &"no_rule_admits".into())
    );
    assert_eq!(line["nearest_miss"]["policy"], "shop/cart-only");
    assert_eq!(scene.ask_v6(&scene.cart, 9000), Seen::Page);
    assert_eq!(scene.ask_v6(&scene.rogue, 9000), Seen::Reset);
    assert_eq!(
        scene.ask(&scene.stranger, 80),
        Seen::Reset,
        "the same label in another namespace"
    );
}
