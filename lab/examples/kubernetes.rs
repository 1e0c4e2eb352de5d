//! Makes the lab's Kubernetes ready before it is needed, and prints where it is. `cargo xtask setup` runs this.
//!
//! Where `KUBEBUILDER_ASSETS` is set, it is that directory, and nothing is built.
#![allow(clippy::print_stdout)]

use std::{env, path::PathBuf, process::ExitCode};

fn main() -> ExitCode {
    let given = env::var_os("KUBEBUILDER_ASSETS").filter(|dir| !dir.is_empty());
    match given.map_or_else(podwall_lab::build_kubernetes, |dir| Ok(PathBuf::from(dir))) {
        Ok(path) => {
            println!("{}", path.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("podwall-lab: {error}");
            ExitCode::from(3)
        }
    }
}
