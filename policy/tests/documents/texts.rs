//! Whole texts: YAML and JSON, many documents, lists, other kinds, and what is refused.

use std::fmt::Write as _;

use podwall_policy::document::{self, read_object};
use podwall_policy::object::Object;

use super::{read, refused};

const NAMESPACE: &str = "{apiVersion: v1, kind: Namespace, metadata: {name: a}}";

/// The objects by name, in their order.
#[track_caller]
fn names(text: &str) -> Vec<String> {
    let name = |object: &Object| match object {
        Object::Pod(pod) => format!("Pod {}", pod.name),
        Object::Namespace(one) => format!("Namespace {}", one.name),
        Object::Policy(policy) => format!("NetworkPolicy {}", policy.name),
        broken => panic!("{broken:?}"),
    };
    read(text).objects.iter().map(name).collect()
}

#[test]
fn empty_documents_are_fine() {
    for text in [
        "",
        "\n",
        "---\n",
        "---\n---\n",
        "# words\n---\n# more\n",
        "null\n",
        "---\n~\n...\n",
    ] {
        assert_eq!(names(text), Vec::<String>::new(), "{text:?}");
    }
    assert_eq!(
        names(&format!("---\n---\n{NAMESPACE}\n---\n# end\n")),
        ["Namespace a"]
    );
}

#[test]
fn yaml_json_lists_and_typed_lists() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: p}}";
    let json = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "labels": {"a": "\u0062\/"}}}"#;
    for (text, wanted) in [
        (format!("{NAMESPACE}\n---\n{pod}\n"), &["Namespace a", "Pod default/p"][..]),
        (json.to_owned(), &["Pod default/p"]),
        (json.replace(' ', "\n\t"), &["Pod default/p"]),
        (json.replace(' ', "\r\n"), &["Pod default/p"]),
        (format!("\u{feff}{pod}"), &["Pod default/p"]),
        (format!("{{apiVersion: v1, kind: List, items: [{NAMESPACE}, {pod}]}}"), &["Namespace a", "Pod default/p"]),
        ("{apiVersion: v1, kind: PodList, items: [{metadata: {name: p}}]}".to_owned(), &["Pod default/p"]),
        ("{apiVersion: v1, kind: NamespaceList, items: [{metadata: {name: a}}]}".to_owned(), &["Namespace a"]),
        (
            "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicyList, items: [{metadata: {name: p, namespace: a}}]}".to_owned(),
            &["NetworkPolicy a/p"],
        ),
        ("{apiVersion: v1, kind: PodList, items: null}".to_owned(), &[]),
        ("{apiVersion: v1, kind: List}".to_owned(), &[]),
    ] {
        assert_eq!(names(&text), wanted, "{text}");
    }
}

#[test]
fn anchors_and_merge_keys_are_read_as_kubectl_does() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: &m {name: p, labels: &l {a: b}}\n---\n\
                apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: &n\n    name: q\n    labels: {x: z}\n\
                - apiVersion: v1\n  kind: Pod\n  metadata:\n    <<: *n\n    name: r\n";
    assert_eq!(
        names(text),
        ["Pod default/p", "Pod default/q", "Pod default/r"]
    );
}

#[test]
fn kinds_of_others_are_skipped_once_each() {
    let text = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}}\n---\n\
                {apiVersion: v1, kind: Service, spec: {ports: [{port: 1}]}}\n---\n{apiVersion: apps/v1, kind: Deployment}\n";
    let read = read(text);
    assert_eq!(read.skipped, ["Deployment", "Service"]);
    assert_eq!((read.objects.len(), read.diagnostics.len()), (0, 0));
}

#[test]
fn who_names_no_namespace_is_told_apart() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n\
                {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: b, namespace: null}}\n---\n\
                {apiVersion: v1, kind: Pod, metadata: {name: c, namespace: default}}\n---\n\
                {apiVersion: v1, kind: Namespace, metadata: {name: d}}\n";
    assert_eq!(read(text).unplaced, ["Pod a", "NetworkPolicy b"]);
}

#[test]
fn a_network_policy_of_another_group_is_skipped_and_said_so() {
    let read =
        read("{apiVersion: crd.projectcalico.org/v1, kind: NetworkPolicy, metadata: {name: p}}");
    assert_eq!(read.objects, []);
    assert_eq!(read.skipped, ["NetworkPolicy.crd.projectcalico.org"]);
    let message = read.diagnostics[0].to_string();
    assert!(
        message.contains("NetworkPolicy p: apiVersion: \"crd.projectcalico.org/v1\""),
        "{message}"
    );
    assert!(message.contains("write networking.k8s.io/v1"), "{message}");
}

#[test]
fn a_list_that_breaks_off_is_reported() {
    let text = "{apiVersion: v1, kind: PodList, metadata: {continue: abc}, items: [{metadata: {name: p}}]}";
    let message = read(text).diagnostics[0].to_string();
    assert!(
        message.starts_with("warning: List: metadata.continue: this is the first part"),
        "{message}"
    );
}

#[test]
fn foreign_words_cannot_upset_a_terminal() {
    let text = "{apiVersion: \"a.b/\\e[2J\", kind: NetworkPolicy, metadata: {name: \"b\\nc\"}}\n---\n{apiVersion: v1, kind: \"d\\ne\"}";
    let read = read(text);
    let said = format!("{} {}", read.diagnostics[0], read.skipped.concat());
    assert!(!said.contains(char::is_control), "{said:?}");
}

#[test]
fn bad_input_is_refused_with_place_field_and_mend() {
    for (text, message) in [
        (
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  name: y\n",
            "test.yaml:5:3: the key \"name\" is given twice; keep one",
        ),
        (
            "{\"kind\": \"Pod\",\n \"kind\": \"Pod\"}",
            "test.yaml:2:2: the key \"kind\" is given twice",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata:\n\tname: x\n",
            "test.yaml:4:",
        ),
        ("a: [1\n", "test.yaml:"),
        ("{\"a\": ", "test.yaml:1:"),
        (
            "hello\n",
            "test.yaml:1:1: document: \"hello\" is no object; write a manifest",
        ),
        ("[1]\n", "test.yaml:1:1: document: a list is no object"),
        (
            "---\n{apiVersion: v1, kind: Foo}\n---\n7\n",
            "test.yaml:4:1: document: the number 7 is no object",
        ),
        (
            "a: 1\n",
            "test.yaml:1:1: kind is missing or no text; write it, for example kind: Pod",
        ),
        (
            "{kind: Pod}",
            "apiVersion is missing or no text; write it, for example apiVersion: v1",
        ),
        (
            "{kind: [Pod], apiVersion: v1}",
            "kind is missing or no text",
        ),
        (
            "{kind: Pod, apiVersion: v2}",
            "apiVersion: \"v2\" is no known version of Pod; write v1",
        ),
        (
            "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v2}",
            "write networking.k8s.io/v1",
        ),
        (
            "{kind: List, apiVersion: v1, items: [7]}",
            "items[0]: the number 7 is no object",
        ),
        (
            "{kind: List, apiVersion: v1, items: [{kind: Pod}]}",
            "items[0].apiVersion is missing or no text",
        ),
        (
            "{kind: List, apiVersion: v1, items: {}}",
            "items: a mapping is no list",
        ),
        (
            "{kind: Pod, apiVersion: v1}",
            "metadata.name: nothing names no Pod; write lower-case letters",
        ),
        (
            "{kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: 7}}",
            "metadata.name: the number 7 names no NetworkPolicy",
        ),
        (
            "{kind: Pod, apiVersion: v1, metadata: {name: a/b}}",
            "metadata.name: \"a/b\" names no Pod",
        ),
        (
            "{kind: Pod, apiVersion: v1, metadata: {name: a, namespace: A}}",
            "metadata.namespace: \"A\" names no namespace",
        ),
        (
            "{kind: Namespace, apiVersion: v1, metadata: {name: a.b}}",
            "metadata.name: \"a.b\" names no Namespace",
        ),
        (
            "{kind: PodList, apiVersion: v1, items: [{metadata: {}}]}",
            "items[0].metadata.name: nothing names no Pod",
        ),
        (
            "{kind: Pod, apiVersion: v1, metadata: {name: x}, spec: !mine {}}",
            "test.yaml:1:",
        ),
        (
            "{kind: Pod, apiVersion: v1, metadata: {name: x, labels: {a: 1e999}}}",
            "quote it if it is a text",
        ),
    ] {
        let found = refused(text);
        assert!(
            found.contains(message) && !found.contains('\n'),
            "{text}\nfound  {found}\nwanted {message}"
        );
        assert!(found.starts_with("test.yaml:"), "{found}");
    }
}

#[test]
fn what_may_be_meant_for_a_policy_is_not_passed_over() {
    const REST: &str = "metadata: {name: p, namespace: shop}, spec: {}}";
    for (head, message) in [
        (
            "kind: networkPolicy, apiVersion: networking.k8s.io/v1",
            "kind: \"networkPolicy\" is not known; write NetworkPolicy",
        ),
        (
            "kind: NetworkPolcy, apiVersion: networking.k8s.io/v1",
            "kind: \"NetworkPolcy\" is not known; write NetworkPolicy",
        ),
        (
            "kind: NetworkPolicy, apiVersion: extensions/v1beta1",
            "apiVersion: \"extensions/v1beta1\" is no known version of NetworkPolicy; write networking.k8s.io/v1",
        ),
        (
            "kind: NetworkPolicy, apiVersion: v1",
            "apiVersion: \"v1\" is no known version of NetworkPolicy; write networking.k8s.io/v1",
        ),
        (
            "kind: list, apiVersion: v1, items: []",
            "kind: \"list\" is not known; write List",
        ),
        (
            "kind: List, apiVersion: meta.k8s.io/v1, items: []",
            "apiVersion: \"meta.k8s.io/v1\" is no known version of List; write v1",
        ),
        (
            "kind: List, apiVersion: v1, Items: []",
            "Items: \"Items\" is not known; write items",
        ),
        (
            "kind: NetworkPolicyList, apiVersion: networking.k8s.io/v1, item: []",
            "item: \"item\" is not known; write items",
        ),
    ] {
        let found = refused(&format!("{{{head}, {REST}"));
        assert!(
            found.ends_with(message),
            "{head}\nfound  {found}\nwanted {message}"
        );
    }
    let node = read("{kind: Node, apiVersion: v1, metadata: {name: a}}");
    assert_eq!(node.skipped, ["Node"]);
    let ingress = read("{kind: Ingress, apiVersion: networking.k8s.io/v1, metadata: {name: a}}");
    assert_eq!(ingress.skipped, ["Ingress"]);
}

#[test]
fn nothing_is_used_of_a_text_that_breaks_off() {
    let found = refused(&format!(
        "{NAMESPACE}\n---\n{{apiVersion: v1, kind: Pod, metadata: {{name"
    ));
    assert!(found.starts_with("test.yaml:3:"), "{found}");
}

#[test]
fn aliases_cannot_blow_a_text_up() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let last = level - 1;
        writeln!(
            text,
            "a{level}: &a{level} [{}]",
            vec![format!("*a{last}"); 10].join(", ")
        )
        .unwrap();
    }
    assert!(refused(&text).starts_with("test.yaml:"));
}

#[test]
fn nesting_is_bounded() {
    let text = format!("a: {}{}\n", "[".repeat(10_000), "]".repeat(10_000));
    assert!(refused(&text).starts_with("test.yaml:1:"));
}

#[test]
fn a_value_that_somebody_has_read_already() {
    let value =
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}});
    assert_eq!(read_object(&value).unwrap().objects.len(), 1);
    let fault = read_object(&serde_json::json!(7)).unwrap_err().to_string();
    assert!(
        fault.starts_with("object: document: the number 7 is no object"),
        "{fault}"
    );
}

#[test]
fn twenty_thousand_documents() {
    let mut text = String::new();
    for at in 0..20_000 {
        writeln!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p{at}"
        )
        .unwrap();
    }
    assert_eq!(
        document::read("test.yaml", &text).unwrap().objects.len(),
        20_000
    );
}

#[test]
fn a_hundred_thousand_pods_in_one_list() {
    let mut text = "apiVersion: v1\nkind: List\nitems:\n".to_owned();
    for at in 0..100_000_u32 {
        let [_, a, b, c] = at.to_be_bytes();
        writeln!(
            text,
            "- apiVersion: v1\n  kind: Pod\n  metadata: {{name: p{at}, labels: {{app: web}}}}"
        )
        .unwrap();
        writeln!(text, "  status: {{phase: Running, podIP: 10.{a}.{b}.{c}}}").unwrap();
    }
    assert_eq!(
        document::read("test.yaml", &text).unwrap().objects.len(),
        100_000
    );
}
