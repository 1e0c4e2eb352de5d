//! Each set of tables, on the wire, in each mode.

use podwall_lab::Mode;

use super::table::Case;
use super::town::{Town, play};
use super::wire::faults;
use super::{beyond, upstream};

/// How many wrong rows are told; where more are wrong, one thing is.
const TOLD: usize = 40;

#[test]
fn upstream_tcp_in_mode_redirect() {
    hold(Mode::Redirect, &upstream::tcp());
}

#[test]
fn upstream_tcp_in_mode_queue() {
    hold(Mode::Queue, &upstream::tcp());
}

#[test]
fn upstream_udp_in_mode_redirect() {
    hold(Mode::Redirect, &upstream::udp());
}

#[test]
fn upstream_udp_in_mode_queue() {
    hold(Mode::Queue, &upstream::udp());
}

#[test]
fn upstream_sctp_in_mode_redirect() {
    hold(Mode::Redirect, &upstream::sctp());
}

#[test]
fn upstream_sctp_in_mode_queue() {
    hold(Mode::Queue, &upstream::sctp());
}

#[test]
fn beyond_upstream_in_mode_redirect() {
    hold(Mode::Redirect, &beyond::cases());
}

#[test]
fn beyond_upstream_in_mode_queue() {
    hold(Mode::Queue, &beyond::cases());
}

/// Plays all cases in one town; every row that is not as its table says is told.
fn hold(mode: Mode, cases: &[Case]) {
    let mut town = Town::guarded(mode);
    let mut wrong = Vec::new();
    for case in cases {
        play(&mut town, case, |town, step, ask| {
            let place = format!("mode {}, {}, step {step}", mode.word(), case.name);
            wrong.extend(
                faults(town, ask)
                    .iter()
                    .map(|fault| format!("{place}, {fault}")),
            );
        });
    }
    let first = wrong.iter().take(TOLD).cloned().collect::<Vec<_>>();
    assert!(
        wrong.is_empty(),
        "{} rows, first:\n{}",
        wrong.len(),
        first.join("\n")
    );
}
