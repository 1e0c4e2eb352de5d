//! Reading a cluster once, whole, for commands that ask and go.
//!
//! Deliberately absent: following changes.

use std::time::Duration;

use ::kube::api::ListParams;
use ::kube::{Api, Client, Resource};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use podwall_policy::diagnostic::Diagnostic;
use podwall_policy::object::Object;

use super::door::Door;
use super::fault::KubeError;
use super::health::plural;
use super::object::{Told, Watched};
use super::watching::PAGE;
use super::words::{NoAnswer, Trouble};
use crate::identify::feed::Kind;

/// How long reading the whole cluster may take.
///
/// 120 s: 100,000 pods are 200 pages, each well under half a second on a server that is not overloaded.
const LIMIT: Duration = Duration::from_secs(120);

/// How often one kind is asked for: what an overloaded server refuses, and a list whose version grew too old
/// between two pages, is asked for again.
const ATTEMPTS: u32 = 4;

/// A cluster at one moment.
#[derive(Debug)]
pub struct Listing {
    /// The API server's address.
    pub server: String,
    /// All objects of the three kinds.
    pub objects: Vec<Object>,
    /// What is odd in them.
    pub findings: Vec<Diagnostic>,
}

/// All objects of the three kinds. Nothing is left out: a kind that may not be read is an error.
pub(super) async fn read(door: Door) -> Result<Listing, KubeError> {
    let server = door.server();
    let client = Client::new(door, "default");
    let mut read = Read {
        listing: Listing {
            server,
            objects: Vec::new(),
            findings: Vec::new(),
        },
        refused: Vec::new(),
    };
    let all = async {
        read.kind::<Namespace>(&client, Kind::Namespace).await?;
        read.kind::<Pod>(&client, Kind::Pod).await?;
        read.kind::<NetworkPolicy>(&client, Kind::Policy).await
    };
    match tokio::time::timeout(LIMIT, all).await {
        Ok(done) => done?,
        Err(_) => {
            let trouble = Trouble {
                cause: NoAnswer(LIMIT).to_string(),
                mend: "is the API server overloaded, or the way to it slow?".to_owned(),
            };
            return Err(read.failed("all objects", trouble));
        }
    }
    match together(&read.refused) {
        None => Ok(read.listing),
        Some((what, trouble)) => Err(read.failed(&what, trouble)),
    }
}

struct Read {
    listing: Listing,
    /// The kinds that may not be read, and why.
    refused: Vec<(Kind, Trouble)>,
}

impl Read {
    async fn kind<K>(&mut self, client: &Client, kind: Kind) -> Result<(), KubeError>
    where
        K: Resource<DynamicType = ()> + 'static,
    {
        let api: Api<Watched<K>> = Api::all(client.clone());
        let mut attempt = 1;
        loop {
            match pages(&api).await {
                Ok(all) => {
                    all.into_iter().for_each(|one| self.take(one.into_told()));
                    return Ok(());
                }
                Err(error) if attempt < ATTEMPTS && may_pass(&error) => attempt += 1,
                Err(error) => {
                    let trouble = Trouble::of_client(&error).unwrap_or_else(Trouble::list_too_old);
                    if !is_forbidden(&error) {
                        return Err(self.failed(plural(kind), trouble));
                    }
                    // The others are asked for too, so that one run tells all that is missing.
                    self.refused.push((kind, trouble));
                    return Ok(());
                }
            }
        }
    }

    fn failed(&self, what: &str, trouble: Trouble) -> KubeError {
        KubeError::request(what, &self.listing.server, trouble.asked_once())
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Object { object, findings } => {
                self.listing.objects.push(object);
                self.listing.findings.extend(findings);
            }
            Told::StandIn { policy, finding } => {
                self.listing.objects.push(policy);
                self.listing.findings.push(finding);
            }
            Told::Nameless(finding) => self.listing.findings.push(finding),
        }
    }
}

async fn pages<K>(api: &Api<Watched<K>>) -> ::kube::Result<Vec<Watched<K>>>
where
    K: Resource<DynamicType = ()> + 'static,
{
    let mut all = Vec::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await?;
        all.extend(list.items);
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(all),
        }
    }
}

/// All refusals as one.
fn together(refused: &[(Kind, Trouble)]) -> Option<(String, Trouble)> {
    let (_, first) = refused.first()?;
    let join = |texts: Vec<&str>, between: &str| texts.join(between);
    let kinds = refused.iter().map(|(kind, _)| plural(*kind)).collect();
    let causes = refused.iter().map(|(_, one)| one.cause.as_str()).collect();
    let trouble = Trouble {
        cause: join(causes, "; "),
        mend: first.mend.clone(),
    };
    Some((join(kinds, ", "), trouble))
}

fn is_forbidden(error: &::kube::Error) -> bool {
    matches!(error, ::kube::Error::Api(status) if status.code == 403)
}

/// Whether asking again may help soon. Not so for a server that is away: a person waits.
fn may_pass(error: &::kube::Error) -> bool {
    matches!(error, ::kube::Error::Api(status) if matches!(status.code, 410 | 429 | 500..=599))
}
