//! The sidecar dies and comes back; the init step runs again, and again. The pod is never open meanwhile (P19).

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use podwall_lab::{Place, Sidecar, Signal, wait_until};

use crate::support::{CART_ONLY, SOON, Scene, Seen, podwall};
use crate::talk::{APP, App, Busy, Ending, HELLO, Pair, both, connect, ending};

#[test]
fn p19_killed_it_leaves_the_pod_closed_and_comes_back_with_the_present_policy() {
    let mut scene = Scene::guarded(CART_ONLY);
    let app = App::listen(&scene.web, APP);
    let pairs = both(&scene.web, APP).map(|to| Pair::open(&scene.cart, to, &app));
    scene.sidecar().process().signal(Signal::KILL).unwrap();
    scene.sidecar().process().wait(SOON).unwrap();
    for Pair {
        mut client,
        mut app,
    } in pairs
    {
        assert_ne!(ending(&mut client), Ending::Open, "nobody carries it");
        assert_ne!(ending(&mut app), Ending::Open, "nobody carries it");
    }
    for client in [&scene.cart, &scene.rogue, &scene.stranger] {
        assert_eq!(scene.ask(client, 80), Seen::Refused);
        assert_eq!(scene.ask_v6(client, 80), Seen::Refused);
    }
    for to in both(&scene.web, 80) {
        connect(scene.lab.node(), to).expect("the node's probe");
    }
    let rogue_only = CART_ONLY.replace("app: cart", "app: rogue");
    scene.lab.set_policies_yaml(&rogue_only).unwrap();
    scene.sidecar = None;
    let again = Sidecar::launch(&scene.lab, &scene.web, &podwall(), &[]).unwrap();
    let ready = || again.get("/readyz").is_ok_and(|(code, _)| code == 200);
    assert!(
        wait_until(SOON, ready),
        "{}",
        again.process().output_so_far()
    );
    scene.sidecar = Some(again);
    assert_eq!(scene.ask(&scene.rogue, 80), Seen::Page);
    assert_eq!(scene.ask_v6(&scene.rogue, 80), Seen::Page);
    assert_eq!(scene.ask(&scene.cart, 80), Seen::Reset);
    assert_eq!(scene.ask_v6(&scene.cart, 80), Seen::Reset);
}

/// Visits until told to stop; counts the visits, and panics where one was answered otherwise than it must be.
fn visit(
    place: &Place,
    to: [SocketAddr; 2],
    welcome: bool,
    stop: &AtomicBool,
    visits: &AtomicUsize,
) {
    while !stop.load(Ordering::SeqCst) {
        for to in to {
            let mut heard = Vec::new();
            let answer = connect(place, to).and_then(|mut one| one.read_to_end(&mut heard));
            let answer = answer.map_err(|error| error.kind());
            if welcome {
                assert_eq!((answer, &heard[..]), (Ok(HELLO.len()), HELLO), "{to}");
            } else {
                let shut = [ErrorKind::ConnectionReset, ErrorKind::ConnectionRefused];
                let refused = matches!(answer, Err(kind) if shut.contains(&kind));
                assert!(refused && heard.is_empty(), "{to}: {answer:?} {heard:?}");
            }
            visits.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Each commit replaces a table's rules whole, so neither who may enter nor who may not notices one.
#[test]
fn p19_twenty_more_runs_of_the_init_step_open_nothing_and_break_nothing() {
    let scene = Scene::guarded(CART_ONLY);
    let greeting = App::listen(&scene.web, 7001);
    greeting.serve(|mut stream| {
        let _gone = std::io::Write::write_all(&mut stream, HELLO);
    });
    let app = App::listen(&scene.web, APP);
    let busy = both(&scene.web, APP).map(|to| Busy::start(Pair::open(&scene.cart, to, &app)));
    let to = both(&scene.web, 7001);
    let stop = AtomicBool::new(false);
    let [allowed, denied] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let before = rules(&scene);
    thread::scope(|scope| {
        let welcome = scope.spawn(|| visit(&scene.cart, to, true, &stop, &allowed));
        let shut = scope.spawn(|| visit(&scene.rogue, to, false, &stop, &denied));
        for run in 0..20 {
            let seen = [&allowed, &denied].map(|one| one.load(Ordering::SeqCst));
            let installed = Sidecar::install(&scene.lab, &scene.web, &podwall(), &[]);
            let met = wait_until(SOON, || {
                welcome.is_finished()
                    || shut.is_finished()
                    || allowed.load(Ordering::SeqCst) > seen[0]
                        && denied.load(Ordering::SeqCst) > seen[1]
            });
            if installed.is_err() || !met || welcome.is_finished() || shut.is_finished() {
                stop.store(true, Ordering::SeqCst);
                panic!("run {run}: {installed:?}");
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    assert_eq!(rules(&scene), before, "twenty runs leave the same rules");
    for one in busy {
        one.goes_on(one.carried());
        assert!(one.finish() > 0);
    }
    assert_eq!(scene.sidecar().get("/readyz").unwrap().0, 200);
}

/// The rules of both families, without counters and comments.
fn rules(scene: &Scene) -> Vec<String> {
    let saved =
        ["iptables-nft-save", "ip6tables-nft-save"].map(|one| crate::inside::run(&scene.web, one));
    let lines = saved.iter().flat_map(|text| text.lines());
    let rules = lines.filter(|line| !line.starts_with(['#', ':']));
    rules.map(str::to_owned).collect()
}
