#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Instant;

use podwall_policy::cluster::Cluster;
use podwall_policy::document;
use podwall_policy::object::{Object, ObjectName};

use super::*;
use crate::identify::feed::kube::tests::server::{self, END, STREAMING, lines};
use crate::identify::feed::{Gone, Kind};

/// A pod whose content is told by its label.
fn pod(name: &str, content: &str) -> Object {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: ns, uid: {name}-{content}, labels: {{is: {content}}}}}}}"
    );
    let read = document::read("", &text).unwrap();
    read.objects.into_iter().next().unwrap()
}

fn gone(name: &str, uid: &str) -> Change {
    Change::Delete(Gone::Pod {
        name: ObjectName::new("ns", name),
        uid: Some(uid.into()),
    })
}

fn state(pods: &[(&str, &str)]) -> Change {
    let objects = pods.iter().map(|(name, content)| pod(name, content));
    Change::Resync(Cluster::assemble(objects.collect()).unwrap().0)
}

fn shown(object: &Object) -> String {
    let Object::Pod(pod) = object else {
        panic!("{object:?}");
    };
    format!("{}={}", pod.name.name, pod.labels.get("is").unwrap())
}

/// What is told, in words; `relist!` where a new list is asked for.
fn words(step: Step) -> String {
    let word = |change: &Change| match change {
        Change::Relist(Kind::Pod) => "[".to_owned(),
        Change::Relisted(Kind::Pod) => "]".to_owned(),
        Change::Relist(kind) => format!("[{kind:?}"),
        Change::Relisted(kind) => format!("{kind:?}]"),
        Change::Listed(object) => shown(object),
        Change::Upsert(object) => format!("+{}", shown(object)),
        Change::Delete(Gone::Pod { name, uid }) => {
            format!("-{}/{}", name.name, uid.as_deref().unwrap_or("?"))
        }
        Change::Findings(findings) => format!("{} findings", findings.len()),
        Change::SourceProblem(problem) => problem.clone(),
        Change::SourceHealthy(_) => "healthy".to_owned(),
        other => panic!("{other:?}"),
    };
    let mut words: Vec<String> = step.changes.iter().map(word).collect();
    words.extend(step.relist.then(|| "relist!".to_owned()));
    words.join(" ")
}

#[derive(Default)]
struct Case(Layers);

impl Case {
    fn files(&mut self, change: Change) -> String {
        words(self.0.on_files(change))
    }

    fn cluster(&mut self, change: Change) -> String {
        words(self.0.on_cluster(change))
    }

    fn listed(&mut self, pods: &[(&str, &str)]) -> String {
        let mut told = vec![self.cluster(Change::Relist(Kind::Pod))];
        for (name, content) in pods {
            told.push(self.cluster(Change::Listed(pod(name, content))));
        }
        told.push(self.cluster(Change::Relisted(Kind::Pod)));
        told.retain(|one| !one.is_empty());
        told.join(" ")
    }

    /// The files hold a, the cluster a and b.
    fn running() -> Self {
        let mut case = Self::default();
        assert_eq!(case.files(state(&[("a", "file")])), "relist!");
        assert_eq!(
            case.listed(&[("a", "cluster"), ("b", "cluster")]),
            "[ a=file b=cluster ]"
        );
        case
    }
}

#[test]
fn s85_nothing_is_told_before_the_files_have_told_a_whole_state() {
    let mut case = Case::default();
    assert_eq!(case.listed(&[("a", "cluster")]), "");
    assert_eq!(case.cluster(Change::Upsert(pod("b", "cluster"))), "");
    assert_eq!(case.cluster(Change::Relist(Kind::Pod)), "");
    assert_eq!(case.files(state(&[("a", "file")])), "relist!");
    assert_eq!(
        case.cluster(Change::Listed(pod("c", "half"))),
        "",
        "of a list that nobody saw begin"
    );
    assert_eq!(case.cluster(Change::Relisted(Kind::Pod)), "");
    assert_eq!(case.listed(&[("c", "cluster")]), "[ a=file c=cluster ]");
}

#[test]
fn an_object_of_the_files_hides_the_cluster_s() {
    let mut case = Case::running();
    assert_eq!(case.cluster(Change::Upsert(pod("a", "newer"))), "");
    assert_eq!(case.cluster(gone("a", "a-cluster")), "");
    assert_eq!(case.cluster(Change::Upsert(pod("b", "newer"))), "+b=newer");
    assert_eq!(case.cluster(gone("b", "b-newer")), "-b/b-newer");
}

#[test]
fn p25_a_relist_brings_no_hidden_object_to_light() {
    let mut case = Case::running();
    assert_eq!(case.listed(&[("a", "newer")]), "[ a=file ]");
}

#[test]
fn what_is_new_in_the_files_holds_at_once() {
    let mut case = Case::running();
    assert_eq!(
        case.files(state(&[("a", "file"), ("b", "file"), ("c", "file")])),
        "+b=file +c=file"
    );
    assert_eq!(
        case.files(state(&[("a", "new"), ("b", "file"), ("c", "file")])),
        "+a=new"
    );
}

#[test]
fn what_is_taken_out_of_the_files_holds_until_the_cluster_was_listed_anew() {
    let mut case = Case::running();
    assert_eq!(case.files(state(&[])), "relist!");
    assert_eq!(
        case.listed(&[("a", "cluster"), ("b", "cluster")]),
        "[ a=cluster b=cluster ]"
    );
    assert_eq!(case.cluster(Change::Upsert(pod("a", "newer"))), "+a=newer");
}

#[test]
fn taken_out_and_changed_in_the_cluster_the_change_holds() {
    let mut case = Case::running();
    assert_eq!(case.files(state(&[])), "relist!");
    assert_eq!(case.cluster(Change::Upsert(pod("a", "newer"))), "+a=newer");
    assert_eq!(case.cluster(gone("a", "a-newer")), "-a/a-newer");
}

#[test]
fn p8_taken_out_and_gone_from_the_cluster_the_deletion_names_what_is_in_force() {
    let mut case = Case::running();
    assert_eq!(case.files(state(&[])), "relist!");
    assert_eq!(case.cluster(gone("a", "a-cluster")), "-a/a-file");
}

#[test]
fn taken_out_during_a_list_it_holds_until_the_next_one() {
    let mut case = Case::running();
    assert_eq!(case.cluster(Change::Relist(Kind::Pod)), "[ a=file");
    assert_eq!(case.files(state(&[])), "relist!");
    assert_eq!(
        case.cluster(Change::Listed(pod("a", "cluster"))),
        "",
        "a=file is in this list"
    );
    assert_eq!(case.cluster(Change::Relisted(Kind::Pod)), "]");
    assert_eq!(case.listed(&[("a", "cluster")]), "[ a=cluster ]");
}

#[test]
fn put_in_during_a_list_it_is_in_force_and_in_the_list() {
    let mut case = Case::running();
    assert_eq!(case.cluster(Change::Relist(Kind::Pod)), "[ a=file");
    assert_eq!(
        case.cluster(Change::Listed(pod("c", "cluster"))),
        "c=cluster"
    );
    assert_eq!(
        case.files(state(&[("a", "file"), ("c", "file")])),
        "c=file +c=file"
    );
    assert_eq!(case.cluster(Change::Relisted(Kind::Pod)), "]");
}

#[test]
fn taken_out_and_put_back_nothing_changes() {
    let mut case = Case::running();
    assert_eq!(case.files(state(&[])), "relist!");
    assert_eq!(case.files(state(&[("a", "file")])), "");
    assert_eq!(case.listed(&[("a", "cluster")]), "[ a=file ]");
}

#[test]
fn both_must_be_well_and_the_older_of_the_two_counts() {
    let mut case = Case::running();
    let now = Instant::now();
    let later = now + std::time::Duration::from_secs(1);
    assert_eq!(case.files(Change::SourceHealthy(later)), "");
    let step = case.0.on_cluster(Change::SourceHealthy(now));
    assert!(matches!(step.changes[..], [Change::SourceHealthy(as_of)] if as_of == now));
    assert_eq!(case.files(Change::SourceProblem("f".to_owned())), "f");
    assert_eq!(
        case.files(Change::SourceProblem("f".to_owned())),
        "",
        "told already"
    );
    assert_eq!(
        case.cluster(Change::SourceProblem("c".to_owned())),
        "f. Also: c"
    );
    assert_eq!(case.files(Change::SourceHealthy(now)), "c");
    assert_eq!(case.cluster(Change::SourceHealthy(now)), "healthy");
}

#[test]
fn findings_are_those_of_both_but_for_namespaces_that_the_cluster_has() {
    let mut case = Case::default();
    let alone = Cluster::assemble(vec![pod("a", "file")]).unwrap().1;
    assert_eq!(alone[0].place, "Namespace ns");
    let odd = |place: &str| podwall_policy::diagnostic::Diagnostic {
        place: place.to_owned(),
        ..alone[0].clone()
    };
    let of_files = vec![alone[0].clone(), odd("Namespace ns: metadata.labels.x")];
    assert_eq!(case.files(Change::Findings(of_files)), "1 findings");
    assert_eq!(
        case.cluster(Change::Findings(vec![odd("Pod ns/a: x")])),
        "2 findings"
    );
}

#[test]
fn a_pod_of_the_files_hides_the_cluster_s_until_it_is_taken_out() {
    let cluster = server::Cluster::new("merged", |request| {
        let pods = request.is_for("/pods") && request.has(STREAMING);
        let event = |name: &str| {
            format!(
                "{{\"type\": \"ADDED\", \"object\": {{\"metadata\": {{\"name\": \"{name}\", \"namespace\": \"ns\", \"labels\": {{\"is\": \"cluster\"}}}}}}}}\n"
            )
        };
        let events = if pods {
            event("a") + &event("b")
        } else {
            String::new()
        };
        lines(events + END)
    });
    let file = |pods: &[&str]| {
        let pod = |name: &&str| {
            format!(
                "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: ns, labels: {{is: file}}}}\n"
            )
        };
        let draft = cluster.dir.join("draft");
        std::fs::write(&draft, pods.iter().map(pod).collect::<String>()).unwrap();
        std::fs::rename(draft, cluster.dir.join("pods.yaml")).unwrap();
    };
    file(&["a", "c"]);
    let (send, changes) = std::sync::mpsc::channel();
    let paths = vec![cluster.dir.join("pods.yaml")];
    let handle = watch(paths, cluster.access(), "ns".into(), move |change| {
        let _ = send.send(change);
    });
    let handle = handle.unwrap();
    // Which pods the newest whole list holds.
    let listed = || {
        let mut pods = std::collections::BTreeSet::new();
        let deadline = Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match changes.recv_timeout(left).expect("it was never told") {
                Change::Relist(Kind::Pod) => pods.clear(),
                Change::Listed(object @ Object::Pod(_)) => {
                    pods.insert(shown(&object));
                }
                Change::Relisted(Kind::Pod) => {
                    return pods.into_iter().collect::<Vec<_>>().join(" ");
                }
                _ => {}
            }
        }
    };
    assert_eq!(listed(), "a=file b=cluster c=file");
    file(&["c"]);
    while listed() != "a=cluster b=cluster c=file" {}
    drop(handle);
}
