//! One scene: read back from its manifests, compiled, decided, and held against the plain reading of
//! what was meant.

use std::net::IpAddr;
use std::sync::Arc;

use podwall_policy::cluster::Cluster;
use podwall_policy::compile::compile;
use podwall_policy::compiled::Table;
use podwall_policy::decide::decide;
use podwall_policy::document;
use podwall_policy::explain::misses;
use podwall_policy::flow::Flow;
use podwall_policy::labels::Labels;
use podwall_policy::peer::{Identity, MatchingRules, Peer};
use podwall_policy::spec::Policy;
use podwall_policy::verdict::{DenyReason, Verdict};
use proptest::test_runner::TestCaseError;

use crate::agree::{Asked, agree};
use crate::manifest::manifests;
use crate::model::{NAMESPACES, namespace_labels};
use crate::scene::{End, Question, Scene};
use crate::tally::Tally;

/// Everything that must hold of `scene`.
///
/// # Errors
/// What does not hold, with the cluster and the question at fault as a case.
pub fn check(scene: &Scene, tally: &mut Tally) -> Result<(), TestCaseError> {
    let read = read(scene).map_err(|what| TestCaseError::fail(format!("{what}\n{scene}")))?;
    let intended = scene.cluster.intended();
    for (at, question) in scene.questions.iter().enumerate() {
        Session::of(scene, &read, &intended, question)
            .and_then(|session| session.check(tally))
            .map_err(|what| TestCaseError::fail(format!("{what}\n{}", scene.only(at))))?;
    }
    Ok(())
}

/// The cluster as podwall reads it; pods must be understood as they were meant.
fn read(scene: &Scene) -> Result<Cluster, String> {
    let text = manifests(&scene.cluster);
    let documents = document::read("scene", &text).map_err(|error| error.to_string())?;
    let (cluster, _) = Cluster::assemble(documents.objects).map_err(|error| error.to_string())?;
    for at in 0..scene.cluster.pods.len() {
        let name = scene.cluster.pod_name(at);
        let pod = cluster.pod(&name).ok_or(format!("{name} was not read"))?;
        let (have, meant) = (cluster.identity(pod), scene.cluster.identity(at));
        if have != meant || pod.addresses != scene.cluster.pods[at].addresses {
            return Err(format!(
                "{name} was read as {pod:?} {have:?}, meant was {meant:?}"
            ));
        }
    }
    if cluster.policies().len() != scene.cluster.policies.len() {
        return Err("a policy got lost".to_owned());
    }
    Ok(cluster)
}

/// One question with everything it needs.
struct Session<'s> {
    scene: &'s Scene,
    intended: &'s [Policy],
    question: &'s Question,
    subject: Identity,
    table: Table,
    flow: Flow,
    peer: Option<MatchingRules>,
}

impl<'s> Session<'s> {
    fn of(
        scene: &'s Scene,
        read: &Cluster,
        intended: &'s [Policy],
        question: &'s Question,
    ) -> Result<Self, String> {
        let cluster = &scene.cluster;
        let subject = cluster.identity(question.subject(cluster));
        let table = compile(read.policies(), &subject, 7).table;
        let peer = question
            .peer(cluster)
            .map(|at| table.matching(&Arc::new(cluster.identity(at))));
        Ok(Self {
            scene,
            intended,
            question,
            subject,
            flow: question.flow(cluster),
            table,
            peer,
        })
    }

    fn check(&self, tally: &mut Tally) -> Result<(), String> {
        let peer = match (&self.question.end, &self.peer) {
            (End::Pod { .. }, Some(matching)) => Peer::Pod(matching),
            (End::Unknown(_) | End::Pod { .. }, _) => Peer::Unknown,
            (End::Outside(_), _) => Peer::Outside,
            (End::Node(_), _) => Peer::Node,
            (End::Own(_), _) => Peer::Own,
        };
        let verdict = decide(&self.table, &self.flow, peer);
        let missed = misses(&self.table, &self.flow, peer);
        tally.hear(self.flow.direction, verdict, &missed);
        let identity = self.peer.as_ref().map(|matching| &**matching.identity());
        let asked = Asked {
            policies: self.intended,
            subject: &self.subject,
            flow: &self.flow,
            other: self.question.other(identity),
        };
        agree(asked, &self.table, verdict, &missed)?;
        if verdict != Verdict::Deny(DenyReason::PeerUnknown) {
            self.stays_certain(verdict, tally)?;
        }
        Ok(())
    }

    /// An answer that was certain without knowing who, in which namespace or at which address stays
    /// the same when that is known.
    fn stays_certain(&self, verdict: Verdict, tally: &mut Tally) -> Result<(), String> {
        let mut compare = |who: &dyn std::fmt::Debug, flow: &Flow, peer: Peer<'_>| {
            tally.refined += 1;
            let known = decide(&self.table, flow, peer);
            if known.reason() == verdict.reason() {
                return Ok(());
            }
            Err(format!(
                "{verdict:?} was certain, and with {who:?} it is {known:?}"
            ))
        };
        match (&self.question.end, &self.peer) {
            (End::Unknown(_), _) => {
                compare(&"an outsider", &self.flow, Peer::Outside)?;
                for at in 0..self.scene.cluster.pods.len() {
                    let identity = Arc::new(self.scene.cluster.identity(at));
                    let matching = self.table.matching(&identity);
                    compare(&identity, &self.flow, Peer::Pod(&matching))?;
                }
            }
            (End::Pod { .. }, Some(matching)) => {
                for labels in self.possible_labels(matching.identity()) {
                    let mut identity = Identity::clone(matching.identity());
                    identity.namespace_labels = Some(labels);
                    let identity = Arc::new(identity);
                    let known = self.table.matching(&identity);
                    compare(&identity, &self.flow, Peer::Pod(&known))?;
                }
                for address in self.possible_addresses() {
                    let flow = Flow {
                        peer_address: Some(address),
                        ..self.flow
                    };
                    compare(&address, &flow, Peer::Pod(matching))?;
                }
            }
            (End::Pod { .. } | End::Outside(_) | End::Node(_) | End::Own(_), _) => {}
        }
        Ok(())
    }

    /// Where the namespace's labels are not known: what they could be.
    fn possible_labels(&self, identity: &Identity) -> Vec<Labels> {
        if identity.namespace_labels.is_some() {
            return Vec::new();
        }
        let others = self.scene.cluster.namespaces.iter().flatten();
        let name = |labels: Labels| labels.with(crate::NAME_LABEL, &identity.namespace);
        let mut labels: Vec<Labels> = others.map(namespace_labels).map(name).collect();
        labels.push(name(Labels::default()));
        assert!(NAMESPACES.contains(&&*identity.namespace));
        labels
    }

    /// Where the address is not known: what it could be.
    fn possible_addresses(&self) -> Vec<IpAddr> {
        if self.flow.peer_address.is_some() {
            return Vec::new();
        }
        let all = [
            "10.0.0.1",
            "10.0.1.6",
            "10.1.0.3",
            "198.51.100.1",
            "fd00::1",
            "fd00::1:6",
        ];
        all.iter().map(|one| one.parse().unwrap()).collect()
    }
}
