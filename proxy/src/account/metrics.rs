//! The metrics: what is counted, under which names, with which labels.
//!
//! Every label has few values, known at build time; no series has more than
//! [`MAX_LABELS`](super::MAX_LABELS) of them (P31). Addresses and pod names are in the log only.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use podwall_policy::flow::Protocol;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::{Dropped, SourceReading};
use crate::arrival::Mode;
use crate::ruling::Decision;

/// Upper bounds of the decision-time buckets, in seconds: a warm decision takes well under a
/// microsecond; a millisecond means that something is wrong.
const DECISION_BUCKETS: [f64; 10] = [
    2.5e-7, 5e-7, 1e-6, 2.5e-6, 5e-6, 1e-5, 5e-5, 1e-4, 1e-3, 1e-2,
];

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct ArrivalLabels {
    mode: &'static str,
    protocol: &'static str,
    verdict: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct DirectionLabel {
    direction: &'static str,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq, EncodeLabelSet)]
struct WhyLabel {
    why: &'static str,
}

/// Counts one thing in a gauge for as long as it lives.
#[derive(Debug)]
#[must_use = "dropped at once, it counts nothing"]
pub struct Gauged(Gauge);

impl Gauged {
    fn count(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Every metric of the process.
pub(super) struct Metrics {
    started: Instant,
    registry: Registry,
    arrivals: Family<ArrivalLabels, Counter>,
    revoked: Family<ReasonLabel, Counter>,
    bytes_in: Counter,
    bytes_out: Counter,
    live: Gauge,
    half_closed: Gauge,
    held: Gauge,
    udp: Udp,
    decision_time: Histogram,
    no_local_port: Counter,
    accept_errors: Counter,
    unreadable: Family<WhyLabel, Counter>,
    spoofed: Gauge,
    queue_dropped: Gauge,
    lines_dropped: Counter,
    source_age: Gauge<f64, AtomicU64>,
    source_problem: Gauge,
    synced: Gauge,
    subject_known: Gauge,
    generation: Gauge,
    pods: Gauge,
    namespaces: Gauge,
    policies: Gauge,
    contested: Gauge,
    findings: Gauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let bytes = Family::<DirectionLabel, Counter>::default();
        let of = |direction| bytes.get_or_create_owned(&DirectionLabel { direction });
        let mut metrics = Self {
            started: Instant::now(),
            registry: Registry::with_prefix("podwall"),
            arrivals: Family::default(),
            revoked: Family::default(),
            bytes_in: of("in"),
            bytes_out: of("out"),
            live: Gauge::default(),
            half_closed: Gauge::default(),
            held: Gauge::default(),
            udp: Udp::default(),
            decision_time: Histogram::new(DECISION_BUCKETS),
            no_local_port: Counter::default(),
            accept_errors: Counter::default(),
            unreadable: Family::default(),
            spoofed: Gauge::default(),
            queue_dropped: Gauge::default(),
            lines_dropped: Counter::default(),
            source_age: Gauge::default(),
            source_problem: Gauge::default(),
            synced: Gauge::default(),
            subject_known: Gauge::default(),
            generation: Gauge::default(),
            pods: Gauge::default(),
            namespaces: Gauge::default(),
            policies: Gauge::default(),
            contested: Gauge::default(),
            findings: Gauge::default(),
        };
        metrics.register_arrivals(bytes);
        metrics.udp.register(&mut metrics.registry);
        metrics.register_world();
        metrics.register_health();
        metrics
    }

    fn register_arrivals(&mut self, bytes: Family<DirectionLabel, Counter>) {
        let registry = &mut self.registry;
        let arrivals = self.arrivals.clone();
        registry.register("arrivals", "Arrivals, counted at their end", arrivals);
        let revoked = self.revoked.clone();
        registry.register("revoked", "Open connections cut by a change", revoked);
        registry.register("bytes", "Payload bytes carried", bytes);
        let live = self.live.clone();
        registry.register("connections_live", "Connections let in and open", live);
        let half_closed = self.half_closed.clone();
        registry.register(
            "connections_half_closed",
            "Live connections of which one side has closed",
            half_closed,
        );
        let held = self.held.clone();
        registry.register("held", "Arrivals waiting for an answer", held);
        registry.register(
            "decision_seconds",
            "Time that one question to the law took",
            self.decision_time.clone(),
        );
        registry.register(
            "no_local_port",
            "Arrivals reset because no local port was left towards the application",
            self.no_local_port.clone(),
        );
    }

    fn register_world(&mut self) {
        let gauges = [
            (
                "generation",
                "Grows with every change that could alter a verdict",
                &self.generation,
            ),
            ("known_pods", "Live pods known", &self.pods),
            ("known_namespaces", "Namespaces known", &self.namespaces),
            ("policies", "Policies that select the pod", &self.policies),
            (
                "contested_addresses",
                "Addresses that several live pods claim",
                &self.contested,
            ),
            (
                "findings",
                "Findings about documents and policies",
                &self.findings,
            ),
        ];
        for (name, help, gauge) in gauges {
            self.registry.register(name, help, gauge.clone());
        }
    }

    fn register_health(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "accept_errors",
            "Failed accepts, descriptors running out among them",
            self.accept_errors.clone(),
        );
        registry.register(
            "spoofed_self_packets",
            "Packets with a forged source that the rules dropped, as last read",
            self.spoofed.clone(),
        );
        registry.register(
            "queue_dropped_packets",
            "Packets that found no room in the kernel's queues, as last read",
            self.queue_dropped.clone(),
        );
        registry.register(
            "unreadable_packets",
            "Packets refused because they cannot be read",
            self.unreadable.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Access-log lines lost because their reader is slow or gone",
            self.lines_dropped.clone(),
        );
        registry.register(
            "source_age_seconds",
            "Since the source last confirmed its state, or since the start where it never did",
            self.source_age.clone(),
        );
        let problem = self.source_problem.clone();
        registry.register(
            "source_problem",
            "1 while the source is in trouble",
            problem,
        );
        let synced = self.synced.clone();
        registry.register("synced", "1 once a whole state was delivered", synced);
        let known = self.subject_known.clone();
        registry.register("subject_known", "1 while the source knows the pod", known);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running version", build);
    }

    pub(super) fn arrival(&self, mode: Mode, protocol: Protocol, decision: Decision) {
        let labels = ArrivalLabels {
            mode: mode.label(),
            protocol: protocol.label(),
            verdict: decision.label(),
            reason: decision.reason(),
        };
        self.arrivals.get_or_create(&labels).inc();
    }

    pub(super) fn revoked(&self, decision: Decision) {
        let reason = decision.reason();
        self.revoked.get_or_create(&ReasonLabel { reason }).inc();
    }

    pub(super) fn carried(&self, inward: u64, outward: u64) {
        self.bytes_in.inc_by(inward);
        self.bytes_out.inc_by(outward);
    }

    pub(super) fn decided(&self, took: Duration) {
        self.decision_time.observe(took.as_secs_f64());
    }

    pub(super) fn live(&self) -> Gauged {
        Gauged::count(&self.live)
    }

    pub(super) fn held(&self) -> Gauged {
        Gauged::count(&self.held)
    }

    pub(super) fn half_closed(&self) -> Gauged {
        Gauged::count(&self.half_closed)
    }

    pub(super) fn session(&self) -> Gauged {
        Gauged::count(&self.udp.sessions)
    }

    pub(super) fn datagrams_dropped(&self, why: Dropped, count: usize) {
        if count > 0 {
            let why = why.label();
            let dropped = self.udp.dropped.get_or_create(&WhyLabel { why });
            dropped.inc_by(count as u64);
        }
    }

    pub(super) fn app_unreachable(&self) {
        self.udp.unreachable.inc();
    }

    pub(super) fn client_error(&self, why: &'static str) {
        self.udp
            .client_errors
            .get_or_create(&WhyLabel { why })
            .inc();
    }

    pub(super) fn evicted(&self) {
        self.udp.evicted.inc();
    }

    pub(super) fn no_local_port(&self) {
        self.no_local_port.inc();
    }

    pub(super) fn queue_dropped(&self, packets: u64) {
        set(&self.queue_dropped, packets);
    }

    pub(super) fn spoofed(&self, packets: u64) {
        set(&self.spoofed, packets);
    }

    pub(super) fn unreadable(&self, why: &'static str) {
        self.unreadable.get_or_create(&WhyLabel { why }).inc();
    }

    pub(super) fn accept_failed(&self) {
        self.accept_errors.inc();
    }

    /// The counter of lost lines, for the log's writer.
    pub(super) fn lines_dropped(&self) -> Counter {
        self.lines_dropped.clone()
    }

    pub(super) fn render(&self, source: &SourceReading) -> String {
        let age = source.age.unwrap_or_else(|| self.started.elapsed());
        self.source_age.set(age.as_secs_f64());
        self.source_problem.set(i64::from(source.problem));
        self.synced.set(i64::from(source.synced));
        self.subject_known.set(i64::from(source.subject_known));
        let counts = [
            (&self.pods, source.pods),
            (&self.namespaces, source.namespaces),
            (&self.policies, source.policies),
            (&self.contested, source.contested),
            (&self.findings, source.findings),
        ];
        for (gauge, count) in counts {
            set(gauge, count);
        }
        set(&self.generation, source.generation);
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// What there is of UDP only.
#[derive(Default)]
struct Udp {
    sessions: Gauge,
    dropped: Family<WhyLabel, Counter>,
    unreachable: Counter,
    client_errors: Family<WhyLabel, Counter>,
    evicted: Counter,
}

impl Udp {
    fn register(&self, registry: &mut Registry) {
        let sessions = self.sessions.clone();
        registry.register("udp_sessions", "UDP sessions let in and open", sessions);
        let dropped = self.dropped.clone();
        registry.register("udp_dropped", "Datagrams that went no further", dropped);
        registry.register(
            "udp_app_unreachable",
            "ICMP errors that the application's side answered datagrams with",
            self.unreachable.clone(),
        );
        registry.register(
            "udp_client_errors",
            "ICMP errors that answers to UDP clients met",
            self.client_errors.clone(),
        );
        registry.register(
            "udp_evicted",
            "UDP sessions whose place went to another one",
            self.evicted.clone(),
        );
    }
}

/// A count as a gauge, which is signed.
fn set(gauge: &Gauge, count: impl TryInto<i64>) {
    gauge.set(count.try_into().unwrap_or(i64::MAX));
}
