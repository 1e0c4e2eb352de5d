//! What podwall costs in either mode, beside a direct baseline in the same run.
//!
//! Five pods serve the same application: one plain, one behind podwall in each mode, and two whose queue is served by a
//! bare loop that lets everything in, one behind the barest rules and one behind those of mode `queue`. Another pod asks.
//! Every round goes through all of them in turn, and every figure is a ratio of the same round. Application and sidecar
//! share one processor, the client has another. Congestion control is reno: bbr's pacing would hide
//! everything. No number is asserted. `-- --svg FILE` draws the ratios, `-- --rounds N` (default 5), and for a profile
//! `-- --only TEXT` takes the figures in whose name it is, such as `Connect(64)`, and `-- --slice SECONDS` (default 1).

// A bench that cannot do its work ends; its table goes to stdout.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use podwall_lab::{Lab, LabResult, Mode, Pod, PodSpec, Setting, Sidecar, Source};

mod app;
mod bare;
mod load;
mod report;

use report::{BARE, BARE_RULES, DIRECT, QUEUE, REDIRECT, Report};

/// How long each figure is measured in each round.
const SLICE: Duration = Duration::from_millis(1000);
/// Idle connections held open for the memory figure.
const HELD: usize = 5_000;
/// The application's port.
const PORT: u16 = 8080;
/// Processor of the application and the sidecar.
const SERVER_CPU: usize = 0;
/// Processor of the client.
const CLIENT_CPU: usize = 1;

/// Only pods labelled app=client may enter the guarded pod.
const POLICY: &str = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: clients-only, namespace: bench }
spec:
  podSelector: { matchLabels: { app: server } }
  ingress:
    - from: [{ podSelector: { matchLabels: { app: client } } }]
";

fn main() -> LabResult<()> {
    podwall_lab::elevate()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |flag: &str| words.iter().skip_while(|word| *word != flag).nth(1);
    let rounds = after("--rounds")
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    // Client and application hold thousands of sockets in this one process.
    podwall_proxy::sys::raise_descriptor_limit();
    let slice = after("--slice").and_then(|text| text.parse().ok());
    let effort = Effort {
        rounds,
        slice: slice.map_or(SLICE, Duration::from_secs),
        only: after("--only").cloned().unwrap_or_default(),
    };
    let report = measure(&effort)?;
    println!("{}", report.table());
    if let Some(file) = after("--svg").map(PathBuf::from) {
        std::fs::write(&file, report.svg()).map_err(|source| podwall_lab::LabError::Io {
            what: format!("write {}", file.display()),
            source,
        })?;
    }
    Ok(())
}

/// How much is measured.
struct Effort {
    rounds: usize,
    slice: Duration,
    only: String,
}

/// The pods of the bench.
struct Bench {
    client: Pod,
    rogue: Pod,
    plain: Pod,
    bare: Pod,
    bare_rules: Pod,
    redirect: Guarded,
    queue: Guarded,
    lab: Lab,
}

/// A pod behind podwall.
struct Guarded {
    pod: Pod,
    sidecar: Sidecar,
}

impl Guarded {
    fn target(&self) -> SocketAddr {
        (self.pod.v4(), PORT).into()
    }

    fn memory(&self) -> f64 {
        load::anonymous_memory(self.sidecar.process().pid())
    }
}

fn build() -> LabResult<Bench> {
    let mut lab = Lab::start()?;
    let pods = lab.batch(|lab| {
        lab.namespace("bench", &[])?;
        let pod = |lab: &mut Lab, name: &str, app: &str| {
            lab.pod(PodSpec::new("bench", name).label("app", app))
        };
        let pods = [
            pod(lab, "client", "client")?,
            pod(lab, "rogue", "rogue")?,
            pod(lab, "plain", "plain")?,
            pod(lab, "bare", "bare")?,
            pod(lab, "bare-rules", "bare")?,
            pod(lab, "redirect", "server")?,
            pod(lab, "queue", "server")?,
        ];
        lab.set_policies_yaml(POLICY)?;
        Ok(pods)
    })?;
    for pod in &pods {
        // Thousands of connections a second from few addresses: ports must come back at once.
        pod.place().sysctl("net.ipv4.tcp_tw_reuse", "1")?;
        pod.place()
            .sysctl("net.ipv4.ip_local_port_range", "2000 65000")?;
    }
    let [client, rogue, plain, bare, bare_rules, redirect, queue] = pods;
    let program = PathBuf::from(env!("CARGO_BIN_EXE_podwall"));
    let udp_port = ["--udp-port", &PORT.to_string()];
    let guard = |mode, pod| {
        let setting = Setting {
            mode,
            source: Source::Manifests,
            shared: match mode {
                Mode::Redirect => &udp_port,
                Mode::Queue => &[],
            },
            more: &[],
        };
        let sidecar = Sidecar::start_as(&setting, &lab, &pod, &program)?;
        load::pin_process(sidecar.process().pid(), SERVER_CPU);
        LabResult::Ok(Guarded { pod, sidecar })
    };
    let (redirect, queue) = (guard(Mode::Redirect, redirect)?, guard(Mode::Queue, queue)?);
    bare::install(&bare)?;
    let installed = Sidecar::redirect_as(Mode::Queue, &lab, &bare_rules, &program, &[])?;
    assert!(installed.status.success(), "{}", installed.stderr);
    Ok(Bench {
        client,
        rogue,
        plain,
        bare,
        bare_rules,
        redirect,
        queue,
        lab,
    })
}

fn measure(effort: &Effort) -> LabResult<Report> {
    let Effort { rounds, slice, .. } = *effort;
    let bench = build()?;
    let mut sides = [
        (DIRECT, &bench.plain),
        (BARE, &bench.bare),
        (BARE_RULES, &bench.bare_rules),
        (REDIRECT, &bench.redirect.pod),
        (QUEUE, &bench.queue.pod),
    ];
    let _apps: Vec<app::App> = sides
        .iter()
        .map(|(_, pod)| app::App::start(pod, PORT, SERVER_CPU))
        .collect::<LabResult<_>>()?;
    let _loops = [&bench.bare, &bench.bare_rules].map(|pod| bare::Bare::start(pod, SERVER_CPU));
    let mut report = Report::default();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        // The order changes, so that a drift of the machine falls on all sides.
        sides.rotate_left(1);
        let wanted = |figure: &&load::Figure| format!("{figure:?}").contains(&effort.only);
        for figure in load::FIGURES.iter().filter(wanted) {
            for (name, server) in sides {
                if name == BARE && matches!(figure, load::Figure::Datagrams) {
                    // Its one rule asks about TCP.
                    continue;
                }
                let target = (server.v4(), PORT).into();
                let values = load::run(&bench.client, *figure, target, slice, CLIENT_CPU)?;
                report.add(name, values);
            }
        }
        for (name, guarded) in [(REDIRECT, &bench.redirect), (QUEUE, &bench.queue)] {
            let denied = load::denied(&bench.rogue, guarded.target(), SLICE, CLIENT_CPU)?;
            report.add(name, denied);
        }
    }
    for (name, guarded) in [(REDIRECT, &bench.redirect), (QUEUE, &bench.queue)] {
        let idle = guarded.memory();
        let held = load::hold(&bench.client, guarded.target(), HELD, || guarded.memory())?;
        report.memory(name, idle, held, HELD);
    }
    drop(bench.lab);
    Ok(report)
}
