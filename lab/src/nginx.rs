//! A real nginx in a pod, with all its files in the lab's directory. Serves fixed pages; logs no requests.

use std::{
    fmt::Write,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::{LabError, LabResult, Place, Process, scratch::make_dir, tools, wait_until};

/// Bound on nginx's start.
const START: Duration = Duration::from_secs(20);
/// Starts nginx (`$0`) on the directory `$1`, with as many open files as the machine allows.
const LAUNCH: &str = r#"ulimit -S -n "$(ulimit -H -n)"; exec "$0" -p "$1" -c "$1/nginx.conf""#;
/// Size of the body of `/large` and `/slow`.
const LARGE: usize = 4 << 20;

/// A running nginx. Dropping it ends it.
///
/// On each port, over IPv4 and IPv6: `/` is the page with the line `port N`; `/who` is `port N` and `client ADDRESS`,
/// whom it takes its client for; `/large` is [`Nginx::LARGE`] bytes;
/// `/slow` is the same at 4 KiB/s, a stream that stays open for minutes.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
}

impl Nginx {
    /// Size in bytes of the body of `/large`; byte i of it is `a` plus i modulo 26.
    pub const LARGE: usize = LARGE;

    /// Starts nginx at `place` (a pod or the node) on `ports` and returns when each of them accepts connections.
    ///
    /// # Errors
    /// [`LabError::MissingTool`], [`LabError::Ended`] or [`LabError::Timeout`] with nginx's own words.
    pub fn start(place: &Place, ports: &[u16], page: &str) -> LabResult<Self> {
        Self::launch(place, ports, page, "")
    }

    /// The same, which speaks HTTP/2 from the first byte and nothing else, without TLS.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub fn start_http2(place: &Place, ports: &[u16], page: &str) -> LabResult<Self> {
        Self::launch(place, ports, page, " http2")
    }

    fn launch(place: &Place, ports: &[u16], page: &str, protocol: &str) -> LabResult<Self> {
        let dir = prepare(place.dir(), ports, page, protocol)?;
        let nginx = tools::find("nginx".as_ref())?;
        let process = place
            .command("sh")
            .args(["-c", LAUNCH])
            .arg(nginx)
            .arg(&dir)
            .spawn()?;
        let answers =
            |port: &u16| TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, *port))).is_ok();
        let up = place.enter(|| {
            wait_until(START, || {
                process.status().is_some() || ports.iter().all(answers)
            }) && process.status().is_none()
        })?;
        if up {
            return Ok(Self { process });
        }
        let what = format!("nginx on ports {ports:?}");
        Err(match process.status() {
            Some(status) => LabError::Ended {
                process: "nginx".to_owned(),
                status: status.to_string(),
                what: "it answered".to_owned(),
                output: process.output_so_far(),
            },
            None => LabError::Timeout {
                what,
                after: START,
                output: process.output_so_far(),
            },
        })
    }

    /// The process behind it.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Lets it run until its pod or the lab ends.
    pub fn keep(self) {
        self.process.keep();
    }
}

fn prepare(lab: &Path, ports: &[u16], page: &str, protocol: &str) -> LabResult<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let dir = lab.join(format!("nginx-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
    make_dir(&dir)?;
    let write = |name: String, content: &[u8]| {
        let file = dir.join(name);
        fs::write(&file, content).map_err(LabError::io(format!("write {}", file.display())))
    };
    let large: Vec<u8> = (b'a'..=b'z').cycle().take(LARGE).collect();
    write("large".to_owned(), &large)?;
    for port in ports {
        write(
            format!("page-{port}"),
            format!("{page}\nport {port}\n").as_bytes(),
        )?;
    }
    write(
        "nginx.conf".to_owned(),
        configuration(&dir, ports, protocol)?.as_bytes(),
    )?;
    Ok(dir)
}

/// One process and no change of user, so that it runs as root of a user namespace just as well.
fn configuration(dir: &Path, ports: &[u16], protocol: &str) -> LabResult<String> {
    let root = dir.display();
    let mut text = format!(
        "daemon off; master_process off; user root root; pid {root}/pid; error_log stderr warn;\n\
         events {{ worker_connections 16384; }}\n\
         http {{\n  access_log off; default_type text/plain; sendfile on; tcp_nodelay on;\n  \
         keepalive_requests 100000000; keepalive_timeout 300s;\n"
    );
    for module in temp_modules()? {
        let _ = writeln!(text, "  {module}_temp_path {root}/{module};");
    }
    for port in ports {
        let _ = writeln!(
            text,
            "  server {{ listen {port}{protocol}; listen [::]:{port} ipv6only=on{protocol}; root {root};\n    \
             location = / {{ try_files /page-{port} =404; }}\n    \
             location = /who {{ return 200 \"port {port}\\nclient $remote_addr\\n\"; }}\n    \
             location = /large {{ }}\n    \
             location = /slow {{ limit_rate 4k; alias {root}/large; }}\n  }}"
        );
    }
    text.push_str("}\n");
    Ok(text)
}

/// The modules of this build that keep temporary files, whose built-in places an ordinary user cannot write to.
fn temp_modules() -> LabResult<Vec<&'static str>> {
    let nginx = tools::find("nginx".as_ref())?;
    let output = std::process::Command::new(nginx)
        .arg("-V")
        .output()
        .map_err(LabError::io("run nginx -V"))?;
    let build = String::from_utf8_lossy(&output.stderr).into_owned();
    let optional = ["proxy", "fastcgi", "uwsgi", "scgi"];
    let built_in = optional
        .into_iter()
        .filter(|module| !build.contains(&format!("--without-http_{module}_module")));
    Ok(["client_body"].into_iter().chain(built_in).collect())
}
