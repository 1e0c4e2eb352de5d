#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn status(code: u16, reason: &str, message: &str) -> ::kube::Error {
    let status = Status::failure(message, reason).with_code(code);
    ::kube::Error::Api(status.boxed())
}

fn words(error: &::kube::Error) -> String {
    let trouble = Trouble::of_client(error).unwrap();
    format!("{}; {}", trouble.cause, trouble.mend)
}

fn of_connection(error: impl Into<Box<dyn Error + Send + Sync>>) -> String {
    words(&::kube::Error::Service(error.into()))
}

/// What a connector wraps around the ground of an error.
#[derive(Debug, thiserror::Error)]
#[error("client error (Connect)")]
struct Wrapped(#[source] io::Error);

#[test]
fn a_missing_permission_names_verb_resource_scope_and_account() {
    let rows = [
        (
            r#"pods is forbidden: User "system:serviceaccount:shop:web" cannot list resource "pods" in API group "" at the cluster scope"#,
            "403, system:serviceaccount:shop:web may not list pods at the cluster scope",
        ),
        (
            r#"networkpolicies.networking.k8s.io is forbidden: User "a b" cannot watch resource "networkpolicies" in API group "networking.k8s.io" in the namespace "shop": RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found"#,
            "403, a b may not watch networkpolicies.networking.k8s.io in namespace shop: RBAC: clusterrole.rbac.authorization.k8s.io \"gone\" not found",
        ),
    ];
    for (message, cause) in rows {
        let said = words(&status(403, "Forbidden", message));
        assert!(said.starts_with(&format!("{cause}; ")), "{said}");
        assert!(said.contains("deploy/rbac/"), "{said}");
    }
}

/// Our ClusterRoles would not help.
#[test]
fn a_refusal_of_what_podwall_does_not_need_is_not_mended_by_its_roles() {
    let impersonate = r#"users "x" is forbidden: User "me" cannot impersonate resource "users" in API group "" at the cluster scope"#;
    for (message, cause) in [
        (
            "a webhook does not like you",
            "403, forbidden: a webhook does not like you",
        ),
        (
            impersonate,
            "403, me may not impersonate users at the cluster scope",
        ),
    ] {
        let said = words(&status(403, "Forbidden", message));
        assert_eq!(said, format!("{cause}; {GRANT}"));
    }
}

/// They reach /readyz.
#[test]
fn a_failed_plugin_is_told_without_its_environment_arguments_and_output() {
    use ::kube::client::AuthError;
    let output = std::process::Command::new("sh")
        .args(["-c", "echo SECRET; echo SECRET >&2; exit 3"])
        .output()
        .unwrap();
    let failed = || AuthError::AuthExecRun {
        cmd: "TOKEN=\"SECRET\" \"sh\" \"SECRET\"".to_owned(),
        out: Box::new(output.clone()),
    };
    let texts = [
        of_connection(failed()),
        of_connection(io::Error::other(failed())),
        words(&::kube::Error::Auth(failed())),
    ];
    for said in texts {
        assert!(
            said.starts_with("the credential plug-in failed with exit status: 3; run"),
            "{said}"
        );
        assert!(!said.contains("SECRET"), "{said}");
    }
    let said = of_connection(AuthError::AuthExec("SECRET".to_owned()));
    assert!(!said.contains("SECRET"), "{said}");
}

#[test]
fn each_status_has_its_words() {
    let rows = [
        (
            401,
            "Unauthorized",
            "Unauthorized",
            "401 Unauthorized, the credentials are not accepted; the token",
        ),
        (
            429,
            "TooManyRequests",
            "slow down",
            "429 TooManyRequests: slow down; it is asked again",
        ),
        (
            500,
            "InternalError",
            "etcd is away",
            "it says 500 InternalError: etcd is away; it is asked again",
        ),
        (
            502,
            NO_STATUS,
            "<html>\nmore",
            "it says 502 <html>; it is asked again",
        ),
        (
            404,
            NO_STATUS,
            "404 page not found",
            "it says 404 404 page not found; is this address",
        ),
    ];
    for (code, reason, message, start) in rows {
        let said = words(&status(code, reason, message));
        assert!(said.starts_with(start), "{said}");
    }
}

/// A watch asks again by itself; somebody who asks once has to.
#[test]
fn one_who_asks_once_is_not_promised_another_attempt() {
    for (error, mend) in [
        (status(500, "", "etcd is away"), "ask again later"),
        (
            status(401, "Unauthorized", "Unauthorized"),
            "has the token or certificate expired, or does it belong to another cluster?",
        ),
        (status(404, "", "404 page not found"), ADDRESS),
    ] {
        let trouble = Trouble::of_client(&error).unwrap();
        let once = trouble.clone().asked_once();
        assert_eq!((once.cause, once.mend.as_str()), (trouble.cause, mend));
    }
}

#[test]
fn a_version_that_is_gone_is_no_trouble() {
    assert_eq!(Trouble::of_client(&status(410, "Expired", "too old")), None);
    let error =
        watcher::Error::WatchError(Status::failure("too old", "Expired").with_code(410).boxed());
    assert_eq!(Trouble::of_watch(&error), None);
}

/// It may never end, and nobody could see why nothing is known.
#[test]
fn a_list_that_grows_old_before_its_last_page_is_trouble() {
    let error = watcher::Error::InitialListFailed(status(410, "Expired", "too old"));
    let said = Trouble::of_watch(&error).unwrap();
    assert!(said.cause.contains("before the last page"), "{said:?}");
}

#[test]
fn a_connection_fails_in_plain_words() {
    let rows = [
        (
            io::Error::from(io::ErrorKind::ConnectionRefused),
            "connection refused; is the API server running",
        ),
        (
            io::Error::from(io::ErrorKind::TimedOut),
            "the connection timed out; is the API server",
        ),
        (
            io::Error::from(io::ErrorKind::ConnectionReset),
            "connection reset; ",
        ),
        (
            io::Error::other("invalid peer certificate: UnknownIssuer"),
            "its certificate is signed by unknown authority; ",
        ),
        (
            io::Error::other("invalid peer certificate: certificate expired: verification time 1"),
            "its certificate has expired",
        ),
        (
            io::Error::other("invalid peer certificate: certificate not valid for name \"x\""),
            "its certificate is for another name",
        ),
        (
            io::Error::other("invalid peer certificate: BadSignature"),
            "its certificate is not valid (BadSignature); ",
        ),
        (
            io::Error::other("received fatal alert: CertificateUnknown"),
            "it broke off the encryption: CertificateUnknown; ",
        ),
        (
            io::Error::other("something new"),
            "something new; it is asked again",
        ),
    ];
    for (error, start) in rows {
        let said = of_connection(Wrapped(error));
        assert!(said.starts_with(start), "{said}");
    }
}

#[test]
fn a_silent_server_is_told_in_the_same_words_wherever_it_is_noticed() {
    let wait = Duration::from_secs(20);
    let noticed = Trouble::of_client(&::kube::Error::Service(NoAnswer(wait).into()));
    assert_eq!(noticed, Some(Trouble::no_answer()));
    let late = io::Error::other(NoAnswer(wait));
    assert!(of_connection(late).starts_with("no answer; "));
}

#[test]
fn a_long_answer_is_cut_to_a_sentence() {
    let said = words(&status(500, "", &"x".repeat(5_000)));
    assert!(said.len() < 400, "{said}");
}
