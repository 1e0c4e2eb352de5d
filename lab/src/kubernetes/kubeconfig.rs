//! Kubeconfig files: how a program reaches the API server and who it is. Pure text, as JSON, which is YAML too.
//!
//! Keys, tokens and certificates are named by their files and never copied, so that a rotated one is found.

use std::path::Path;

use serde_json::{Value, json};

use super::pki::Pair;

/// Name of the cluster, its user and its context in every file.
const NAME: &str = "podwall-lab";

/// Someone known by a client certificate.
pub(crate) fn by_certificate(pair: &Pair) -> Value {
    json!({ "client-certificate": pair.certificate, "client-key": pair.key })
}

/// Someone known by the token in this file.
pub(crate) fn by_token(file: &Path) -> Value {
    json!({ "tokenFile": file })
}

/// The file's text. `bundle` is the file with the authority's certificates.
pub(crate) fn text(server: &str, bundle: &Path, user: &Value, namespace: &str) -> String {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": NAME, "cluster": { "server": server, "certificate-authority": bundle } }],
        "users": [{ "name": NAME, "user": user }],
        "contexts": [{ "name": NAME, "context": { "cluster": NAME, "user": NAME, "namespace": namespace } }],
        "current-context": NAME,
    });
    format!("{config:#}\n")
}
