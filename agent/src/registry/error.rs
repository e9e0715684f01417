//! What can go wrong between us and a registry.

use std::error::Error;
use std::fmt;
use std::io;

use falconer_manifests::digest::Digest;
use falconer_manifests::remedy::Remedy;

use super::CredentialsError;
use crate::transfer::{BodyError, DeadlinePassed, Pace, RedirectError, StreamError};

/// A problem, and the reference that was asked for.
#[derive(Debug)]
pub struct RegistryError {
    /// `registry/repository`, `registry/repository:tag` or `registry/repository@digest`.
    pub subject: String,
    /// What is wrong.
    pub problem: Problem,
    /// What was wrong where the same was asked for before: at the mirror of the registry, or the other way round.
    pub before: Option<Box<Self>>,
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.problem)?;
        match &self.before {
            Some(before) => write!(f, " (and before that, {before})"),
            None => Ok(()),
        }
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.problem.source()
    }
}

/// What a registry does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A manifest: there is no such tag or digest.
    Manifest,
    /// A blob.
    Blob,
    /// The whole repository.
    Repository,
}

/// What can be wrong with an exchange.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// 401: the registry wants credentials, or others.
    #[error("{}", if *.sent { "the registry refuses our credentials" } else { "the registry asks for credentials" })]
    Unauthorized {
        /// Whether credentials were sent.
        sent: bool,
    },
    /// 403: known, but not allowed.
    #[error("{}", if *.sent { "the registry denies us access" } else { "the registry denies anonymous access" })]
    Forbidden {
        /// Whether credentials were sent.
        sent: bool,
    },
    /// 404.
    #[error("{}", match .0 {
        Missing::Manifest => "there is no such tag or digest",
        Missing::Blob => "the registry does not have this blob",
        Missing::Repository => "there is no such repository",
    })]
    NotFound(Missing),
    /// The bytes are not what the digest names.
    #[error("the registry gave {got} where it had to give {expected}")]
    WrongDigest {
        /// The digest that was asked for or stated.
        expected: Digest,
        /// The digest of what came.
        got: Digest,
    },
    /// The content is longer or shorter than its descriptor says.
    #[error("the registry gave {} where it had to give {expected} bytes", match .got {
        Some(got) => format!("{got} bytes"),
        None => String::from("more bytes"),
    })]
    WrongSize {
        /// The descriptor's size in bytes.
        expected: u64,
        /// What was announced or came; `None` when it was cut off.
        got: Option<u64>,
    },
    /// The blob's descriptor says that it is larger than we take.
    #[error("it has {size} bytes, and at most {cap} are taken")]
    TooLarge {
        /// The size in bytes.
        size: u64,
        /// The cap in bytes.
        cap: u64,
    },
    /// The answer is longer than we take.
    #[error("the answer is longer than {cap} bytes")]
    TooLong {
        /// The cap in bytes.
        cap: u64,
    },
    /// More tags than we take.
    #[error("the repository has more than {cap} tags")]
    TooManyTags {
        /// The cap.
        cap: usize,
    },
    /// An answer that the specification does not allow.
    #[error("{0}")]
    Unusable(String),
    /// A redirect that is not followed.
    #[error("the registry's answer is not followed")]
    Redirect(#[source] RedirectError),
    /// The registry names an address on another host where only its own may stand.
    #[error("the registry sends us to {host} to {purpose}")]
    Steered {
        /// Where to.
        host: String,
        /// What for, as the end of the sentence.
        purpose: &'static str,
    },
    /// The deadline passed.
    #[error(transparent)]
    Late(#[from] DeadlinePassed),
    /// The registry accepted the request and then was silent.
    #[error("{host} did not begin to answer within {waited} s")]
    Silent {
        /// The host.
        host: String,
        /// How long we waited, in seconds.
        waited: u64,
    },
    /// The answer came slower than it may.
    #[error("fewer than {} bytes came in {} s", .0.bytes, .0.over.as_secs())]
    TooSlow(Pace),
    /// The answer broke off.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
    /// No connection.
    #[error("cannot reach {host}")]
    Unreachable {
        /// The host.
        host: String,
        /// Why.
        source: reqwest::Error,
    },
    /// TLS failed.
    #[error("no trusted TLS connection to {host}")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        source: rustls::Error,
    },
    /// A status that says neither yes nor no: 429, 5xx, or one that has no place here.
    #[error("the registry answers {0}")]
    Status(reqwest::StatusCode),
    /// The token server did not give a token.
    #[error("the token server {host} gives no token: {answer}")]
    TokenServer {
        /// The token server.
        host: String,
        /// What it did instead.
        answer: String,
    },
    /// The token server cannot be reached.
    #[error("cannot reach the token server {host}")]
    TokenServerUnreachable {
        /// The token server.
        host: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The authorization server does not know our client, or not with this secret.
    #[error("the token server {host} refuses our client id and secret")]
    ClientRefused {
        /// The authorization server.
        host: String,
    },
    /// This is no machine of Google Cloud, or one without a service account.
    #[error("the metadata server {host} gives no token of a service account")]
    NoMetadataServer {
        /// The metadata server.
        host: String,
    },
    /// The registry wants our credentials sent to a host that may not have them.
    #[error("the registry wants our credentials sent to {host}")]
    ForeignRealm {
        /// The realm's host and port.
        host: String,
    },
    /// The credentials cannot be read.
    #[error("cannot read the credentials")]
    Credentials(#[from] CredentialsError),
    /// What came cannot be written.
    #[error("cannot write what came")]
    Output(#[source] io::Error),
}

impl Problem {
    pub(super) const fn of(self, subject: String) -> RegistryError {
        RegistryError { subject, problem: self, before: None }
    }
}

impl From<StreamError> for Problem {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Broken(source) => Self::Broken(source),
            StreamError::Late(passed) => Self::Late(passed),
            StreamError::TooSlow { pace } => Self::TooSlow(pace),
        }
    }
}

impl From<BodyError> for Problem {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLong { cap } => Self::TooLong { cap },
            BodyError::Broken(source) => Self::Broken(source.without_url()),
            BodyError::Late(passed) => Self::Late(passed),
        }
    }
}

impl RegistryError {
    /// Whether the registry answered that there is no such tag, digest or repository.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self.problem, Problem::NotFound(Missing::Manifest | Missing::Repository))
    }

    /// Whether the registry cannot be reached, or is down.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        self.problem.is_absence()
    }

    /// Who can end the error. What a registry does not have, or has wrong, counts as `Time`: its publisher may be about to
    /// push it, and no commit has to change for that.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match &self.problem {
            Problem::TooLarge { .. } => Remedy::Author,
            Problem::Unauthorized { .. }
            | Problem::Forbidden { .. }
            | Problem::ForeignRealm { .. }
            | Problem::Credentials(_)
            | Problem::ClientRefused { .. }
            | Problem::NoMetadataServer { .. }
            | Problem::Tls { .. }
            | Problem::Output(_) => Remedy::Operator,
            Problem::NotFound(_)
            | Problem::TooLong { .. }
            | Problem::TooManyTags { .. }
            | Problem::WrongDigest { .. }
            | Problem::WrongSize { .. }
            | Problem::Unusable(_)
            | Problem::Redirect(_)
            | Problem::Steered { .. }
            | Problem::Late(_)
            | Problem::Silent { .. }
            | Problem::TooSlow(_)
            | Problem::Broken(_)
            | Problem::Unreachable { .. }
            | Problem::Status(_)
            | Problem::TokenServer { .. }
            | Problem::TokenServerUnreachable { .. } => Remedy::Time,
        }
    }

    /// The next act of the person who reads this.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let registry = self.subject.split('/').next().unwrap_or_default();
        let hint = match &self.problem {
            Problem::Unauthorized { sent: false } | Problem::Forbidden { sent: false } => {
                format!("give credentials for {registry} in agent.toml or in docker's config.json")
            }
            Problem::Unauthorized { sent: true } => format!("check the credentials for {registry}"),
            Problem::Forbidden { sent: true } => {
                "check that these credentials may read, or push to, the repository".to_owned()
            }
            Problem::NotFound(Missing::Manifest) => {
                "check the tag or digest, and that the artifact has been pushed".to_owned()
            }
            Problem::NotFound(_) => "check the repository's name, and that the artifact has been pushed".to_owned(),
            Problem::WrongDigest { .. } | Problem::WrongSize { .. } => {
                "the registry, or what stands between, changes content: fetch it elsewhere and compare".to_owned()
            }
            Problem::TooLong { .. } | Problem::TooLarge { .. } => {
                "check that the reference names a Falco artifact".to_owned()
            }
            Problem::TooManyTags { .. } => "name the version by its tag or digest".to_owned(),
            Problem::Unusable(_) => format!("check that {registry} is a registry, not a proxy's or a portal's page"),
            Problem::ForeignRealm { host } => {
                format!("if {host} may have them, list it in token_realms of {registry} in agent.toml")
            }
            Problem::Redirect(_) | Problem::Steered { .. } => {
                format!("check the external address that {registry} is set up with")
            }
            Problem::Tls { source, host } => tls_hint(source, host),
            Problem::ClientRefused { .. } => format!("check client_id, client_secret_file and scopes of {registry}"),
            Problem::NoMetadataServer { .. } => {
                "where falconer does not run on Google Cloud with a service account, name docker-credential-gcr or \
                 docker-credential-gcloud in docker's config.json, or give a key as the password of _json_key"
                    .to_owned()
            }
            // Under TLS 1.3 a server may refuse a client only after the handshake, and the alert be lost with the connection.
            Problem::Unreachable { host, source } if !source.is_connect() => format!(
                "{host} takes the connection and closes it: if it wants a certificate of ours, set client_certificate_file \
                 and client_key_file for it"
            ),
            Problem::Unreachable { .. } | Problem::Silent { .. } => {
                format!(
                    "check the name, the network and the proxy; for a registry without TLS set plain_http for {registry}"
                )
            }
            Problem::TokenServerUnreachable { host, .. } => format!("check that this host can reach {host}"),
            Problem::Credentials(error) => error.hint().to_owned(),
            Problem::Output(_) => "check the disk's free space and the permissions".to_owned(),
            Problem::Late(_)
            | Problem::TooSlow(_)
            | Problem::Broken(_)
            | Problem::Status(_)
            | Problem::TokenServer { .. } => return None,
        };
        Some(hint)
    }
}

fn tls_hint(error: &rustls::Error, host: &str) -> String {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. },
        ) => "check this host's clock first, then the dates of the certificate".to_owned(),
        rustls::Error::InvalidCertificate(Certificate::UnknownIssuer) => {
            format!(
                "name the authority that signed the certificate with ca_file of {host} in agent.toml, or let this host trust it"
            )
        }
        rustls::Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => "use the name that the certificate is for".to_owned(),
        // The only such error of a client that starts: the system has no roots.
        rustls::Error::General(_) => "install the ca-certificates package".to_owned(),
        rustls::Error::InvalidMessage(_) => format!("if {host} has no TLS, set plain_http for it"),
        rustls::Error::AlertReceived(alert) if asks_for_a_certificate(*alert) => {
            format!("{host} wants a certificate of ours: set client_certificate_file and client_key_file for it")
        }
        _ => "check the registry's TLS settings".to_owned(),
    }
}

/// Whether the server ends TLS because we show no certificate, or none that it takes (RFC 8446, section 6.2).
const fn asks_for_a_certificate(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnknownCA
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::AccessDenied
    )
}
