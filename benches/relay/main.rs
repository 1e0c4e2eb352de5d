//! What podwall costs in mode `redirect`, beside a direct baseline in the same run.
//!
//! Two pods serve the same application, one plain and one behind podwall; a third pod asks. Rounds
//! alternate between the two, and every figure is a ratio of the same round. Application and sidecar
//! share one processor, the client has another. Congestion control is reno: bbr's pacing would hide
//! everything. No number is asserted. `-- --svg FILE` draws the ratios, `-- --rounds N` (default 5).

// A bench that cannot do its work ends; its table goes to stdout.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::path::PathBuf;
use std::time::Duration;

use podwall_lab::{Lab, LabResult, Pod, PodSpec, Sidecar};

mod app;
mod load;
mod report;

use report::Report;

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
    load::raise_open_files();
    let report = measure(rounds)?;
    println!("{}", report.table());
    if let Some(file) = after("--svg").map(PathBuf::from) {
        std::fs::write(&file, report.svg()).map_err(|source| podwall_lab::LabError::Io {
            what: format!("write {}", file.display()),
            source,
        })?;
    }
    Ok(())
}

/// The pods of the bench.
struct Bench {
    client: Pod,
    rogue: Pod,
    plain: Pod,
    guarded: Pod,
    sidecar: Sidecar,
    lab: Lab,
}

fn build() -> LabResult<Bench> {
    let mut lab = Lab::start()?;
    let (client, rogue, plain, guarded) = lab.batch(|lab| {
        lab.namespace("bench", &[])?;
        let pod = |lab: &mut Lab, name: &str, app: &str| {
            lab.pod(PodSpec::new("bench", name).label("app", app))
        };
        let pods = (
            pod(lab, "client", "client")?,
            pod(lab, "rogue", "rogue")?,
            pod(lab, "plain", "plain")?,
            pod(lab, "guarded", "server")?,
        );
        lab.set_policies_yaml(POLICY)?;
        Ok(pods)
    })?;
    for pod in [&client, &rogue, &plain, &guarded] {
        // Thousands of connections a second from few addresses: ports must come back at once.
        pod.place().sysctl("net.ipv4.tcp_tw_reuse", "1")?;
        pod.place()
            .sysctl("net.ipv4.ip_local_port_range", "2000 65000")?;
    }
    let program = PathBuf::from(env!("CARGO_BIN_EXE_podwall"));
    let sidecar = Sidecar::start(&lab, &guarded, &program, &[])?;
    load::pin_process(sidecar.process().pid(), SERVER_CPU);
    Ok(Bench {
        client,
        rogue,
        plain,
        guarded,
        sidecar,
        lab,
    })
}

fn measure(rounds: usize) -> LabResult<Report> {
    let bench = build()?;
    let _plain = app::App::start(&bench.plain, PORT, SERVER_CPU)?;
    let _guarded = app::App::start(&bench.guarded, PORT, SERVER_CPU)?;
    let mut report = Report::default();
    for round in 0..rounds {
        eprintln!("round {} of {rounds}", round + 1);
        for figure in load::FIGURES {
            // The order alternates, so that a drift of the machine falls on both sides.
            let mut sides = [("direct", &bench.plain), ("redirect", &bench.guarded)];
            if round % 2 == 1 {
                sides.reverse();
            }
            for (name, server) in sides {
                let target = (server.v4(), PORT).into();
                let values = load::run(&bench.client, *figure, target, SLICE, CLIENT_CPU)?;
                report.add(name, values);
            }
        }
        let target = (bench.guarded.v4(), PORT).into();
        report.add(
            "redirect",
            load::denied(&bench.rogue, target, SLICE, CLIENT_CPU)?,
        );
    }
    let idle = load::anonymous_memory(bench.sidecar.process().pid());
    let target = (bench.guarded.v4(), PORT).into();
    let held = load::hold(&bench.client, target, HELD, || {
        load::anonymous_memory(bench.sidecar.process().pid())
    })?;
    report.memory(idle, held, HELD);
    drop(bench.lab);
    Ok(report)
}
