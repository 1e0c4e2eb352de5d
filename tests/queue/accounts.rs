//! How a flow's end and its bytes are told: by what the kernel says.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use podwall_lab::{Signal, wait_until};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use super::stage::{
    DATAGRAMS, FRIENDS_ONLY, REFUSED, Stage, clients, connect_by, entries, guard, inside, is_from,
    line,
};
use crate::datagrams::{self, Client};
use crate::support::{CART_ONLY, SOON};
use crate::talk::{APP, Ending, Pair, both, connect, ending};

const ACCOUNTING: &str = "net.netfilter.nf_conntrack_acct";

/// A guarded pod whose kernel counts, or does not.
fn with_accounting(value: &str) -> Stage {
    let mut stage = Stage::bare(CART_ONLY, |_| {});
    stage.scene.web.sysctl(ACCOUNTING, value).unwrap();
    guard(&mut stage.scene, &[], &[]);
    stage
}

/// One connection to its end in order, and one UDP flow to its end by silence; their lines.
fn ended(stage: &Stage) -> Vec<Value> {
    let pairs = stage.open(&stage.scene.cart);
    let streams = stage.streams(&stage.scene.cart, true);
    let sources = clients(&pairs)
        .into_iter()
        .chain(streams.iter().map(Client::address));
    let sources: Vec<_> = sources.collect();
    for Pair { mut client, app } in pairs {
        drop(app);
        assert_eq!(ending(&mut client), Ending::End);
    }
    let told = |source| {
        let log = stage.scene.sidecar().log();
        let mut lines = log.into_iter();
        lines.find(|line| line["kind"] == "connection" && is_from(line, source))
    };
    // A look at its table makes the kernel notice what has run out; by itself it looks once in a while.
    let all = || {
        entries(&stage.scene.web, |_| true);
        sources.iter().all(|source| told(*source).is_some())
    };
    assert!(wait_until(SOON, all), "{:#?}", stage.scene.sidecar().log());
    sources.iter().filter_map(|source| told(*source)).collect()
}

/// How soon UDP is forgotten, in seconds.
fn forget_datagrams_soon(stage: &Stage) {
    for name in ["udp_timeout", "udp_timeout_stream"] {
        let name = format!("net.netfilter.nf_conntrack_{name}");
        stage.scene.web.sysctl(&name, "1").unwrap();
    }
}

fn are_told(lines: &[Value], counted: bool) {
    for (line, (protocol, end)) in lines.iter().zip([
        ("TCP", "closed"),
        ("TCP", "closed"),
        ("UDP", "idle"),
        ("UDP", "idle"),
    ]) {
        let told = ["mode", "protocol", "verdict", "end"].map(|field| &line[field]);
        let wanted = ["queue", protocol, "allow", end].map(Value::from);
        assert_eq!(told, wanted.each_ref(), "{line}");
        let least = match protocol {
            // Five bytes each way, in packets of their own, after the handshake.
            "TCP" => 4 * 40 + 5,
            _ => 20 + 8 + 2,
        };
        for field in ["bytes_in", "bytes_out"] {
            let bytes = line[field].as_u64();
            match counted {
                true => assert!(
                    bytes >= Some(least) && bytes < Some(2000),
                    "{field}: {line}"
                ),
                false => assert_eq!(line[field], Value::Null, "{line}"),
            }
        }
    }
}

#[test]
fn the_kernel_counts_where_it_was_told_to() {
    let stage = with_accounting("1");
    forget_datagrams_soon(&stage);
    are_told(&ended(&stage), true);
    let bytes = |direction: &str| {
        let series = format!("podwall_bytes_total{{direction=\"{direction}\"}}");
        stage.scene.sidecar().metric(&series).unwrap()
    };
    assert!(bytes("in") > Some(300.0) && bytes("out") > Some(300.0));
}

#[test]
fn without_accounting_bytes_are_not_known() {
    let stage = with_accounting("0");
    forget_datagrams_soon(&stage);
    are_told(&ended(&stage), false);
}

/// What a revocation has carried is told too.
#[test]
fn p28_a_cut_flow_is_told_with_its_bytes() {
    let mut stage = with_accounting("1");
    let pairs = stage.open(&stage.scene.cart);
    let streams = stage.streams(&stage.scene.cart, true);
    let lab = &mut stage.scene.lab;
    lab.policy("shop", "cart-only", FRIENDS_ONLY).unwrap();
    let sources = clients(&pairs)
        .into_iter()
        .chain(streams.iter().map(Client::address));
    for source in sources {
        let line = line(&stage.scene, "connection", source);
        assert_eq!(line["end"], "revoked", "{line}");
        assert!(line["bytes_in"].as_u64() > Some(0), "{line}");
        assert!(line["bytes_out"].as_u64() > Some(0), "{line}");
    }
}

/// What goes on knocking at a flow that was cut is told and counted as in mode redirect: a connection attempt by a line
/// of its own, more datagrams of the same flow by the counter alone.
#[test]
fn p37_what_meets_a_cut_flow_is_accounted_for() {
    const PORT: u16 = 20_000;
    const MORE: usize = 100;
    let mut stage = Stage::set(CART_ONLY);
    let targets = both(&stage.scene.web, APP);
    let pairs: Vec<Pair> = targets
        .map(|to| {
            let client = connect_by(&stage.scene.cart, PORT, to, SOON).expect("let in");
            let app = stage.app.accept();
            Pair { client, app }
        })
        .into();
    let streams = stage.streams(&stage.scene.cart, true);
    let sources: Vec<_> = clients(&pairs)
        .into_iter()
        .chain(streams.iter().map(Client::address))
        .collect();
    stage.cuts_all_but_friends(pairs);
    for source in &sources {
        let end = line(&stage.scene, "connection", *source);
        assert_eq!(end["end"], "revoked", "{end}");
    }
    let refused = entries(&stage.scene.web, |entry| entry.mark & REFUSED != 0);
    assert_eq!(refused.len(), sources.len(), "{refused:?}");

    for to in targets {
        let entered = connect_by(&stage.scene.cart, PORT, to, SOON).map_err(|error| error.kind());
        assert_eq!(entered.map(drop), Err(ErrorKind::ConnectionRefused), "{to}");
        let denied = |line: &Value| {
            line["source_port"] == PORT
                && line["end"] == "denied"
                && line["reason"] == "no_rule_admits"
                && line["destination"] == to.ip().to_string().as_str()
        };
        stage.scene.sidecar().wait_log(0, denied, SOON).unwrap();
    }
    let dropped = "podwall_udp_dropped_total{why=\"denied\"}";
    let count = || stage.scene.sidecar().metric(dropped).unwrap();
    for stream in &streams {
        let before = count().unwrap_or(0.0);
        for _ in 0..MORE {
            stage.datagrams.answer(b"still here", stream.address());
            stream.say(b"late");
        }
        let all = || count() == Some(before + MORE as f64);
        assert!(wait_until(SOON, all), "{:?} after {before}", count());
        let log = stage.scene.sidecar().log();
        let own = |line: &&Value| line["kind"] == "connection" && is_from(line, stream.address());
        assert_eq!(log.iter().filter(own).count(), 1);
    }
    assert!(stage.datagrams.has_heard_nothing());
}

#[test]
fn a_port_on_which_nobody_listens_is_told_as_app_refused() {
    let stage = Stage::set(CART_ONLY);
    for to in both(&stage.scene.web, 7999) {
        let skip = stage.scene.sidecar().log().len();
        let refused = connect(&stage.scene.cart, to).map_err(|error| error.kind());
        assert_eq!(refused.unwrap_err(), ErrorKind::ConnectionRefused);
        let line = stage.scene.line(skip, &stage.scene.cart, 7999);
        let told = (&line["verdict"], &line["end"]);
        assert_eq!(told, (&"allow".into(), &"app_refused".into()), "{line}");
    }
}

/// An application that is too busy to take a connection has not refused it.
#[test]
fn a_syn_that_nobody_answers_is_told_as_forgotten() {
    const BUSY: u16 = 7998;
    let stage = Stage::set(CART_ONLY);
    let timeout = "net.netfilter.nf_conntrack_tcp_timeout_syn_sent";
    stage.scene.web.sysctl(timeout, "1").unwrap();
    let listen = || {
        let socket = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, BUSY));
        socket.bind(&any.into()).unwrap();
        socket.listen(0).unwrap();
        socket
    };
    let _listener = stage.scene.web.enter(listen).unwrap();
    for to in both(&stage.scene.web, BUSY) {
        let mut taken = Vec::new();
        let within = Duration::from_millis(300);
        // Those that find room in the listener's queue, and one that does not.
        let unanswered =
            (20_000..20_010).find(
                |port| match connect_by(&stage.scene.cart, *port, to, within) {
                    Ok(client) => {
                        taken.push(client);
                        false
                    }
                    Err(error) => error.kind() == ErrorKind::TimedOut,
                },
            );
        let port = unanswered.expect("one that is not answered");
        let told = |line: &Value| line["destination_port"] == BUSY && line["source_port"] == port;
        let is_told = || {
            entries(&stage.scene.web, |_| true);
            stage.scene.sidecar().log().iter().any(told)
        };
        assert!(wait_until(SOON, is_told), "{to}");
        let log = stage.scene.sidecar().log();
        let line = log.iter().find(|line| told(line)).unwrap();
        let told = (&line["verdict"], &line["end"]);
        assert_eq!(told, (&"allow".into(), &"forgotten".into()), "{line}");
        drop(taken);
    }
}

#[test]
fn live_flows_are_a_gauge() {
    let stage = Stage::set(CART_ONLY);
    // Who asks inside the pod is none of them.
    let inside = inside(&stage.scene);
    let live = |wanted| {
        let live = || inside.metric("podwall_connections_live").unwrap().unwrap();
        assert!(wait_until(SOON, || live() == wanted), "{} are live", live());
    };
    live(0.0);
    let pairs = stage.open(&stage.scene.cart);
    live(2.0);
    drop(pairs);
    live(0.0);
}

/// SIGTERM: nobody new is let in, what is open may end, and what does not is left to the kernel.
#[test]
fn sigterm_refuses_newcomers_and_leaves_what_is_open_to_the_kernel() {
    let stage = Stage::set_with(CART_ONLY, &[], &["--drain-timeout", "3s"]);
    let scene = &stage.scene;
    let mut pairs = stage.open(&scene.cart);
    let streams = stage.streams(&scene.cart, true);
    let mut leaving = stage.open(&scene.cart);
    scene.sidecar().process().signal(Signal::TERM).unwrap();
    let to = both(&scene.web, APP);
    let draining = |line: &Value| line["reason"] == "draining";
    let refused = || {
        let refused = connect(&scene.cart, to[0]).map_err(|error| error.kind());
        matches!(refused, Err(ErrorKind::ConnectionRefused))
    };
    assert!(wait_until(SOON, refused), "newcomers are let in");
    let new = Client::new(&scene.cart, datagrams::both(&scene.web, DATAGRAMS)[1]);
    new.say(b"new");
    let line_of_new = line(scene, "connection", new.address());
    assert!(draining(&line_of_new), "{line_of_new}");
    leaving.iter_mut().for_each(Pair::greet);
    let left = clients(&leaving);
    drop(leaving);
    for one in left {
        assert_eq!(line(scene, "connection", one)["end"], "closed");
    }
    let process = scene.sidecar().process();
    let status = process.wait(SOON).unwrap();
    assert_eq!(status.code(), Some(0), "{}", process.output_so_far());
    let open = clients(&pairs)
        .into_iter()
        .chain(streams.iter().map(Client::address));
    let log = scene.sidecar().log();
    for source in open {
        let own = |line: &&Value| line["kind"] == "connection" && is_from(line, source);
        let line = log.iter().find(own).expect("a line");
        let told = (&line["verdict"], &line["end"]);
        assert_eq!(told, (&"allow".into(), &"left_open".into()), "{line}");
    }
    assert!(log.iter().any(draining));
    pairs.iter_mut().for_each(Pair::greet);
    stage.datagrams.drain();
    streams.iter().for_each(|stream| stage.comes_in(stream));
}

/// The last flow's end ends the wait.
#[test]
fn sigterm_waits_no_longer_than_for_the_last_flow() {
    let stage = Stage::set_with(CART_ONLY, &[], &["--drain-timeout", "1h"]);
    let pairs = stage.open(&stage.scene.cart);
    let process = stage.scene.sidecar().process();
    process.signal(Signal::TERM).unwrap();
    let not_ready = || {
        let answer = stage.scene.sidecar().get("/readyz");
        !answer.is_ok_and(|(code, _)| code == 200)
    };
    assert!(wait_until(SOON, not_ready));
    assert_eq!(process.status(), None, "it did not wait");
    drop(pairs);
    let status = process.wait(SOON + Duration::from_secs(5)).unwrap();
    assert_eq!(status.code(), Some(0), "{}", process.output_so_far());
}
