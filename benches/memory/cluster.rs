//! A cluster whose pods look like real ones: 100 namespaces, 1,000 Deployments, JSON as it is served.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

const NAMESPACES: u32 = 100;
const DEPLOYMENTS: u32 = 1_000;

/// The letters of generated names: no vowels, nothing that looks like another.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

pub struct Cluster {
    pub pods: u32,
    pub dual_stack: bool,
    /// Every pod has a label of its own.
    pub unique: bool,
}

impl Cluster {
    pub fn namespaces(&self) -> impl Iterator<Item = String> {
        (0..NAMESPACES).map(|at| {
            format!(
                r#"{{"kind":"Namespace","apiVersion":"v1","metadata":{{"name":"team-{at}","uid":"{}",
                "labels":{{"kubernetes.io/metadata.name":"team-{at}","team":"t{at}"}}}}}}"#,
                uuid(u64::from(at))
            )
        })
    }

    /// The `at`th pod after `round` rolling updates.
    pub fn pod(&self, at: u32, round: u32) -> String {
        let deployment = at % DEPLOYMENTS;
        let namespace = deployment % NAMESPACES;
        let hash = word(u64::from(deployment) << 32 | u64::from(round), 10);
        let seed = u64::from(at) << 8 | u64::from(round) | 1 << 60;
        let v4 = Ipv4Addr::from_bits(0x0a00_0000 + (round % 2) * (1 << 22) + at);
        let mut addresses = format!(r#"{{"ip":"{v4}"}}"#);
        if self.dual_stack {
            let v6 = Ipv6Addr::from_bits((0xfd00_0010 << 96) + u128::from(v4.to_bits()));
            addresses += &format!(r#",{{"ip":"{v6}"}}"#);
        }
        let unique = if self.unique {
            format!(r#","apps.kubernetes.io/pod-index":"{at}""#)
        } else {
            String::new()
        };
        format!(
            r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{"name":"web-{deployment}-{hash}-{}",
            "generateName":"web-{deployment}-{hash}-","namespace":"team-{namespace}","uid":"{}",
            "resourceVersion":"{at}","creationTimestamp":"2026-11-24T10:00:00Z","labels":{{
            "app":"web-{deployment}","app.kubernetes.io/name":"web","app.kubernetes.io/part-of":"shop",
            "tier":"frontend","pod-template-hash":"{hash}"{unique}}}}},
            "spec":{{"nodeName":"node-{}","serviceAccountName":"default","containers":[{{"name":"web",
            "image":"registry.example/web:1.2.3","ports":[{{"name":"http","containerPort":8080,"protocol":"TCP"}},
            {{"name":"metrics","containerPort":9090,"protocol":"TCP"}}]}}]}},
            "status":{{"phase":"Running","startTime":"2026-11-24T10:00:{:02}Z","hostIP":"192.168.0.1",
            "hostIPs":[{{"ip":"192.168.0.1"}}],"podIP":"{v4}","podIPs":[{addresses}]}}}}"#,
            word(seed, 5),
            uuid(seed),
            at % 1_000,
            at % 60,
        )
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stack = if self.dual_stack { "dual" } else { "single" };
        let labels = if self.unique {
            ", each with a label of its own"
        } else {
            ""
        };
        write!(
            out,
            "{} pods of {DEPLOYMENTS} Deployments in {NAMESPACES} namespaces, {stack} stack{labels}",
            self.pods
        )
    }
}

/// A number that looks random and is the same each time (the finalizer of splitmix64).
fn scramble(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

fn word(seed: u64, letters: usize) -> String {
    let mut rest = scramble(seed);
    let count = LETTERS.len() as u64;
    let letter = |rest: &mut u64| {
        let one = LETTERS[usize::try_from(*rest % count).unwrap_or(0)];
        *rest /= count;
        char::from(one)
    };
    (0..letters).map(|_| letter(&mut rest)).collect()
}

fn uuid(seed: u64) -> String {
    let (high, low) = (scramble(seed), scramble(!seed));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}
