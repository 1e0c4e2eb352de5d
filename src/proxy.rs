//! `podwall proxy`: the sidecar. Reads flags, runs until SIGTERM or SIGINT.

use std::path::PathBuf;
use std::process::ExitCode;

use podwall_proxy::config::{Config, ConfigFault};

use crate::failure::{Failure, Outcome};
use crate::flags::{Shared, faults_together};

