//! The index room: fetches the documents that name artifacts.
#![expect(clippy::disallowed_methods, reason = "Retry-After may be a date, which only the clock turns into a wait")]

use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use falconer_manifests::remedy::Remedy;
use reqwest::{Client, Response, StatusCode};
use url::Url;

use crate::transfer::{self, Backoff, BodyError, Deadline, DeadlinePassed, REDIRECTS, RedirectError};

/// The longest index, in bytes. The official one has about 20 KB.
pub const CAP: u64 = 4 * 1024 * 1024;
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
            Self::Address(_) => Remedy::Author,
            Self::File(_) | Self::Tls { .. } => Remedy::Operator,
            Self::TooLong { .. }
            | Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Late { .. }
            | Self::Unreachable { .. } => Remedy::Time,
        }
    }

    /// The next act.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Address(_) => "give the index an https:// or file:/// URL, e.g. file:///srv/index.yaml",
            Self::File(_) => "check the path and the permissions of the index",
            Self::TooLong { .. } => "check that the URL is an index.yaml",
            Self::Status { .. } => "check the URL of the index",
            Self::Redirect { .. } => "give the address that the index has now",
            Self::Late { .. } | Self::Unreachable { .. } => "check the name, the network and the proxy",
            Self::Tls { .. } => "check this host's clock, and the authorities that it trusts",
        }
    }
}

/// The bytes of the index at `url`: `https://`, `http://`, or `file:///` and an absolute path. At most three redirects are
/// followed, none of them from https to http. What may pass by itself is tried again within [`TIME`].
///
/// # Errors
/// [`IndexError`]
pub async fn fetch(client: &Client, url: &str) -> Result<Vec<u8>, IndexError> {
    fetch_within(client, url, Deadline::after(TIME)).await
}

/// As [`fetch`], with another deadline.
///
/// # Errors
/// [`IndexError`]
pub async fn fetch_within(client: &Client, url: &str, deadline: Deadline) -> Result<Vec<u8>, IndexError> {
    let url = Url::parse(url).map_err(|_| IndexError::Address(bare_text(url)))?;
    match url.scheme() {
        "http" | "https" if url.has_host() => over_http(client, &url, deadline).await,
        "file" => {
            let path = url.to_file_path().map_err(|()| IndexError::Address(bare(&url)))?;
            read(&path, &url)
        }
        _ => Err(IndexError::Address(bare(&url))),
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

async fn over_http(client: &Client, url: &Url, deadline: Deadline) -> Result<Vec<u8>, IndexError> {
    let backoff = Backoff::default();
    let mut failed = 0;
    loop {
        let failure = match attempt(client, url, deadline).await {
            Ok(bytes) => return Ok(bytes),
            Err(failure) => failure,
        };
        failed += 1;
        if !failure.passing || !backoff.pause(failed, failure.asked, deadline).await {
            return Err(failure.error);
        }
    }
}

async fn attempt(client: &Client, url: &Url, deadline: Deadline) -> Result<Vec<u8>, Failure> {
    let late = |source| IndexError::Late { url: bare(url), source };
    let mut target = url.clone();
    for _ in 0..=REDIRECTS {
        let sent = deadline.bound(client.get(target.clone()).send()).await.map_err(late)?;
        let response = sent.map_err(|error| broken(url, error))?;
        let status = response.status();
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
        return take(url, response, deadline).await;
    }
    Err(IndexError::Redirect { url: bare(url), source: RedirectError::TooMany }.into())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_their_secrets() {
        for (url, shown) in [
            ("https://u:secret@h.example:8443/a/index.yaml?sig=secret#secret", "https://h.example:8443/a/index.yaml"),
            ("https://h.example", "https://h.example"),
            ("u:secret@h.example/x", "h.example/x"),
            ("file:///srv/index.yaml", "file:///srv/index.yaml"),
        ] {
            assert_eq!(bare_text(url), shown);
        }
    }

    #[tokio::test]
    async fn files() {
        let client = transfer::client().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("index.yaml");
        let url = format!("file://{}", path.display());
        assert!(matches!(fetch(&client, &url).await, Err(IndexError::File(_))));
        fs_err::File::create(&path).and_then(|mut file| io::Write::write_all(&mut file, b"- name: a\n")).unwrap();
        assert_eq!(fetch(&client, &url).await.unwrap(), b"- name: a\n");
        fs_err::File::create(&path).and_then(|file| file.set_len(CAP + 1)).unwrap();
        assert!(matches!(fetch(&client, &url).await, Err(IndexError::TooLong { .. })));
        let url = format!("file://{}", directory.path().display());
        assert!(matches!(fetch(&client, &url).await, Err(IndexError::File(_))));
        for bad in ["", "index.yaml", "/srv/index.yaml", "ftp://h/x", "gs://b/o", "http://", "file://elsewhere/x"] {
            assert!(matches!(fetch(&client, bad).await, Err(IndexError::Address(_))), "{bad}");
        }
    }
}
