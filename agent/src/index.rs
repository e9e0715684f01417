//! The index room: fetches the documents that name artifacts, and keeps copies of them.
//!
//! An index that lives in an artifact is fetched by the registry room; what is said of it here is what both have in common.
#![expect(clippy::disallowed_methods, reason = "Retry-After may be a date, which only the clock turns into a wait")]

mod cache;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use falconer_manifests::index::{INDEX_CAP, IndexLocation};
use falconer_manifests::remedy::Remedy;
use reqwest::header::{ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{RequestBuilder, Response, StatusCode};
use url::Url;

pub use self::cache::{Cache, CachedIndex, Validator};
use crate::error::chain;
use crate::transfer::{self, Backoff, BodyError, Clients, Deadline, DeadlinePassed, REDIRECTS, RedirectError};

/// The longest index, in bytes. The official one has about 20 KB.
pub const CAP: u64 = INDEX_CAP as u64;
/// How long a fetch may take with all its attempts.
pub const TIME: Duration = Duration::from_secs(30);

/// Why an index could not be fetched. URLs stand without user information and query.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// Not a URL, or one of a scheme that is not fetched.
    #[error("`{0}` is not the address of an index")]
    Address(String),
    /// The file cannot be read.
    #[error("cannot read the index")]
    File(#[source] io::Error),
    /// The index is longer than [`CAP`].
    #[error("the index {url} is longer than {CAP} bytes")]
    TooLong {
        /// The index.
        url: String,
    },
    /// The server says no.
    #[error("the index {url} is answered with {status}")]
    Status {
        /// The index.
        url: String,
        /// The answer's status.
        status: StatusCode,
    },
    /// A redirect that is not followed.
    #[error("the index {url} is not followed elsewhere")]
    Redirect {
        /// The index.
        url: String,
        /// Why not.
        source: RedirectError,
    },
    /// The deadline passed.
    #[error("the index {url} is late")]
    Late {
        /// The index.
        url: String,
        /// The deadline.
        source: DeadlinePassed,
    },
    /// No connection, or one that broke.
    #[error("cannot fetch the index {url}")]
    Unreachable {
        /// The index.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The artifact is not one that holds an index.
    #[error("{url} holds no index: {what}")]
    NotAnIndex {
        /// The index.
        url: String,
        /// What it is instead.
        what: String,
    },
    /// TLS failed.
    #[error("no trusted TLS connection to the index {url}")]
    Tls {
        /// The index.
        url: String,
        /// Why.
        source: rustls::Error,
    },
}

impl IndexError {
    /// Who can end the error.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Address(_) | Self::NotAnIndex { .. } => Remedy::Author,
            Self::File(_) | Self::Tls { .. } => Remedy::Operator,
            Self::TooLong { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Late { .. }
            | Self::Unreachable { .. } => Remedy::Time,
        }
    }

    /// Whether the server cannot be reached, or is down: our copy may stand in for it.
    fn is_absence(&self) -> bool {
        match self {
            Self::Late { .. } | Self::Unreachable { .. } | Self::Tls { .. } => true,
            Self::Status { status, .. } => transfer::may_pass(*status),
            _ => false,
        }
    }

    /// The next act.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Address(_) => "give the index an https://, file:/// or oci:// URL, e.g. file:///srv/index.yaml",
            Self::File(_) => "check the path and the permissions of the index",
            Self::TooLong { .. } => {
                "check that the URL is an index.yaml; a very long one can be split into several indexes"
            }
            Self::Status { .. } => "check the URL of the index",
            Self::Redirect { .. } => "give the address that the index has now",
            Self::Late { .. } | Self::Unreachable { .. } => "check the name, the network and the proxy",
            Self::NotAnIndex { .. } => "push index.yaml itself as the only layer of the artifact",
            Self::Tls { .. } => {
                "check this host's clock; name the authority of the index with ca_file of its host under [registries] in agent.toml"
            }
        }
    }
}

/// How an index came to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Served {
    /// It was sent, or read from its file.
    Fresh,
    /// The server says that our copy is the newest.
    NotModified,
    /// The server is away, and our copy stands in for it.
    FromCache {
        /// How it is away.
        why: String,
    },
}

/// An index, and how it came to us.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The document.
    pub copy: CachedIndex,
    /// How it came.
    pub served: Served,
}

impl Fetched {
    /// One that was sent, or read from its file.
    #[must_use]
    pub const fn fresh(bytes: Vec<u8>, validator: Validator) -> Self {
        Self { copy: CachedIndex { validator, bytes }, served: Served::Fresh }
    }

    /// `copy`, which is still the newest.
    #[must_use]
    pub const fn not_modified(copy: CachedIndex) -> Self {
        Self { copy, served: Served::NotModified }
    }

    /// `copy`, which stands in for its server; that is said in a warning.
    #[must_use]
    pub fn from_cache(copy: CachedIndex, url: &str, why: String) -> Self {
        tracing::warn!(index = bare_text(url), "the index is not to be had, and its last copy counts: {why}");
        Self { copy, served: Served::FromCache { why } }
    }
}

/// The index at `url`: `https://`, `http://`, or `file:///` and an absolute path. At most three redirects are followed, none
/// of them from https to http. What may pass by itself is tried again within [`TIME`]. With `known`, the copy that we have,
/// the server is asked whether there is a newer one, and the copy is the answer when the server is away.
///
/// # Errors
/// [`IndexError`]
pub async fn fetch(clients: &Clients, url: &str, known: Option<CachedIndex>) -> Result<Fetched, IndexError> {
    fetch_within(clients, url, known, Deadline::after(TIME)).await
}

/// As [`fetch`], with another deadline.
///
/// # Errors
/// [`IndexError`]
pub async fn fetch_within(
    clients: &Clients,
    url: &str,
    known: Option<CachedIndex>,
    deadline: Deadline,
) -> Result<Fetched, IndexError> {
    let address = || IndexError::Address(bare_text(url));
    match IndexLocation::parse(url) {
        Ok(IndexLocation::Web(_)) => {
            let parsed = Url::parse(url).map_err(|_| address())?;
            over_http(clients, &parsed, known, deadline).await
        }
        Ok(IndexLocation::File(_)) => {
            let parsed = Url::parse(url).map_err(|_| address())?;
            let path = parsed.to_file_path().map_err(|()| address())?;
            Ok(Fetched::fresh(read(&path, &parsed)?, Validator::default()))
        }
        Ok(IndexLocation::Artifact(_)) | Err(_) => Err(address()),
    }
}

fn read(path: &Path, url: &Url) -> Result<Vec<u8>, IndexError> {
    // Opening a FIFO would wait for its writer, and a device would never end.
    if !fs_err::metadata(path).map_err(IndexError::File)?.is_file() {
        return Err(IndexError::File(io::Error::other(format!("`{}` is not a file", path.display()))));
    }
    let file = fs_err::File::open(path).map_err(IndexError::File)?;
    let mut bytes = Vec::new();
    file.take(CAP + 1).read_to_end(&mut bytes).map_err(IndexError::File)?;
    if bytes.len() as u64 > CAP {
        return Err(IndexError::TooLong { url: bare(url) });
    }
    Ok(bytes)
}

/// How one attempt failed, whether it may pass, and the wait that the server asks for.
struct Failure {
    error: IndexError,
    passing: bool,
    asked: Option<Duration>,
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        Self { error, passing: false, asked: None }
    }
}

async fn over_http(
    clients: &Clients,
    url: &Url,
    known: Option<CachedIndex>,
    deadline: Deadline,
) -> Result<Fetched, IndexError> {
    let backoff = Backoff::default();
    let mut failed = 0;
    loop {
        let failure = match attempt(clients, url, known.as_ref(), deadline).await {
            Ok(fetched) => return Ok(fetched),
            Err(failure) => failure,
        };
        failed += 1;
        if !failure.passing || !backoff.pause(failed, failure.asked, deadline).await {
            return match known {
                Some(copy) if failure.error.is_absence() => {
                    Ok(Fetched::from_cache(copy, url.as_str(), chain(&failure.error)))
                }
                _ => Err(failure.error),
            };
        }
    }
}

async fn attempt(
    clients: &Clients,
    url: &Url,
    known: Option<&CachedIndex>,
    deadline: Deadline,
) -> Result<Fetched, Failure> {
    let late = |source| IndexError::Late { url: bare(url), source };
    let mut target = url.clone();
    for _ in 0..=REDIRECTS {
        let request = conditional(clients.of(&target).get(target.clone()), known);
        let sent = deadline.bound(request.send()).await.map_err(late)?;
        let response = sent.map_err(|error| broken(url, error))?;
        let status = response.status();
        if let (StatusCode::NOT_MODIFIED, Some(copy)) = (status, known) {
            return Ok(Fetched::not_modified(copy.clone()));
        }
        if transfer::is_redirect(status) {
            let plain_http = target.scheme() == "http";
            target = transfer::redirect_target(&target, &response, plain_http)
                .await
                .map_err(|source| IndexError::Redirect { url: bare(url), source })?;
            continue;
        }
        if !status.is_success() {
            let asked = transfer::retry_after(response.headers(), SystemTime::now());
            let error = IndexError::Status { url: bare(url), status };
            return Err(Failure { error, passing: transfer::may_pass(status), asked });
        }
        let validator = validator(response.headers());
        return Ok(Fetched::fresh(take(url, response, deadline).await?, validator));
    }
    Err(IndexError::Redirect { url: bare(url), source: RedirectError::TooMany }.into())
}

/// Asks only for what is newer than our copy (RFC 9110, section 13.1).
fn conditional(mut request: RequestBuilder, known: Option<&CachedIndex>) -> RequestBuilder {
    let Some(CachedIndex { validator, .. }) = known else { return request };
    for (name, value) in [(IF_NONE_MATCH, &validator.etag), (IF_MODIFIED_SINCE, &validator.last_modified)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request
}

fn validator(headers: &HeaderMap) -> Validator {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
    Validator { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
}

async fn take(url: &Url, response: Response, deadline: Deadline) -> Result<Vec<u8>, Failure> {
    transfer::body(response, CAP, deadline).await.map_err(|error| match error {
        BodyError::TooLong { .. } => IndexError::TooLong { url: bare(url) }.into(),
        BodyError::Late(source) => IndexError::Late { url: bare(url), source }.into(),
        BodyError::Broken(error) => broken(url, error),
    })
}

fn broken(url: &Url, error: reqwest::Error) -> Failure {
    match transfer::tls_failure(&error) {
        Some(source) => IndexError::Tls { url: bare(url), source: source.clone() }.into(),
        None => {
            let error = IndexError::Unreachable { url: bare(url), source: error.without_url() };
            Failure { error, passing: true, asked: None }
        }
    }
}

/// The URL without what may be secret in it: user information, query and fragment.
fn bare(url: &Url) -> String {
    bare_text(url.as_str())
}

fn bare_text(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") }
}
