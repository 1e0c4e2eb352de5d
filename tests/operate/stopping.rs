//! SIGTERM: newcomers are refused, who is inside may finish, who does not is reset, and the exit code is 0.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

use podwall_lab::{Signal, wait_until};
use socket2::SockRef;

use crate::support::{CART_ONLY, SOON, Scene};
use crate::talk::{APP, App, Ending, Pair, both, connect, ending};

/// Asks it to stop and waits until the relay's port is closed.
fn ask_to_stop(scene: &Scene, signal: Signal) {
    scene.sidecar().process().signal(signal).unwrap();
    for to in both(&scene.web, APP) {
        let closed = || match connect(&scene.cart, to) {
            Err(error) => error.kind() == ErrorKind::ConnectionRefused,
            Ok(early) => {
                // Let in before the signal was heard, it shall not be waited for.
                let reset = Some(Duration::ZERO);
                SockRef::from(&early).set_linger(reset).unwrap();
                false
            }
        };
        assert!(wait_until(SOON, closed), "{to} is open still");
    }
}

/// Waits for the end, in order, and gives what it said on stderr.
fn ends(scene: &Scene) -> String {
    let process = scene.sidecar().process();
    let status = process.wait(SOON).unwrap();
    assert_eq!(status.code(), Some(0), "{}", process.output_so_far());
    process.stderr_so_far()
}

fn finishes_what_is_open(signal: Signal) {
    let scene = Scene::guarded_with(CART_ONLY, &["--drain-timeout", "1h"]);
    let app = App::listen(&scene.web, APP);
    let pairs = both(&scene.web, APP).map(|to| Pair::open(&scene.cart, to, &app));
    ask_to_stop(&scene, signal);
    let (code, text) = scene.sidecar().get("/readyz").unwrap();
    assert_eq!(code, 503);
    assert!(text.contains("stopping"), "{text}");
    assert_eq!(scene.sidecar().get("/livez").unwrap().0, 200);
    for mut pair in pairs {
        pair.greet();
        assert_eq!(scene.sidecar().process().status(), None, "it did not wait");
        let Pair {
            mut client,
            mut app,
        } = pair;
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(ending(&mut app), Ending::End);
        drop(app);
        assert_eq!(ending(&mut client), Ending::End);
    }
    let said = ends(&scene);
    assert!(said.contains(" 0 were reset"), "{said}");
    let closed = scene.sidecar().log();
    let closed = closed
        .iter()
        .filter(|line| line["end"] == "closed" && line["bytes_in"] == 10);
    assert_eq!(
        closed.count(),
        2,
        "{}",
        scene.sidecar().process().output_so_far()
    );
}

#[test]
fn sigterm_refuses_newcomers_lets_open_ones_finish_and_ends_with_0() {
    finishes_what_is_open(Signal::TERM);
}

#[test]
fn sigint_does_the_same() {
    finishes_what_is_open(Signal::INT);
}

#[test]
fn who_outlasts_the_drain_is_reset_at_both_ends_and_told_as_stopped() {
    let scene = Scene::guarded_with(CART_ONLY, &["--drain-timeout", "100ms"]);
    let app = App::listen(&scene.web, APP);
    let pairs = both(&scene.web, APP).map(|to| Pair::open(&scene.cart, to, &app));
    scene.sidecar().process().signal(Signal::TERM).unwrap();
    for Pair {
        mut client,
        mut app,
    } in pairs
    {
        assert_eq!(ending(&mut client), Ending::Reset);
        assert_eq!(ending(&mut app), Ending::Reset);
    }
    let said = ends(&scene);
    assert!(
        said.contains("2 connections were open, 2 were reset"),
        "{said}"
    );
    let lines = scene.sidecar().log();
    assert_eq!(lines.len(), 2, "{lines:#?}");
    for line in lines {
        let told = (&line["verdict"], &line["end"], &line["bytes_in"]);
        assert_eq!(
            told,
            (&"allow".into(), &"stopped".into(), &5.into()),
            "{line}"
        );
    }
}
