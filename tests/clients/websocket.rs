//! WebSocket: both ends by Python's websockets; a stream of messages that goes on until it is cut.

use std::net::IpAddr;

use podwall_lab::{Mode, Process};

use super::stage::{Stage, fails, is_cut};
use crate::support::SOON;

const PORT: u16 = 8000;
/// Debian's own, for which its packages are.
const PYTHON: &str = "/usr/bin/python3";
const SERVER: &str = include_str!("websocket/server.py");
const CLIENT: &str = include_str!("websocket/client.py");

#[test]
fn websocket_in_mode_redirect() {
    play(Mode::Redirect);
}

#[test]
fn websocket_in_mode_queue() {
    play(Mode::Queue);
}

fn play(mode: Mode) {
    let mut stage = Stage::set(mode, "");
    let port = PORT.to_string();
    let server = stage.serve(&[PYTHON, "-c", SERVER, &port]);
    stage.listens(&server, PORT);
    // Cut while it connects, or while it waits for the answer to its request.
    let reset = [
        "ConnectionResetError",
        "did not receive a valid HTTP response",
    ];
    let refused = stage.either(&reset[..], &["ConnectionRefusedError"]);
    for host in stage.hosts() {
        fails(&stage.rogue, &[PYTHON, "-c", CLIENT, &url(host)], refused);
    }
    let streams = stage.hosts().map(|host| stream(&stage, host));
    stage.revoke();
    for stream in streams {
        is_cut(&stream, "ConnectionClosedError");
    }
    assert!(server.status().is_none(), "{}", server.output_so_far());
}

fn url(host: IpAddr) -> String {
    match host {
        IpAddr::V4(v4) => format!("ws://{v4}:{PORT}"),
        IpAddr::V6(v6) => format!("ws://[{v6}]:{PORT}"),
    }
}

/// A stream of which several messages have come.
fn stream(stage: &Stage, host: IpAddr) -> Process {
    let command = stage.friend.command(PYTHON);
    let stream = command.args(["-c", CLIENT, &url(host)]).spawn().unwrap();
    stream
        .wait_for_line(|line| line == "message 3", SOON)
        .unwrap();
    stream
}
