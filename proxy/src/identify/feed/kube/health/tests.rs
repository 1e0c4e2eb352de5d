#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

/// A health whose time is moved by hand; what it tells, in words.
struct Case {
    health: Health,
    start: Instant,
    now: Instant,
}

impl Case {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            health: Health::new("https://api".to_owned()),
            start: now,
            now,
        }
    }

    /// All kinds have been listed, and that was told.
    fn listed() -> Self {
        let mut case = Self::new();
        for kind in Kind::ALL {
            case.health.on_listed(kind, case.now);
        }
        assert_eq!(case.told(), "healthy as of 0");
        case
    }

    fn pass(&mut self, ms: u64) -> &mut Self {
        self.now += Duration::from_millis(ms);
        self
    }

    fn fail(&mut self, kind: Kind, cause: &str) -> &mut Self {
        let trouble = Trouble {
            cause: cause.to_owned(),
            mend: "mend it".to_owned(),
        };
        self.health.on_failed(kind, trouble, self.now);
        self
    }

    fn told(&mut self) -> String {
        match self.health.next_change(self.now) {
            None => String::new(),
            Some(Change::SourceHealthy(as_of)) => {
                format!("healthy as of {}", (as_of - self.start).as_millis())
            }
            Some(Change::SourceProblem(problem)) => problem,
            Some(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_is_healthy_before_all_kinds_are_listed() {
    let mut case = Case::new();
    case.health.on_listed(Kind::Pod, case.now);
    case.health.on_listed(Kind::Policy, case.now);
    case.health.on_resumed(Kind::Namespace, case.now);
    assert_eq!(case.told(), "");
    case.pass(10);
    case.health.on_listed(Kind::Namespace, case.now);
    assert_eq!(case.told(), "healthy as of 0");
}

#[test]
fn p25_the_oldest_contact_counts_and_is_told_once_a_second_at_most() {
    let mut case = Case::listed();
    case.pass(1_500);
    case.health.on_heard(Kind::Pod, case.now);
    case.health.on_heard(Kind::Policy, case.now);
    assert_eq!(case.told(), "", "nothing of namespaces for 1.5 s");
    case.health.on_heard(Kind::Namespace, case.now);
    assert_eq!(case.told(), "healthy as of 1500");
    case.pass(500);
    for kind in Kind::ALL {
        case.health.on_heard(kind, case.now);
    }
    assert_eq!(case.told(), "");
    case.pass(500);
    assert_eq!(case.told(), "healthy as of 2000");
}

#[test]
fn a_kind_that_was_never_listed_is_told_of_at_once() {
    let mut case = Case::new();
    assert_eq!(
        case.fail(Kind::Pod, "connection refused").told(),
        "cannot follow https://api (pods: connection refused); mend it"
    );
    assert_eq!(case.told(), "", "the same is told once");
}

#[test]
fn kinds_that_suffer_the_same_are_told_of_together() {
    let mut case = Case::new();
    for kind in Kind::ALL {
        case.health.on_asked(kind, case.now);
    }
    case.health.on_answered(Kind::Pod);
    assert_eq!(case.fail(Kind::Pod, "refused").told(), "");
    case.health.on_answered(Kind::Namespace);
    case.health.on_answered(Kind::Policy);
    case.fail(Kind::Namespace, "refused");
    assert_eq!(
        case.fail(Kind::Policy, "403").told(),
        "cannot follow https://api (networkpolicies.networking.k8s.io: 403; pods, namespaces: refused); mend it"
    );
}

#[test]
fn what_heals_within_two_seconds_is_not_told() {
    let mut case = Case::listed();
    assert_eq!(case.fail(Kind::Pod, "reset").told(), "");
    assert_eq!(case.pass(1_900).told(), "");
    case.health.on_resumed(Kind::Pod, case.now);
    assert_eq!(case.pass(5_000).told(), "");
}

#[test]
fn s84_an_outage_is_told_and_its_end_at_once() {
    let mut case = Case::listed();
    case.fail(Kind::Pod, "refused").pass(1_000);
    case.fail(Kind::Namespace, "refused").pass(1_000);
    assert_eq!(
        case.told(),
        "cannot follow https://api (pods, namespaces: refused); mend it"
    );
    case.pass(60_000);
    case.health.on_resumed(Kind::Pod, case.now);
    case.health.on_heard(Kind::Policy, case.now);
    assert_eq!(case.told(), "", "half a recovery is no news yet");
    assert_eq!(
        case.pass(1_000).told(),
        "cannot follow https://api (namespaces: refused); mend it"
    );
    case.health.on_resumed(Kind::Namespace, case.now);
    assert_eq!(case.told(), "healthy as of 62000");
}

#[test]
fn what_is_in_force_is_as_old_as_it_was_when_a_new_list_began() {
    let mut case = Case::listed();
    case.pass(5_000);
    case.health.on_listing(Kind::Pod);
    for kind in Kind::ALL {
        case.health.on_heard(kind, case.now);
        case.health.on_resumed(kind, case.now);
    }
    assert_eq!(case.told(), "");
    case.pass(5_000);
    case.health.on_listed(Kind::Pod, case.now);
    assert_eq!(case.told(), "healthy as of 5000");
}

#[test]
fn a_list_that_breaks_off_again_and_again_is_told() {
    let mut case = Case::listed();
    case.health.on_listing(Kind::Pod);
    case.fail(Kind::Pod, "cut");
    case.pass(1_900);
    // The next attempt's answer has begun, which makes nothing whole.
    case.health.on_resumed(Kind::Pod, case.now);
    assert_eq!(
        case.pass(200).told(),
        "cannot follow https://api (pods: cut); mend it"
    );
}

#[test]
fn a_server_that_says_nothing_is_told_of_after_five_seconds() {
    let mut case = Case::listed();
    case.health.on_asked(Kind::Policy, case.now);
    assert_eq!(case.pass(4_900).told(), "");
    assert!(case.pass(200).told().contains(": no answer)"));
    case.health.on_answered(Kind::Policy);
    case.health.on_resumed(Kind::Policy, case.now);
    assert_eq!(case.told(), "healthy as of 0");
}
