//! The stage of a cut, and what every cut must show.

#![allow(clippy::print_stdout)]

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use podwall_lab::{Lab, Pod, PodSpec, Sidecar, wait_until};
use serde_json::Value;

use crate::support::{SOON, Scene, podwall};
use crate::talk::{APP, App, Busy, Ending, Pair, both, ending, raise_descriptor_limit};

/// A guarded `shop/web` with the test's own application, and `shop/friend` (app=cart, keep=yes) beside the scene's pods.
pub struct Stage {
    pub scene: Scene,
    pub friend: Pod,
    pub app: App,
}

impl Stage {
    pub fn set(policies: &str) -> Self {
        Self::set_with(policies, &[], |_| {})
    }

    /// The same with more flags for the sidecar, and a cluster that `prepare` has changed before it started.
    pub fn set_with(policies: &str, more: &[&str], prepare: impl FnOnce(&mut Lab)) -> Self {
        raise_descriptor_limit();
        let mut scene = Scene::bare(policies);
        let friend = PodSpec::new("shop", "friend")
            .label("app", "cart")
            .label("keep", "yes");
        let friend = scene.lab.pod(friend).unwrap();
        prepare(&mut scene.lab);
        let app = App::listen(scene.web.place(), APP);
        let sidecar = Sidecar::start(&scene.lab, &scene.web, &podwall(), more);
        scene.sidecar = Some(sidecar.expect("a ready sidecar"));
        Self { scene, friend, app }
    }

    /// Open connections of a client, one over each family.
    pub fn open(&self, client: &Pod) -> Vec<Pair> {
        let to = both(&self.scene.web, APP);
        to.map(|to| Pair::open(client.place(), to, &self.app))
            .into()
    }

    /// One that is busy for as long as it may.
    pub fn busy(&self, client: &Pod) -> Busy {
        let [to, _] = both(&self.scene.web, APP);
        Busy::start(Pair::open(client.place(), to, &self.app))
    }

    /// Makes the change and proves that it resets both ends of each of these connections, idle since their hello, and
    /// that the log and the metrics say so. `friend` goes on meanwhile.
    pub fn cuts(&mut self, pairs: Vec<Pair>, reason: &str, change: impl FnOnce(&mut Lab)) {
        let friend = self.busy(&self.friend);
        let before = self.revoked(reason);
        let skip = self.scene.sidecar().log().len();
        let clients = addresses(&pairs);
        let began = Instant::now();
        change(&mut self.scene.lab);
        let output = || self.scene.sidecar().process().output_so_far();
        for (end, how, after) in endings(pairs, began) {
            assert_eq!(how, Ending::Reset, "{end}\n{}", output());
            println!("cut: {end} after {after:.1?}");
        }
        for client in &clients {
            let farewell = self.told(skip, *client, reason);
            let bytes = (&farewell["bytes_in"], &farewell["bytes_out"]);
            assert_eq!(bytes, (&5.into(), &5.into()), "{farewell}");
        }
        self.counted(before, clients.len(), reason);
        friend.goes_on(friend.carried());
        friend.finish();
    }

    /// Proves that the log tells of the revocation of the client's connection, and then of its end; gives the latter.
    pub fn told(&self, skip: usize, client: SocketAddr, reason: &str) -> Value {
        let of_client = |line: &Value| {
            line["source"] == client.ip().to_string().as_str()
                && line["source_port"] == client.port()
        };
        let sidecar = self.scene.sidecar();
        let ended = |line: &Value| line["kind"] == "connection" && of_client(line);
        let farewell = sidecar.wait_log(skip, ended, SOON).expect("a farewell");
        let lines = sidecar.log().split_off(skip);
        let at = |kind: &str| {
            let found = lines
                .iter()
                .position(|line| line["kind"] == kind && of_client(line));
            found.unwrap_or_else(|| panic!("no {kind} of {client} in {lines:#?}"))
        };
        let (revocation, end) = (at("revocation"), at("connection"));
        assert!(revocation < end, "the end is told first: {lines:#?}");
        for line in [&lines[revocation], &farewell] {
            let verdict = (&line["verdict"], &line["reason"]);
            assert_eq!(verdict, (&"deny".into(), &reason.into()), "{line}");
        }
        assert_eq!(farewell["end"], "revoked", "{farewell}");
        assert_eq!(lines[revocation]["end"], Value::Null);
        farewell
    }

    /// How many connections were cut so far for this reason.
    pub fn revoked(&self, reason: &str) -> f64 {
        let series = format!("podwall_revoked_total{{reason=\"{reason}\"}}");
        let value = self.scene.sidecar().metric(&series).expect("metrics");
        value.unwrap_or(0.0)
    }

    /// Proves that so many cuts were counted.
    pub fn counted(&self, before: f64, cuts: usize, reason: &str) {
        let wanted = before + cuts as f64;
        assert!(
            wait_until(SOON, || self.revoked(reason) == wanted),
            "podwall_revoked_total is {}, not {wanted}",
            self.revoked(reason)
        );
    }
}

/// The clients' addresses.
pub fn addresses(pairs: &[Pair]) -> Vec<SocketAddr> {
    let clients = pairs.iter().map(|pair| pair.client.local_addr());
    clients.map(Result::unwrap).collect()
}

/// How every end of every pair ended, and how long after `began`.
pub fn endings(pairs: Vec<Pair>, began: Instant) -> Vec<(String, Ending, Duration)> {
    let ends = pairs.into_iter().flat_map(|pair| {
        let client = pair.client.local_addr().unwrap();
        [
            (format!("client {client}"), pair.client),
            (format!("application of {client}"), pair.app),
        ]
    });
    let watch = |(end, mut stream)| {
        thread::spawn(move || {
            let how = ending(&mut stream);
            (end, how, began.elapsed())
        })
    };
    let watched: Vec<_> = ends.map(watch).collect();
    let watched = watched.into_iter().map(|one| one.join().unwrap());
    watched.collect()
}
