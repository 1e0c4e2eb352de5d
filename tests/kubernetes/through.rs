//! The server of faults itself: what it passes on arrives whole, and what it spoils is spoiled as told.

use podwall_lab::{ApiClient, Request};

use super::stage::Stage;
use crate::faults::{Fault, Resource, Rule};

#[test]
fn the_server_of_faults_passes_on_and_spoils() {
    let stage = Stage::spoiled("");
    let client = ApiClient::new(stage.scene.lab.node().place(), &stage.kubeconfig()).unwrap();
    let [pods, namespaces] = ["/api/v1/pods", "/api/v1/namespaces"];
    let direct = stage.admin().get(pods).unwrap();
    assert_eq!(client.get(pods).unwrap()["items"], direct["items"]);
    stage
        .faults()
        .edit(Resource::Pods, |pod| pod["metadata"]["labels"] = 7.into());
    assert_eq!(
        client.get(pods).unwrap()["items"][0]["metadata"]["labels"],
        7
    );
    stage.faults().relent();
    for fault in [Fault::Answer(429, "Retry-After: 1\r\n"), Fault::CutAfter(9)] {
        stage
            .faults()
            .spoil(Rule::new(fault).of(Resource::Pods).times(1));
    }
    assert!(client.get(pods).is_err(), "broken off");
    client.get(namespaces).unwrap();
    assert_eq!(client.send(Request::get(pods)).unwrap().0, 429);
    assert_eq!(client.get(pods).unwrap()["items"], direct["items"]);
    assert_eq!(stage.faults().spoiled(), 2);
}
