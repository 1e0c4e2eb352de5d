//! Makes the lab's Kubernetes ready before it is needed, and prints where it is. `cargo xtask setup` runs this.
//!
//! Where `KUBEBUILDER_ASSETS` is set it is that directory; what a node needs besides is built where a node can run.
#![allow(clippy::print_stdout)]

use std::process::ExitCode;

fn main() -> ExitCode {
    match podwall_lab::prepare_kubernetes() {
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
