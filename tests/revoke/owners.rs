//! P8, S73: a connection does not outlive its right when the address it came from changes hands.

use std::time::Instant;

use podwall_lab::{Lab, Pod, PodSpec};

use super::cut::{Stage, addresses, endings};
use crate::manifests::{adopt_pod, write};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, Ending, both, connect, ending};

/// Only the application's ends are looked at: the client's network is gone.
fn cuts_at_the_application(stage: &mut Stage, reason: &str, change: impl FnOnce(&mut Lab)) {
    let mut pairs = stage.open(&stage.scene.cart);
    let (clients, skip) = (addresses(&pairs), stage.scene.sidecar().log().len());
    change(&mut stage.scene.lab);
    for pair in &mut pairs {
        assert_eq!(ending(&mut pair.app), Ending::Reset);
    }
    for client in clients {
        stage.told(skip, client, reason);
    }
}

fn heir(of: &Pod, labels: &[(&str, &str)]) -> PodSpec {
    let heir = PodSpec::new("shop", "heir")
        .address(of.v4())
        .address(of.v6());
    labels
        .iter()
        .fold(heir, |heir, (key, value)| heir.label(*key, *value))
}

#[test]
fn p08_p28_a_connection_does_not_go_on_under_the_next_owner_of_its_address() {
    let mut stage = Stage::set(CART_ONLY);
    let heir = heir(&stage.scene.cart, &[("app", "rogue")]);
    let mut made = None;
    cuts_at_the_application(&mut stage, "no_rule_admits", |lab| {
        let reuse = |lab: &mut Lab| {
            lab.remove("shop", "cart")?;
            lab.pod(heir)
        };
        made = Some(lab.batch(reuse).unwrap());
    });
    let made = made.unwrap();
    for to in both(&stage.scene.web, APP) {
        let mut stream = connect(made.place(), to);
        let how = stream.as_mut().map(ending).unwrap_or(Ending::Reset);
        assert_eq!(how, Ending::Reset, "the heir has the dead pod's rights");
    }
    let lines = stage.scene.sidecar().log();
    assert!(
        lines.iter().any(|line| line["peer"] == "shop/heir"),
        "{lines:#?}"
    );
}

#[test]
fn p08_p28_a_pod_that_is_removed_leaves_no_connection_behind() {
    let mut stage = Stage::set(CART_ONLY);
    cuts_at_the_application(&mut stage, "peer_unknown", |lab| {
        lab.remove("shop", "cart").unwrap();
    });
}

/// Only the source speaks of the new owner, so the client is there to see its reset.
#[test]
fn s73_p28_an_address_that_changes_hands_in_the_source_is_cut_at_both_ends() {
    let mut cart = None;
    let mut stage = Stage::set_with(CART_ONLY, &[], |lab| {
        cart = Some(adopt_pod(lab, "shop", "cart", "cart.json"));
    });
    let mut heir = cart.unwrap();
    heir["metadata"]["name"] = "heir".into();
    heir["metadata"]["uid"] = "another".into();
    heir["metadata"]["labels"]["app"] = "rogue".into();
    let pairs = stage.open(&stage.scene.cart);
    stage.cuts(pairs, "no_rule_admits", |lab| {
        write(lab, "cart.json", heir.to_string());
    });
}

#[test]
fn p28_a_peer_whose_object_goes_is_cut_at_both_ends() {
    let mut stage = Stage::set(CART_ONLY);
    let pairs = stage.open(&stage.scene.cart);
    stage.cuts(pairs, "peer_unknown", |lab| {
        lab.forget("shop", "cart").unwrap();
    });
}

#[test]
fn s70_p28_a_peer_that_has_finished_is_cut() {
    let mut stage = Stage::set(CART_ONLY);
    let pairs = stage.open(&stage.scene.cart);
    stage.cuts(pairs, "peer_unknown", |lab| {
        lab.set_phase("shop", "cart", "Succeeded").unwrap();
    });
}

/// An heir with the same rights is no reason for a cut: judged per connection, by what holds now.
#[test]
fn p28_an_heir_with_the_same_rights_is_not_cut() {
    let mut cart = None;
    let mut stage = Stage::set_with(CART_ONLY, &[], |lab| {
        cart = Some(adopt_pod(lab, "shop", "cart", "cart.json"));
    });
    let mut heir = cart.unwrap();
    heir["metadata"]["name"] = "heir".into();
    heir["metadata"]["uid"] = "another".into();
    let mut pairs = stage.open(&stage.scene.cart);
    stage.scene.change(|lab| {
        write(lab, "cart.json", heir.to_string());
        Ok(())
    });
    pairs.iter_mut().for_each(|pair| pair.greet());
    // And then it is the heir's labels that count.
    heir["metadata"]["labels"]["app"] = "rogue".into();
    let began = Instant::now();
    write(&stage.scene.lab, "cart.json", heir.to_string());
    for (end, how, _) in endings(pairs, began) {
        assert_eq!(how, Ending::Reset, "{end}");
    }
    let revoked = |line: &serde_json::Value| line["kind"] == "revocation";
    let line = stage.scene.sidecar().wait_log(0, revoked, SOON).unwrap();
    assert_eq!(line["peer"], "shop/heir", "{line}");
}
