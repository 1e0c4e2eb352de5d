use super::*;

fn finding(place: &str) -> Vec<Diagnostic> {
    vec![Diagnostic {
        severity: Severity::Error,
        place: place.to_owned(),
        message: "is odd".to_owned(),
        help: "mend it".to_owned(),
    }]
}

fn places(findings: &Findings) -> Vec<String> {
    findings.all().into_iter().map(|one| one.place).collect()
}

#[test]
fn findings_go_with_their_object() {
    let mut findings = Findings::default();
    assert!(findings.on_changed(Kind::Pod, "Pod a/b", finding("Pod a/b")));
    assert!(
        !findings.on_changed(Kind::Pod, "Pod a/b", finding("Pod a/b")),
        "no news"
    );
    assert!(
        findings.on_changed(Kind::Pod, "Pod a/b", Vec::new()),
        "mended"
    );
    assert!(findings.on_changed(Kind::Pod, "Pod a/b", finding("Pod a/b")));
    assert!(findings.on_gone(Kind::Pod, "Pod a/b"));
    assert!(!findings.on_gone(Kind::Pod, "Pod a/b"));
    assert_eq!(findings.all(), []);
}

#[test]
fn a_list_replaces_what_was_known_of_its_kind_at_its_end() {
    let mut findings = Findings::default();
    findings.on_changed(Kind::Pod, "Pod a/old", finding("Pod a/old"));
    findings.on_changed(Kind::Namespace, "Namespace a", finding("Namespace a"));
    findings.on_listing(Kind::Pod);
    findings.on_listed(Kind::Pod, "Pod a/new", finding("Pod a/new"));
    assert_eq!(places(&findings), ["Pod a/old", "Namespace a"]);
    assert!(findings.on_end(Kind::Pod));
    assert_eq!(places(&findings), ["Pod a/new", "Namespace a"]);
    findings.on_listing(Kind::Pod);
    findings.on_listed(Kind::Pod, "Pod a/new", finding("Pod a/new"));
    assert!(!findings.on_end(Kind::Pod), "the same again is no news");
}

#[test]
fn findings_are_bounded_and_say_so() {
    let mut findings = Findings::default();
    for number in 0..2 * OBJECTS {
        let place = format!("Pod a/{number}");
        findings.on_changed(Kind::Pod, &place, finding(&place));
    }
    let all = findings.all();
    assert_eq!(all.len(), OBJECTS + 1);
    assert!(all.iter().any(|one| one.message.contains("more than 1000")));
}
