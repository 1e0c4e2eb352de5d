//! A pod guarded in mode queue, with the test's own applications for TCP and UDP, and what the kernel knows of it.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use podwall_lab::{
    Endpoints, Lab, Mode, Place, Pod, PodSpec, Setting, Sidecar, Source, wait_until,
};
use podwall_proxy::kernel::{Conntrack, Entry, Sockets, Tuple};
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::datagrams;
use crate::support::{SOON, Scene, podwall};
use crate::talk::{APP, App, Ending, Pair, both, raise_descriptor_limit};

/// The UDP port of the test's own application.
pub const DATAGRAMS: u16 = 5300;
/// The mark of a connection that was let in and may not go on.
pub const REFUSED: u32 = podwall_deploy::REFUSED;
/// Within this time a change must have cut what it concerns.
pub const CUT: Duration = Duration::from_secs(1);
/// What an application reads whose connection was destroyed.
pub const ABORTED: Ending = Ending::Other(std::io::ErrorKind::ConnectionAborted);

/// Nobody may enter shop/web but pods that say `keep: yes`.
pub const FRIENDS_ONLY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: cart-only, namespace: shop }
spec:
  podSelector: { matchLabels: { app: web } }
  ingress: [{ from: [{ podSelector: { matchLabels: { keep: 'yes' } } }] }]
";

/// How podwall runs here; `shared` goes to both programs, `more` to the sidecar.
pub fn setting<'a>(shared: &'a [&'a str], more: &'a [&'a str]) -> Setting<'a> {
    Setting {
        mode: Mode::Queue,
        source: Source::Manifests,
        shared,
        more,
    }
}

/// Installs the rules and starts the sidecar; it is ready.
pub fn guard(scene: &mut Scene, shared: &[&str], more: &[&str]) {
    scene.sidecar = None;
    let setting = setting(shared, more);
    let sidecar = Sidecar::start_as(&setting, &scene.lab, &scene.web, &podwall());
    scene.sidecar = Some(sidecar.expect("a ready sidecar"));
}

/// Installs the rules alone.
pub fn install(scene: &Scene, mode: Mode, shared: &[&str]) {
    let done = Sidecar::redirect_as(mode, &scene.lab, &scene.web, &podwall(), shared).unwrap();
    assert!(done.status.success(), "{}", done.stderr);
}

/// Starts the sidecar alone and waits until it answers, whether or not it is ready.
pub fn launch(scene: &mut Scene, shared: &[&str], more: &[&str]) {
    scene.sidecar = None;
    let setting = setting(shared, more);
    let sidecar = Sidecar::launch_as(&setting, &scene.lab, &scene.web, &podwall()).unwrap();
    let inside = inside(scene);
    let alive = || inside.get("/livez").is_ok_and(|(code, _)| code == 200);
    assert!(
        wait_until(SOON, alive),
        "{}",
        sidecar.process().output_so_far()
    );
    scene.sidecar = Some(sidecar);
}

/// Waits until it is ready.
pub fn becomes_ready(scene: &Scene) {
    let ready = || readiness(scene).0 == 200;
    assert!(wait_until(SOON, ready), "{}", readiness(scene).1);
}

/// Status and text of `/readyz`, asked inside the pod: the node's probe is itself judged by way of the rules.
pub fn readiness(scene: &Scene) -> (u16, String) {
    inside(scene).get("/readyz").expect("an answer")
}

/// The sidecar's endpoints, asked inside the pod.
pub fn inside(scene: &Scene) -> Endpoints {
    Endpoints::new(scene.web.place(), scene.web.addresses()[0])
}

/// The first line of this kind about what came from `source`.
pub fn line(scene: &Scene, kind: &str, source: SocketAddr) -> Value {
    let wanted = |line: &Value| line["kind"] == kind && is_from(line, source);
    let line = scene.sidecar().wait_log(0, wanted, SOON);
    line.unwrap_or_else(|error| panic!("no {kind} of {source}: {error}"))
}

/// Whether a line is about what came from `source`.
pub fn is_from(line: &Value, source: SocketAddr) -> bool {
    line["source"] == source.ip().to_canonical().to_string().as_str()
        && line["source_port"] == source.port()
}

/// The scene's pods, `shop/friend` (app=cart, keep=yes) and applications in `shop/web`.
pub struct Stage {
    pub scene: Scene,
    pub friend: Pod,
    pub app: App,
    pub datagrams: datagrams::App,
}

impl Stage {
    /// Guarded, and ready.
    pub fn set(policies: &str) -> Self {
        Self::set_with(policies, &[], &[])
    }

    /// The same with more flags for both programs, and for the sidecar alone.
    pub fn set_with(policies: &str, shared: &[&str], more: &[&str]) -> Self {
        let mut stage = Self::bare(policies, |_| {});
        guard(&mut stage.scene, shared, more);
        stage
    }

    /// Without podwall; `prepare` changes the cluster.
    pub fn bare(policies: &str, prepare: impl FnOnce(&mut Lab)) -> Self {
        raise_descriptor_limit();
        let mut scene = Scene::bare(policies);
        let friend = PodSpec::new("shop", "friend")
            .label("app", "cart")
            .label("keep", "yes");
        let friend = scene.lab.pod(friend).unwrap();
        prepare(&mut scene.lab);
        Self {
            friend,
            app: App::listen(&scene.web, APP),
            datagrams: datagrams::App::listen(&scene.web, DATAGRAMS),
            scene,
        }
    }

    /// Open connections of a client, one over each family.
    pub fn open(&self, client: &Pod) -> Vec<Pair> {
        let to = both(&self.scene.web, APP);
        to.map(|to| Pair::open(client, to, &self.app)).into()
    }

    /// UDP flows of a client, one over each family, whose first datagram has come in; `answered` or not.
    pub fn streams(&self, client: &Pod, answered: bool) -> Vec<datagrams::Client> {
        let to = datagrams::both(&self.scene.web, DATAGRAMS);
        to.map(|to| {
            let stream = datagrams::Client::from(client, own(client, to), to);
            self.comes_in(&stream);
            if answered {
                self.datagrams.answer(b"answer", stream.address());
                assert_eq!(stream.hear(), b"answer");
            }
            stream
        })
        .into()
    }

    /// From now on friends alone may enter, and these connections are cut.
    pub fn cuts_all_but_friends(&mut self, pairs: Vec<Pair>) {
        let (began, lab) = (Instant::now(), &mut self.scene.lab);
        lab.policy("shop", "cart-only", FRIENDS_ONLY).unwrap();
        are_cut(&self.scene, pairs, began);
    }

    /// A datagram comes in, and nothing before it.
    pub fn comes_in(&self, stream: &datagrams::Client) {
        stream.say(b"in");
        let heard = self.datagrams.hear();
        assert_eq!(heard, (b"in".to_vec(), stream.address()));
    }

    /// None of these flows' datagrams comes in, also while the application goes on sending, which they hear. `friend`
    /// comes in, after them.
    pub fn stay_out(&self, streams: &[datagrams::Client], friend: &datagrams::Client) {
        self.datagrams.drain();
        for stream in streams {
            stream.drain();
            for _ in 0..10 {
                self.datagrams.answer(b"still here", stream.address());
                stream.say(b"late");
            }
            assert_eq!(stream.hear(), b"still here");
        }
        self.comes_in(friend);
        assert!(self.datagrams.has_heard_nothing());
    }

    /// Asks until it comes in again.
    pub fn comes_in_again(&self, stream: &datagrams::Client) {
        self.datagrams.drain();
        let again = || {
            stream.say(b"again");
            !self.datagrams.has_heard_nothing()
        };
        assert!(wait_until(SOON, again), "{} stays out", stream.address());
        self.datagrams.drain();
        self.comes_in(stream);
    }
}

/// An address of the client's own, of the family of `to`.
fn own(client: &Pod, to: SocketAddr) -> SocketAddr {
    let address: IpAddr = match to {
        SocketAddr::V4(_) => client.v4().into(),
        SocketAddr::V6(_) => client.v6().into(),
    };
    (address, 0).into()
}

/// The clients' ends of pairs.
pub fn clients(pairs: &[Pair]) -> Vec<SocketAddr> {
    let ends = pairs.iter().map(|pair| pair.client.local_addr().unwrap());
    ends.collect()
}

/// Connects from a port of the place's own choice.
pub fn connect_by(
    place: &Place,
    port: u16,
    to: SocketAddr,
    within: Duration,
) -> std::io::Result<TcpStream> {
    let connect = || {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        let any: IpAddr = match to {
            SocketAddr::V4(_) => [0; 4].into(),
            SocketAddr::V6(_) => [0; 16].into(),
        };
        socket.bind(&SocketAddr::new(any, port).into())?;
        socket.connect_timeout(&to.into(), within)?;
        std::io::Result::Ok(TcpStream::from(socket))
    };
    place.enter(connect).unwrap()
}

/// Both ends of every pair see an abort within [`CUT`] of `began`: the client a reset, the application its own kind.
pub fn are_cut(scene: &Scene, pairs: Vec<Pair>, began: Instant) {
    let ends = pairs.into_iter().flat_map(|pair| {
        let client = pair.client.local_addr().unwrap();
        [
            (format!("client {client}"), pair.client, Ending::Reset),
            (format!("application of {client}"), pair.app, ABORTED),
        ]
    });
    let watch = |(end, mut stream, wanted)| {
        thread::spawn(move || {
            let how = crate::talk::ending(&mut stream);
            (end, how, wanted, began.elapsed())
        })
    };
    let watched: Vec<_> = ends.map(watch).collect();
    for one in watched {
        let (end, how, wanted, after) = one.join().unwrap();
        let output = || scene.sidecar().process().output_so_far();
        assert_eq!(how, wanted, "{end}\n{}", output());
        assert!(after < CUT, "{end} after {after:?}\n{}", output());
    }
}

/// What the place's connection tracking knows of flows for which `wanted` holds.
pub fn entries(place: &Place, wanted: impl Fn(&Entry) -> bool + Sync) -> Vec<Entry> {
    let dump = || {
        let mut found = Vec::new();
        Conntrack::open().unwrap().dump(&mut |entry| {
            if wanted(&entry) {
                found.push(entry);
            }
        })?;
        std::io::Result::Ok(found)
    };
    place.enter(dump).unwrap().expect("the place's entries")
}

/// The TCP connections of the place for which `wanted` holds, by their peer's view.
pub fn connected(place: &Place, wanted: impl Fn(&Tuple) -> bool + Sync) -> Vec<Tuple> {
    let list = || {
        let mut found = Vec::new();
        Sockets::open().unwrap().connected(&mut |socket| {
            let protocol = podwall_policy::flow::Protocol::Tcp;
            let tuple = Tuple::new(protocol, socket.remote, socket.local);
            if wanted(&tuple) {
                found.push(tuple);
            }
        })?;
        std::io::Result::Ok(found)
    };
    place.enter(list).unwrap().expect("the place's sockets")
}
