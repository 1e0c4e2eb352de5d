//! Reads the rules of mode queue back for the sidecar: the one place where the crate of the rules and the crate of the
//! sidecar meet.

use podwall_deploy::{RedirectError, Report, Wanted};
use podwall_proxy::admin::rules::{ReadRules, Reading};
use podwall_proxy::arrival;

// The verdict sets the bit that the rules look for.
const _: () = assert!(podwall_deploy::ADMITTED == arrival::ADMITTED);
const _: () = assert!(podwall_deploy::REFUSED == arrival::REFUSED);
const _: () = assert!(podwall_deploy::OWN == arrival::OWN);

/// Reads back the rules that are `wanted`, whenever it is called.
pub fn reader(wanted: Wanted) -> Box<ReadRules> {
    Box::new(move || match podwall_deploy::check(&wanted) {
        Ok(report) => reading(&report),
        Err(error) => unreadable(&error),
    })
}

fn reading(report: &Report) -> Reading {
    let mut faults: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    if !faults.is_empty() {
        faults.push("run podwall redirect in this pod with the flags of podwall proxy".to_owned());
    }
    Reading {
        faults,
        spoofed: report.spoofed_packets().ok(),
    }
}

fn unreadable(error: &RedirectError) -> Reading {
    Reading {
        faults: vec![format!("the rules cannot be read back: {error}")],
        spoofed: None,
    }
}
