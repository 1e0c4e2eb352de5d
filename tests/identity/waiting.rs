//! Arrivals that wait for an answer: shared by the tests of what was not known when they came.

use std::net::SocketAddr;

use podwall_lab::{Lab, Place, Sidecar, wait_until};
use serde_json::Value;

use crate::support::{SOON, Scene, podwall};
use crate::talk::{App, Ending, connect, ending};

/// How often a race against the hold's own end may be lost before that is the product's fault.
pub const ATTEMPTS: usize = 10;

/// podwall's bound on the wait, in milliseconds.
pub const HOLD_MS: u64 = 900;

/// Installs the rules and starts the sidecar without waiting until it is ready, only until it lives.
pub fn launch(scene: &mut Scene, more: &[&str]) {
    scene.sidecar = None;
    Sidecar::install(&scene.lab, &scene.web, &podwall(), &[]).expect("the rules");
    relaunch(scene, more);
}

/// The same where the rules are there.
pub fn relaunch(scene: &mut Scene, more: &[&str]) {
    scene.sidecar = None;
    let sidecar = Sidecar::launch(&scene.lab, &scene.web, &podwall(), more).expect("a sidecar");
    let alive = || sidecar.get("/livez").is_ok_and(|(code, _)| code == 200);
    assert!(
        wait_until(SOON, alive),
        "{}",
        sidecar.process().output_so_far()
    );
    scene.sidecar = Some(sidecar);
}

/// Status and text of `/readyz`.
pub fn readiness(scene: &Scene) -> (u16, String) {
    scene.sidecar().get("/readyz").expect("an answer")
}

/// How an arrival fared that came before the answer was known.
pub enum Waited {
    /// It was told so: its line in the log.
    Denied(Value),
    /// It got through to the application.
    LetIn,
}

/// Connects and waits until podwall holds the arrival, changes what is known, and waits for the answer.
pub fn wait_and_change(
    scene: &mut Scene,
    app: &App,
    from: &Place,
    to: SocketAddr,
    change: impl FnOnce(&mut Lab),
) -> Waited {
    let skip = scene.sidecar().log().len();
    let mut client = connect(from, to).expect("a connection");
    let source = client.local_addr().unwrap();
    let held = || scene.sidecar().metric("podwall_held").unwrap() == Some(1.0);
    let over = || has_ended(scene, skip, source);
    assert!(wait_until(SOON, || held() || over()), "not held");
    change(&mut scene.lab);
    let mut let_in = false;
    let answered = || {
        let_in = app.has_visitor();
        let_in || has_ended(scene, skip, source)
    };
    assert!(
        wait_until(SOON, answered),
        "no answer: {}",
        scene.sidecar().process().output_so_far()
    );
    if let_in {
        return Waited::LetIn;
    }
    assert_eq!(ending(&mut client), Ending::Reset);
    Waited::Denied(line_of(scene, skip, source))
}

/// The line of the arrival from exactly this address and port.
pub fn line_of(scene: &Scene, skip: usize, source: SocketAddr) -> Value {
    let own = |line: &Value| is_of(line, source);
    let line = scene.sidecar().wait_log(skip, own, SOON);
    line.expect("an access-log line")
}

fn has_ended(scene: &Scene, skip: usize, source: SocketAddr) -> bool {
    let lines = scene.sidecar().log();
    lines.iter().skip(skip).any(|line| is_of(line, source))
}

fn is_of(line: &Value, source: SocketAddr) -> bool {
    line["kind"] == "connection"
        && line["source"] == source.ip().to_string().as_str()
        && line["source_port"] == source.port()
}

/// It was denied for this reason, not before the whole of its wait was over.
pub fn assert_waited(line: &Value, reason: &str) {
    let verdict = (&line["verdict"], &line["reason"], &line["end"]);
    let wanted = (&"deny".into(), &reason.into(), &"denied".into());
    assert_eq!(verdict, wanted, "{line}");
    assert!(line["duration_ms"].as_u64() >= Some(HOLD_MS), "{line}");
    assert!(line["held_ms"].as_u64() > Some(0), "{line}");
}

/// It was answered without a wait: so and for this reason.
pub fn assert_at_once(line: &Value, verdict: &str, reason: &str) {
    let seen = (&line["verdict"], &line["reason"], &line["held_ms"]);
    let wanted = (&verdict.into(), &reason.into(), &0.into());
    assert_eq!(seen, wanted, "{line}");
}
