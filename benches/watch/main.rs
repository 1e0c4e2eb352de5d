//! From an object written to a real API server to its enforcement, and what one sidecar costs at each size of the
//! cluster.
//!
//! A client pod tries to connect to a guarded pod every millisecond and holds connections open, while a policy, or
//! the client's own labels, are written through the API. The clock of a sample starts when the API server's answer
//! to the write is there (in a further column, before the request is sent), and stops when the first new connection
//! that the new state rules on is over and, if it is one that shuts, the last open connection is reset. No number is
//! asserted; a change that is not enforced, or not for good, fails the bench.
//!
//! Everything is real but the other pods, which are objects without anything behind them. Sizes: `-- --help`.

// A bench that cannot do its work ends; its table goes to stdout.
#![allow(clippy::expect_used, clippy::print_stdout)]

use std::time::Duration;

use podwall_lab::{LabResult, Sidecar, wait_until};

mod app;
mod client;
mod crowd;
mod figures;
mod listing;
mod options;
mod report;
mod samples;
mod stage;
mod steady;
mod witness;

use crowd::Crowd;
use figures::{Memory, memory, received};
use listing::Listing;
use options::Options;
use report::Report;
use samples::Samples;
use stage::Stage;
use steady::Steady;
use witness::Witness;

/// Rounds before those that count: connections are warm and the last change of size has been taken in.
const WARM_UP: usize = 3;
/// Bound on a list after the API server's return: a back-off, and the list itself.
const RELIST: Duration = Duration::from_secs(180);

fn main() -> LabResult<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options = match Options::read(&words) {
        Ok(options) => options,
        Err(help) => {
            println!("{help}");
            return Ok(());
        }
    };
    podwall_lab::elevate()?;
    // Client and application hold thousands of sockets in this one process.
    podwall_proxy::sys::raise_descriptor_limit();
    let (report, steady) = measure(&options)?;
    println!(
        "Mode {}. From a write to its enforcement, in milliseconds: p50 / p90 / p99 / max\n",
        options.mode.word()
    );
    println!("{}\n", report.enforcement());
    println!("One sidecar's first list:\n\n{}\n", report.lists());
    if let Some(steady) = steady {
        println!("Pods that change, {} watchers more:\n", steady.watchers);
        println!("{}", report::steady(&steady));
    }
    Ok(())
}

fn measure(options: &Options) -> LabResult<(Report, Option<Steady>)> {
    let stage = Stage::build(options.mode)?;
    let mut crowd = Crowd::new(stage.admin())?;
    let (mut report, mut steady) = (Report::default(), None);
    for &pods in &options.pods {
        let took = crowd.grow(pods)?;
        eprintln!("{pods} pods: made in {:.1} s", took.as_secs_f64());
        crowd.select(options.policies[0])?;
        let (sidecar, mut listing) = listing::weigh(&stage)?;
        for &policies in &options.policies {
            crowd.select(policies)?;
            for &open in &options.open {
                let samples = rounds(&stage, &sidecar, open, options.rounds)?;
                eprintln!("{}", report.rounds([pods, policies, open], samples));
            }
        }
        if options.pods.last() == Some(&pods) {
            steady = Some(steady::weigh(&stage, &crowd, &sidecar, options.watchers)?);
        }
        if options.relist {
            listing.again = Some(list_again(&stage, &sidecar, &listing)?);
        }
        eprintln!("{}", report.listing(pods, listing));
    }
    Ok((report, steady))
}

/// Prints a sidecar's words where the bench fails: its part in it is in them.
struct Words<'a>(&'a Sidecar);

impl Drop for Words<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the sidecar said:\n{}", self.0.process().stderr_so_far());
        }
    }
}

/// With so many connections open whenever the door is shut.
fn rounds(stage: &Stage, sidecar: &Sidecar, open: usize, rounds: usize) -> LabResult<Samples> {
    let _words = Words(sidecar);
    let control = &stage.control;
    let witness = Witness::start(control.place(), control.kubeconfig())?;
    let mut samples = Samples::default();
    for _ in 0..WARM_UP {
        stage.round(open, &witness, &mut Samples::default())?;
    }
    for _ in 0..rounds {
        stage.round(open, &witness, &mut samples)?;
    }
    Ok(samples)
}

/// Kills the API server and starts it again, so that the sidecar must list anew, and gives its memory after that.
fn list_again(stage: &Stage, sidecar: &Sidecar, first: &Listing) -> LabResult<Memory> {
    stage.outdate()?;
    let before = received(&stage.server);
    stage.control.kill();
    stage.control.start()?;
    // All but the policies, of which there may be fewer or more than at first.
    let listed = wait_until(RELIST, || {
        received(&stage.server) - before > first.bytes * 0.9
    });
    let talk = sidecar.process().stderr_so_far();
    assert!(
        listed,
        "the sidecar listed nothing again within {RELIST:?}: {talk}"
    );
    // A change that is enforced comes after the list.
    rounds(stage, sidecar, 1, 1)?;
    Ok(memory(sidecar.process().pid()))
}
