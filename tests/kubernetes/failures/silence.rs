//! An API server from which nothing comes any more, and no word of it: only time tells.

use std::thread;

use podwall_lab::wait_until;

use crate::faults::Resource;
use crate::kubernetes::ordeal::Ordeal;
use crate::kubernetes::stage::{LONG, Stage};
use crate::support::CART_ONLY;

/// A watch says nothing for long where nothing happens, so this takes as long as a watch may last. All cases wait
/// at the same time.
#[test]
fn p25_s84_a_silent_api_server_is_noticed_and_followed_again() {
    thread::scope(|scope| {
        let paused = scope.spawn(paused);
        let partitioned = scope.spawn(partitioned);
        let stalled = scope.spawn(stalled);
        paused.join().expect("paused");
        stalled.join().expect("stalled");
        partitioned.join().expect("partitioned");
    });
}

fn is_noticed(stage: &Stage, ordeal: &mut Ordeal) {
    ordeal.holds(stage);
    let noticed = || stage.metric("source_problem") == 1.0;
    assert!(wait_until(LONG, noticed), "{}", stage.output());
    let age = stage.metric("source_age_seconds");
    assert!(age > 10.0);
    ordeal.holds(stage);
}

/// Who reads the log of an hour ago sees how old the state was that decisions were taken by.
#[test]
fn s84_an_outage_of_minutes_is_said_again_with_the_age_of_what_is_in_force() {
    let mut stage = Stage::direct();
    let mut ordeal = Ordeal::begin(&stage);
    stage.control.stop().unwrap();
    let talk = |stage: &Stage| stage.scene.sidecar().process().stderr_so_far();
    let again = || talk(&stage).contains("the source has been in trouble for");
    assert!(wait_until(LONG, again), "{}", stage.output());
    let talk = talk(&stage);
    let line = talk.lines().find(|line| line.contains("in trouble for"));
    let line = line.unwrap();
    assert!(
        line.contains("connection refused") && line.contains("s old, stays in force"),
        "{line}"
    );
    assert!(stage.metric("source_age_seconds") >= 60.0);
    ordeal.holds(&stage);
    stage.control.start().unwrap();
    ordeal.ends_well(&mut stage);
}

/// It accepts, and never answers.
fn paused() {
    let mut stage = Stage::direct();
    let mut ordeal = Ordeal::begin(&stage);
    stage.control.pause().unwrap();
    is_noticed(&stage, &mut ordeal);
    stage.control.resume().unwrap();
    ordeal.ends_well(&mut stage);
}

/// Nothing arrives and nothing is refused.
fn partitioned() {
    let mut stage = Stage::direct();
    let mut ordeal = Ordeal::begin(&stage);
    let node = stage.scene.lab.node().place().clone();
    let port = stage.control.server_address().port();
    let rule = |verb: &str| {
        let line = format!("iptables {verb} INPUT -i br0 -p tcp --dport {port} -j DROP");
        crate::inside::run(&node, &line);
    };
    rule("-I");
    is_noticed(&stage, &mut ordeal);
    rule("-D");
    ordeal.ends_well(&mut stage);
}

/// The watch of one kind stalls, and those of the others go on.
fn stalled() {
    let mut stage = Stage::behind_faults();
    let mut ordeal = Ordeal::begin(&stage);
    stage.faults().hold(Resource::Policies);
    let more = CART_ONLY.replace("cart-only", "more");
    stage.scene.lab.policy("shop", "more", &more).unwrap();
    let others = [("team", "later")];
    stage.scene.change(|lab| lab.namespace("other", &others));
    is_noticed(&stage, &mut ordeal);
    assert_eq!(stage.metric("policies"), 1.0);
    let problem = stage.readiness().1;
    assert!(
        problem.contains("(networkpolicies.networking.k8s.io: no answer)"),
        "{problem}"
    );
    stage.faults().relent();
    let found_out = || stage.metric("policies") == 2.0;
    assert!(wait_until(LONG, found_out), "{}", stage.output());
    ordeal.ends_well(&mut stage);
}
