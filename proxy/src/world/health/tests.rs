#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const GONE: &str = "the API server does not answer";

/// 2026-11-24 12:00:00 UTC, in seconds.
const NOON: u64 = 1_795_521_600;

/// A health and two clocks that a test moves by hand.
struct Case {
    health: Health,
    start: Instant,
    at: u64,
}

impl Case {
    fn new() -> Self {
        Self {
            health: Health::default(),
            start: Instant::now(),
            at: 0,
        }
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_secs(self.at)
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOON + self.at)
    }

    fn problem(&mut self, text: &str) -> Vec<String> {
        let (now, wall) = (self.now(), self.wall());
        self.health.problem(text.to_owned(), now, wall);
        self.said()
    }

    fn remind(&mut self) -> Vec<String> {
        let (now, wall) = (self.now(), self.wall());
        self.health.remind(now, wall);
        self.said()
    }

    fn confirmed(&mut self, as_of: u64) -> Vec<String> {
        let as_of = self.start + Duration::from_secs(as_of);
        let now = self.now();
        self.health.confirmed(as_of, now);
        self.said()
    }

    fn said(&mut self) -> Vec<String> {
        let said = self.health.unsaid();
        said.iter()
            .map(|one| format!("{:?}: {}", one.level, one.text))
            .collect()
    }
}

#[test]
fn s84_the_log_tells_the_age_of_what_is_in_force_when_a_problem_begins_and_while_it_lasts() {
    let mut case = Case::new();
    case.confirmed(0);
    case.at = 5;
    assert_eq!(
        case.problem(GONE),
        [
            "Error: the API server does not answer; the state of 2026-11-24T12:00:00Z, 5 s old, stays in force"
        ]
    );
    case.at = 64;
    assert_eq!(case.remind(), [""; 0]);
    case.at = 65;
    assert_eq!(
        case.remind(),
        [
            "Warning: the source has been in trouble for 60 s: the API server does not answer; \
          the state of 2026-11-24T12:00:00Z, 65 s old, stays in force"
        ]
    );
    assert_eq!(case.remind(), [""; 0]);
    case.at = 124;
    assert_eq!(case.remind(), [""; 0]);
    case.at = 125;
    assert_eq!(case.remind().len(), 1);
}

#[test]
fn s85_with_no_state_at_all_the_log_says_that_nobody_is_let_in() {
    assert_eq!(
        Case::new().problem(GONE),
        [
            "Error: the API server does not answer; no whole state was told yet, so strangers are refused"
        ]
    );
}

#[test]
fn a_problem_is_told_when_it_changes_and_its_end_once() {
    let mut case = Case::new();
    case.confirmed(0);
    assert_eq!(case.problem(GONE).len(), 1);
    case.at = 30;
    assert_eq!(case.problem(GONE), [""; 0]);
    assert_eq!(case.problem("403").len(), 1);
    assert_eq!(case.health.problem_now(), Some("403"));
    case.at = 40;
    assert_eq!(
        case.confirmed(39),
        ["Info: the source is well again, after 40 s"]
    );
    assert_eq!(case.confirmed(40), [""; 0]);
    assert_eq!(case.remind(), [""; 0]);
    assert_eq!(case.health.problem_now(), None);
}

#[test]
fn what_is_confirmed_does_not_go_back() {
    let mut case = Case::new();
    case.at = 20;
    case.confirmed(10);
    case.confirmed(7);
    let at = case.start + Duration::from_secs(10);
    assert_eq!(case.health.last_confirmed_at, Some(at));
}

#[test]
fn findings_are_told_when_they_are_new() {
    let finding = |place: &str| Diagnostic {
        severity: Severity::Warning,
        place: place.to_owned(),
        message: "odd".to_owned(),
        help: "mend it".to_owned(),
    };
    let mut case = Case::new();
    case.health.documents(vec![finding("a")]);
    assert_eq!(case.said().len(), 1);
    case.health.documents(vec![finding("a"), finding("b")]);
    let said = case.said();
    assert!(said.len() == 1 && said[0].contains("b: "), "{said:?}");
    case.health.documents(Vec::new());
    assert_eq!((case.said().len(), case.health.count()), (0, 0));
}
