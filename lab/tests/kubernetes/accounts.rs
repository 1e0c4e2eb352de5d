//! Who may do what: accounts, tokens, certificates, and the files that carry them.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use podwall_lab::{ApiClient, LabError};

use crate::{POLICIES, POLICY, SOON, lab, status_of};

/// Lets the account `ns/side` read pods.
const READER: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules: [{apiGroups: [''], resources: [pods], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{kind: ServiceAccount, namespace: ns, name: side}]
";

#[test]
fn rbac_refuses_until_it_is_granted_and_names_the_account() {
    let (_lab, control) = lab();
    let account = control.account("ns", "side").unwrap();
    let client = account.client().unwrap();
    let refused = client.get("/api/v1/pods").unwrap_err().to_string();
    assert!(
        refused.contains(&account.user()) && refused.contains("403"),
        "{refused}"
    );
    control.grant(READER).unwrap();
    let allowed = podwall_lab::wait_until(SOON, || client.get("/api/v1/pods").is_ok());
    assert!(allowed, "{:?}", client.get("/api/v1/pods"));
    assert_eq!(status_of(client.get("/api/v1/namespaces")), 403);
}

#[test]
fn only_the_sidecars_user_can_read_a_token() {
    let (lab, control) = lab();
    let account = control.account("ns", "side").unwrap();
    let mode = |file| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(account.token_file()), 0o400);
    let read = lab
        .node()
        .command("cat")
        .arg(account.token_file())
        .unprivileged();
    assert!(!read.run(SOON).unwrap().stdout.is_empty());
    let config = lab
        .node()
        .command("cat")
        .arg(account.kubeconfig())
        .unprivileged();
    assert!(config.run(SOON).unwrap().stdout.contains("tokenFile"));
    let authority = lab
        .node()
        .command("cat")
        .arg(control.authorities())
        .unprivileged();
    assert!(
        authority
            .run(SOON)
            .unwrap()
            .stdout
            .contains("BEGIN CERTIFICATE")
    );
    for secret in ["admin.key", "kube-apiserver.key", "service-accounts.key"] {
        let file = control.authorities().with_file_name(secret);
        assert_eq!(mode(file), 0o600, "{secret}");
    }
}

#[test]
fn a_revoked_token_is_refused_and_a_renewed_one_works() {
    let (_lab, control) = lab();
    control.grant(READER).unwrap();
    let account = control.account("ns", "side").unwrap();
    let api = "/api/v1/pods";
    assert_eq!(status_of(account.client().unwrap().get(api)), 200);
    account.revoke().unwrap();
    assert_eq!(status_of(account.client().unwrap().get(api)), 401);
    account.renew(Duration::from_secs(600)).unwrap();
    assert_eq!(status_of(account.client().unwrap().get(api)), 200);
}

#[test]
fn a_rotated_certificate_and_a_rotated_authority_are_accepted_by_who_reads_the_file() {
    let (_lab, control) = lab();
    let serving = control.authorities().with_file_name("kube-apiserver.crt");
    let leaf = || std::fs::read_to_string(&serving).unwrap();
    let before = leaf();
    control.rotate_certificate().unwrap();
    assert_ne!(before, leaf());
    let account = control.account("ns", "side").unwrap();
    let old = account.client().unwrap();
    assert_eq!(status_of(old.get("/api/v1/pods")), 403);
    control.rotate_authority().unwrap();
    assert_eq!(
        status_of(account.client().unwrap().get("/api/v1/pods")),
        403
    );
    let stale = old.get("/api/v1/pods");
    assert!(matches!(stale, Err(LabError::NoAnswer { .. })), "{stale:?}");
}

#[test]
fn a_person_may_do_what_is_granted_to_the_group() {
    let (lab, control) = lab();
    let file = control.person("jane", "readers").unwrap();
    let jane = ApiClient::new(lab.node(), &file).unwrap();
    let refused = jane.get("/api/v1/pods").unwrap_err().to_string();
    assert!(refused.contains("jane"), "{refused}");
    let group = READER.replace(
        "{kind: ServiceAccount, namespace: ns, name: side}",
        "{kind: Group, apiGroup: rbac.authorization.k8s.io, name: readers}",
    );
    control.grant(&group).unwrap();
    assert!(podwall_lab::wait_until(SOON, || jane
        .get("/api/v1/pods")
        .is_ok()));
}

#[test]
fn kubectl_applies_what_a_person_writes() {
    let (_lab, control) = lab();
    let apply = control
        .kubectl()
        .unwrap()
        .args(["apply", "-f", "-"])
        .stdin(POLICY);
    let output = apply.run(SOON).unwrap();
    assert!(output.status.success(), "{output:?}");
    control.admin().get(&format!("{POLICIES}/one")).unwrap();
}
