//! How refusal looks from outside: a reset, never an orderly end, never a success (P5, P12).

use std::io::ErrorKind;

use podwall_lab::{Pod, Signal, wait_until};

use crate::inside::arrivals;
use crate::support::{CART_ONLY, SOON, Scene, Seen};
use crate::talk::{APP, App, Ending, Pair, both, connect, ending, fate};

/// Nobody listens there.
const DEAD: u16 = 7999;

/// Proves that the client meets a reset at a port where nobody listens, and that the log says whose fault it was.
fn meets_the_dead_application(scene: &Scene, client: &Pod) {
    for to in both(&scene.web, DEAD) {
        let skip = scene.sidecar().log().len();
        assert_eq!(fate(client, to), Ending::Reset, "{to}");
        let line = scene.line(skip, client, DEAD);
        let told = (&line["verdict"], &line["reason"], &line["end"]);
        let wanted = (&"allow".into(), &"rule".into(), &"app_refused".into());
        assert_eq!(told, wanted, "{line}");
        assert_eq!(line["destination"], to.ip().to_string().as_str());
    }
}

#[test]
fn p05_denial_revocation_and_a_dead_application_are_resets() {
    let mut scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    for to in both(&scene.web, APP) {
        assert_eq!(fate(&scene.rogue, to), Ending::Reset, "denied at {to}");
    }
    meets_the_dead_application(&scene, &scene.cart);
    let pairs = both(&scene.web, APP).map(|to| Pair::open(&scene.cart, to, &app));
    scene.change(|lab| lab.relabel("shop", "cart", &[("app", "other")]));
    for Pair {
        mut client,
        mut app,
    } in pairs
    {
        assert_eq!(ending(&mut client), Ending::Reset, "revoked, the client");
        assert_eq!(ending(&mut app), Ending::Reset, "revoked, the application");
    }
    assert!(!app.has_visitor(), "somebody came who was not let in");
}

#[test]
fn p12_a_dead_application_is_no_success_for_strangers_nor_for_probes() {
    let mut scene = Scene::guarded(CART_ONLY);
    meets_the_dead_application(&scene, &scene.cart);
    let probe = |port| {
        both(&scene.web, port).map(|to| {
            let probe = connect(scene.lab.node(), to);
            probe.map(drop).map_err(|error| error.kind())
        })
    };
    let refused = [Err(ErrorKind::ConnectionRefused); 2];
    assert_eq!(probe(DEAD), refused, "the node's probe of a dead port");
    let _app = App::listen(&scene.web, APP);
    assert_eq!(probe(APP), [Ok(()); 2]);
    // The probe tells the truth about the application whatever becomes of the sidecar: stuck, then gone.
    scene.sidecar().process().signal(Signal::STOP).unwrap();
    assert_eq!((probe(APP), probe(DEAD)), ([Ok(()); 2], refused));
    scene.sidecar = None;
    assert_eq!((probe(APP), probe(DEAD)), ([Ok(()); 2], refused));
    for to in both(&scene.web, APP) {
        let refused = Ending::Other(ErrorKind::ConnectionRefused);
        assert_eq!(fate(&scene.cart, to), refused, "closed without a sidecar");
    }
}

#[test]
fn p12_the_node_is_neither_redirected_nor_counted() {
    let scene = Scene::guarded(CART_ONLY);
    for to in both(&scene.web, 80) {
        connect(scene.lab.node(), to).unwrap();
    }
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Page);
    let counted = || arrivals(scene.sidecar(), "rule") == 1.0;
    assert!(wait_until(SOON, counted));
    assert_eq!(arrivals(scene.sidecar(), "node"), 0.0);
    assert_eq!(scene.sidecar().log().len(), 1, "only the pod's own line");
}
