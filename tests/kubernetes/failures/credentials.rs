//! Credentials that are replaced while the sidecar runs: the server's, and its own.

use std::time::Duration;

use podwall_lab::{ApiClient, Request, wait_until};

use crate::kubernetes::ordeal::Ordeal;
use crate::kubernetes::stage::{LONG, Stage};
use crate::support::SOON;

#[test]
fn s84_the_certificate_of_the_api_server_is_rotated_and_then_its_authority() {
    let mut stage = Stage::direct();
    let mut ordeal = Ordeal::begin(&stage);
    stage.control.rotate_certificate().unwrap();
    ordeal.holds(&stage);
    ordeal.ends_well(&mut stage);
    // The file of authorities that the kubeconfig names has the new one too.
    let mut ordeal = Ordeal::begin(&stage);
    stage.control.rotate_authority().unwrap();
    ordeal.holds(&stage);
    ordeal.ends_well(&mut stage);
}

/// As a kubelet does: the file has a new token before the old one ends, and the old one is worth nothing then.
#[test]
fn s84_the_token_of_the_sidecar_is_rotated() {
    let mut stage = Stage::behind_faults();
    let mut ordeal = Ordeal::begin(&stage);
    stage.account.revoke().unwrap();
    // Watches that run are not asked for their token again.
    ordeal.holds(&stage);
    stage.faults().cut();
    let told = || stage.readiness().1.contains("401");
    assert!(wait_until(SOON, told), "{}", stage.output());
    ordeal.holds(&stage);
    stage.account.renew(Duration::from_secs(600)).unwrap();
    let well = || stage.metric("source_problem") == 0.0;
    assert!(wait_until(LONG, well), "{}", stage.output());
    ordeal.ends_well(&mut stage);
}

/// Its rights are taken away, and given again: the trouble names what is missing.
#[test]
fn s84_the_rights_of_the_sidecar_are_taken_away() {
    let mut stage = Stage::behind_faults();
    let mut ordeal = Ordeal::begin(&stage);
    let binding = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/podwall-sidecar-shop";
    stage.admin().delete(binding).unwrap();
    // The authorizer hears of it by a watch of its own; watches that run are not asked again.
    let place = stage.scene.lab.node().place();
    let asker = ApiClient::new(place, &stage.kubeconfig()).unwrap();
    let refused = || asker.send(Request::get("/api/v1/pods")).unwrap().0 == 403;
    assert!(wait_until(SOON, refused));
    stage.faults().cut();
    let told = || {
        let (_, text) = stage.readiness();
        text.contains("403") && text.contains(&stage.account.user()) && text.contains("pods")
    };
    assert!(wait_until(SOON, told), "{}", stage.output());
    ordeal.holds(&stage);
    stage.grant();
    ordeal.ends_well(&mut stage);
}
