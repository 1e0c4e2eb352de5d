//! podwall's endpoints, asked over the network as a kubelet or a scraper asks them, wherever podwall runs.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::Duration,
};

use crate::{LabError, LabResult, Place, wait_until};

/// Bound on one request.
const REQUEST: Duration = Duration::from_secs(5);
/// The default port.
const PORT: u16 = 15872;
/// The series that grows by every change that could alter a verdict.
const GENERATION: &str = "podwall_generation";

/// The endpoints of one sidecar.
#[derive(Clone, Debug)]
pub struct Endpoints {
    from: Place,
    address: SocketAddr,
}

impl Endpoints {
    /// Those of the pod with this address, asked from `from`, such as the node.
    #[must_use]
    pub fn new(from: &Place, pod: IpAddr) -> Self {
        Self {
            from: from.clone(),
            address: SocketAddr::new(pod, PORT),
        }
    }

    /// Asks one: status and body.
    ///
    /// # Errors
    /// [`LabError::Io`] where it does not answer.
    pub fn get(&self, path: &str) -> LabResult<(u16, String)> {
        let address = self.address;
        self.from
            .enter(|| request(address, path))?
            .map_err(LabError::io(format!("ask http://{address}{path}")))
    }

    /// The value of one series of /metrics, named as it is printed, labels included.
    ///
    /// # Errors
    /// As [`Endpoints::get`].
    pub fn metric(&self, series: &str) -> LabResult<Option<f64>> {
        let (_, body) = self.get("/metrics")?;
        let value = body
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        Ok(value.and_then(|text| text.split(' ').next()?.parse().ok()))
    }

    /// How many changes that could alter a verdict it has taken in.
    ///
    /// # Errors
    /// [`LabError::Io`] where it does not answer or lacks the figure.
    pub fn generation(&self) -> LabResult<f64> {
        self.metric(GENERATION)?.ok_or_else(|| {
            let fault = std::io::Error::other(format!("no series {GENERATION}"));
            LabError::io("read /metrics")(fault)
        })
    }

    /// Waits until it has taken in a change after `generation`. `talk` is what the error tells besides.
    ///
    /// # Errors
    /// [`LabError::Timeout`] after `deadline`.
    pub fn wait_beyond(
        &self,
        generation: f64,
        deadline: Duration,
        talk: impl FnOnce() -> String,
    ) -> LabResult<()> {
        if wait_until(deadline, || {
            self.generation().is_ok_and(|now| now > generation)
        }) {
            return Ok(());
        }
        Err(LabError::Timeout {
            what: "the sidecar to take a change in".to_owned(),
            after: deadline,
            output: talk(),
        })
    }
}

fn request(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, REQUEST)?;
    stream.set_read_timeout(Some(REQUEST))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: podwall\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.map(|code| (code, body.to_owned()))
        .ok_or_else(|| std::io::Error::other(format!("no HTTP answer: {head:?}")))
}
