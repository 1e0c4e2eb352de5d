//! What went wrong with the credentials themselves, in words that hold none of them.
//!
//! The API client's own words hold a plug-in's environment, arguments and output, which is where tokens are. So
//! they are taken out here, before anything above can print them. Deliberately absent: what is done about it.

use std::error::Error;
use std::io;

use ::kube::client::AuthError;
use ::kube::config::AuthInfo;
use tower::BoxError;

/// The mend for a file.
pub(super) const FILE: &str = "is the file there, and readable?";
/// The mend for a program.
const PROGRAM: &str = "run that program by hand, as kubectl does, to see why";
/// The mend for what is written in a kubeconfig.
const WRITTEN: &str = "mend the user in the kubeconfig";

/// A fault of credentials, and its mend; without any value of environment, arguments, output or token.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}")]
pub(in crate::identify::feed::kube) struct AuthFault {
    pub(in crate::identify::feed::kube) cause: String,
    pub(in crate::identify::feed::kube) mend: &'static str,
}

impl AuthFault {
    /// What `error` wraps of such a fault, if anything; `program` is the plug-in's name, where it is known.
    pub(in crate::identify::feed::kube) fn within(
        error: &(dyn Error + 'static),
        program: Option<&str>,
    ) -> Option<Self> {
        std::iter::successors(Some(error), |one| beneath(*one)).find_map(|one| {
            let known = one.downcast_ref::<Self>().cloned();
            known.or_else(|| Some(Self::of(one.downcast_ref()?, program)))
        })
    }

    fn of(error: &AuthError, program: Option<&str>) -> Self {
        let plugin = program.map_or_else(
            || "the credential plug-in".to_owned(),
            |program| format!("the credential plug-in {program}"),
        );
        let (cause, mend) = match error {
            AuthError::ReadTokenFile(fault, path) => {
                return Self {
                    cause: format!("cannot read the token file {}: {fault}", path.display()),
                    mend: FILE,
                };
            }
            AuthError::AuthExecStart(fault) => {
                let kind = fault.kind();
                (
                    format!("{plugin} cannot be started: {kind}"),
                    "is it installed here, and in PATH?",
                )
            }
            AuthError::AuthExecRun { out, .. } => {
                (format!("{plugin} failed with {}", out.status), PROGRAM)
            }
            AuthError::AuthExecParse(_) => (
                format!("what {plugin} printed is no ExecCredential"),
                PROGRAM,
            ),
            AuthError::ParseTokenKey(_) => (format!("what {plugin} printed is no JSON"), PROGRAM),
            AuthError::ExecPluginFailed => {
                (format!("what {plugin} printed has no status"), PROGRAM)
            }
            AuthError::UnrefreshableTokenResponse => (
                format!(
                    "{plugin} gave a token without an end where it gave one with an end before"
                ),
                PROGRAM,
            ),
            AuthError::MalformedTokenExpirationDate(_) => {
                ("the end of the token is no date".to_owned(), PROGRAM)
            }
            AuthError::InvalidBearerToken(_) => (
                "the token holds what a header cannot, such as a line break".to_owned(),
                WRITTEN,
            ),
            AuthError::InvalidBasicAuth(_) => (
                "the user's name or password holds what a header cannot".to_owned(),
                WRITTEN,
            ),
            AuthError::MissingCommand => ("its exec has no command".to_owned(), WRITTEN),
            AuthError::ExecMissingClusterInfo => (
                format!("{plugin} wants to know the cluster, of which nothing is known"),
                WRITTEN,
            ),
            AuthError::AuthExec(text) => (auth_provider(text, &plugin), WRITTEN),
            _ => (format!("{plugin} gave nothing that can be used"), PROGRAM),
        };
        Self { cause, mend }
    }
}

/// Of an `auth-provider`: the API client's words are shown only where they are its own from end to end.
fn auth_provider(text: &str, plugin: &str) -> String {
    const OWN: [&str; 4] = [
        "The azure auth plugin is not supported",
        "Authentication with provider ",
        "No id-token for oidc",
        "Enable oauth feature",
    ];
    match OWN.iter().any(|own| text.starts_with(own)) {
        true => text.to_owned(),
        false => format!("{plugin} gave nothing that can be used, or cannot be started"),
    }
}

/// The name of the program that gives a user's credentials.
pub(super) fn program(user: &AuthInfo) -> Option<String> {
    let exec = user.exec.as_ref().and_then(|exec| exec.command.clone());
    let provider = user.auth_provider.as_ref();
    exec.or_else(|| provider?.config.get("cmd-path").cloned())
}

/// An error of a request, without the secrets of the credentials.
pub(super) fn conceal(error: BoxError, program: Option<&str>) -> BoxError {
    match AuthFault::within(&*error, program) {
        Some(fault) => fault.into(),
        None => error,
    }
}

/// What an error wraps. One of the system's hides that it is a wrapper.
pub(in crate::identify::feed::kube) fn beneath<'e>(
    error: &'e (dyn Error + 'static),
) -> Option<&'e (dyn Error + 'static)> {
    let inner = error.downcast_ref().and_then(io::Error::get_ref);
    match inner {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}
