//! P20: a pod of one family is guarded in that family, and ready although it lacks the other.

use podwall_lab::{Lab, PodSpec, Sidecar};

use crate::support::{CART_ONLY, podwall};
use crate::talk::{APP, App, Ending, Pair, fate};

fn guards(narrow: fn(PodSpec) -> PodSpec) {
    let mut lab = Lab::start().unwrap();
    lab.namespace("shop", &[]).unwrap();
    let pod = |name: &str| PodSpec::new("shop", name).label("app", name);
    let web = lab.pod(narrow(pod("web"))).unwrap();
    let cart = lab.pod(pod("cart")).unwrap();
    let rogue = lab.pod(pod("rogue")).unwrap();
    lab.set_policies_yaml(CART_ONLY).unwrap();
    let app = App::listen(&web, APP);
    let sidecar = Sidecar::start(&lab, &web, &podwall(), &[]).unwrap();
    let [address] = web.addresses() else {
        panic!("one family: {:?}", web.addresses());
    };
    let to = (*address, APP).into();
    Pair::open(&cart, to, &app);
    assert_eq!(fate(&rogue, to), Ending::Reset);
    let (code, text) = sidecar.get("/readyz").unwrap();
    assert_eq!(code, 200, "{text}");
}

#[test]
fn p20_a_pod_with_ipv4_only() {
    guards(PodSpec::v4_only);
}

#[test]
fn p20_a_pod_with_ipv6_only() {
    guards(PodSpec::v6_only);
}
