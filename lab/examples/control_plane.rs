//! A control plane to try things on by hand: starts etcd and a kube-apiserver in a lab, prints the administrator's
//! kubeconfig and how to reach it, and goes on until its stdin ends or it is interrupted.
#![allow(clippy::print_stdout)]

use std::io::Read;

use podwall_lab::{Lab, LabResult, elevate};

fn main() -> LabResult<()> {
    elevate()?;
    let mut lab = Lab::start()?;
    let control = lab.start_control_plane()?;
    println!("KUBECONFIG={}", control.kubeconfig().display());
    println!(
        "{} COMMAND   # what calls {}",
        control.place().entry(),
        control.server_url()
    );
    println!("It ends with this program: Ctrl-C, or the end of its input.");
    // An input that cannot be read has ended.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    Ok(())
}
