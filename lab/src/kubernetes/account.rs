//! A service account with real tokens, and the files by which a program in a pod is that account.
//!
//! What it may do is told by RBAC manifests ([`ControlPlane::grant`]); without any it may do next to nothing. The
//! files belong to the user of unprivileged processes; nobody else but the lab's owner can read the token.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    LabError, LabResult,
    scratch::{make_dir, replace_file, replace_file_for},
    wait::wait_every,
};

use super::{ApiClient, ControlPlane, Request, kubeconfig};

/// Lifetime of a token unless told otherwise.
const HOUR: Duration = Duration::from_secs(3600);
/// The server remembers for 10 s that a token was good.
const FORGET: Duration = Duration::from_secs(40);
/// How often it is asked meanwhile.
const ASK: Duration = Duration::from_millis(250);

/// A service account of the lab's control plane.
#[derive(Debug)]
pub struct Account {
    control: ControlPlane,
    namespace: String,
    name: String,
    dir: PathBuf,
    /// Secrets that this account's tokens are bound to; a token is as good as its secret is there.
    bound: Mutex<Bound>,
}

#[derive(Debug, Default)]
struct Bound {
    made: u32,
    alive: Vec<String>,
}

impl ControlPlane {
    /// Makes a service account, or takes the one that is there, with a token for an hour. Its namespace must exist.
    ///
    /// # Errors
    /// [`LabError::Refused`] with the server's words, [`LabError::NoAnswer`], [`LabError::Io`].
    pub fn account(&self, namespace: &str, name: &str) -> LabResult<Account> {
        let object = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name, "namespace": namespace },
        });
        match self.admin().create(&object) {
            Ok(_) | Err(LabError::Refused { status: 409, .. }) => {}
            Err(error) => return Err(error),
        }
        let all = self.dir().join("accounts");
        if !all.exists() {
            make_dir(&all)?;
        }
        // No namespace has a dot in its name.
        let dir = all.join(format!("{namespace}.{name}"));
        if !dir.exists() {
            make_dir(&dir)?;
        }
        let account = Account {
            control: self.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dir,
            bound: Mutex::default(),
        };
        account.renew(HOUR)?;
        let config = kubeconfig::text(
            &self.server_url(),
            &self.authorities(),
            &kubeconfig::by_token(&account.token_file()),
            namespace,
        );
        replace_file(&account.kubeconfig(), &config, 0o644)?;
        Ok(account)
    }

    /// Applies RBAC manifests, or any others, as one who may do everything.
    ///
    /// # Errors
    /// As [`ApiClient::apply`].
    pub fn grant(&self, yaml: &str) -> LabResult<()> {
        self.admin().apply(yaml).map(drop)
    }
}

impl Account {
    /// Its kubeconfig: names the token's file and the authorities' file, and the account's namespace as default.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// The file with its token, replaced atomically.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.dir.join("token")
    }

    /// The directory of both files.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its name as users are named: `system:serviceaccount:NAMESPACE:NAME`.
    #[must_use]
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// A client that is this account, by the same files.
    ///
    /// # Errors
    /// As [`ApiClient::new`].
    pub fn client(&self) -> LabResult<ApiClient> {
        ApiClient::new(self.control.place(), &self.kubeconfig())
    }

    /// Gets a fresh token and writes it over the one in the file, as a kubelet does in time. Earlier ones stay good
    /// until they expire or are revoked. The server allows no lifetime under 10 minutes.
    ///
    /// # Errors
    /// [`LabError::Refused`], [`LabError::NoAnswer`], [`LabError::Io`].
    pub fn renew(&self, lifetime: Duration) -> LabResult<()> {
        let api = self.control.admin();
        let mut bound = self.bound();
        bound.made += 1;
        let secret = format!("{}-token-{}", self.name, bound.made);
        let kept = api.create(&json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": secret, "namespace": self.namespace },
        }))?;
        bound.alive.push(secret.clone());
        let wanted = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {
                "expirationSeconds": lifetime.as_secs(),
                "boundObjectRef": {
                    "apiVersion": "v1", "kind": "Secret", "name": secret, "uid": kept["metadata"]["uid"],
                },
            },
        });
        let path = format!(
            "/api/v1/namespaces/{}/serviceaccounts/{}/token",
            self.namespace, self.name
        );
        let given = api.succeed(Request::create(path, wanted))?;
        self.write(given["status"]["token"].as_str().unwrap_or_default())
    }

    /// Makes every token that it has got so far worthless, and returns when the server refuses the one in the file.
    /// The file keeps it until [`Account::renew`].
    ///
    /// # Errors
    /// [`LabError::Refused`], [`LabError::NoAnswer`], [`LabError::Timeout`] where the server goes on to accept it.
    pub fn revoke(&self) -> LabResult<()> {
        let api = self.control.admin();
        for secret in std::mem::take(&mut self.bound().alive) {
            api.delete(&format!(
                "/api/v1/namespaces/{}/secrets/{secret}",
                self.namespace
            ))?;
        }
        let file = self.token_file();
        let token = std::fs::read_to_string(&file)
            .map_err(LabError::io(format!("read {}", file.display())))?;
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": { "token": token },
        });
        let mut last = Ok(Value::Null);
        let refused = wait_every(ASK, FORGET, || {
            last = api.create(&review);
            last.as_ref()
                .is_ok_and(|review| review["status"]["authenticated"] != true)
        });
        if refused {
            return Ok(());
        }
        last.and(Err(LabError::Timeout {
            what: format!("the end of the tokens of {}", self.user()),
            after: FORGET,
            output: String::new(),
        }))
    }

    /// Writes any text over the token, for tests of one that is broken.
    ///
    /// # Errors
    /// [`LabError::Io`].
    pub fn write(&self, token: &str) -> LabResult<()> {
        let owner = self.control.place().core().unprivileged_user();
        replace_file_for(owner, &self.token_file(), token, 0o400)
    }

    fn bound(&self) -> MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
