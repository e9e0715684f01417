//! What every HTTP exchange of ours keeps to: one deadline, a cap on every body, no redirect that is followed unseen.
//!
//! A leaf that rooms use; it knows no room.

mod backoff;
mod clients;
mod pace;
mod redirect;
mod roots;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

pub use self::backoff::{Backoff, may_pass};
pub use self::clients::{Clients, Tls, TlsError, authority, client, client_with, direct_client};
pub use self::pace::{Output, Pace, StreamError, stream};
pub use self::redirect::{REDIRECTS, RedirectError, is_redirect, leads_inside, redirect_target, same_origin};

/// The longest wait that a server's `Retry-After` can ask of us.
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(60);

/// A point in time by which an exchange as a whole must be over, however alive its single reads are.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    total: Duration,
}

/// A deadline has passed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("did not finish within {} s", total.as_secs())]
pub struct DeadlinePassed {
    /// How long the exchange was allowed to take.
    pub total: Duration,
}

impl Deadline {
    /// The point `total` from now.
    #[must_use]
    pub fn after(total: Duration) -> Self {
        Self { at: Instant::now() + total, total }
    }

    /// Waits for `future` until the deadline.
    ///
    /// # Errors
    /// [`DeadlinePassed`] when the deadline comes first; the future is dropped.
    pub async fn bound<T>(self, future: impl Future<Output = T>) -> Result<T, DeadlinePassed> {
        tokio::time::timeout_at(self.at, future).await.map_err(|_| self.passed())
    }

    /// The time that is left; zero when the deadline has passed.
    #[must_use]
    pub fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// The error that says that this deadline has passed.
    #[must_use]
    pub const fn passed(self) -> DeadlinePassed {
        DeadlinePassed { total: self.total }
    }
}

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body is longer than it may be.
    #[error("the answer is longer than {cap} bytes")]
    TooLong {
        /// The cap in bytes.
        cap: u64,
    },
    /// The connection broke.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
    /// The deadline passed.
    #[error(transparent)]
    Late(#[from] DeadlinePassed),
}

/// Makes ring the process's TLS provider. Calling it again changes nothing.
pub fn install_tls_provider() {
    let provider: Arc<_> = rustls::crypto::ring::default_provider().into();
    // A second call finds the provider in place, which is what it wanted.
    let _already_installed = rustls::crypto::CryptoProvider::install_default(Arc::unwrap_or_clone(provider));
}

/// What rustls says is wrong, when `error` is a failure of TLS.
#[must_use]
pub fn tls_failure(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An io::Error gives the source of what it wraps, but not the wrapped error itself.
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

/// Reads a whole body of at most `cap` bytes before `deadline`.
///
/// # Errors
/// [`BodyError`] when the body is longer, breaks off or is late.
pub async fn body(mut response: reqwest::Response, cap: u64, deadline: Deadline) -> Result<Vec<u8>, BodyError> {
    if response.content_length().is_some_and(|length| length > cap) {
        return Err(BodyError::TooLong { cap });
    }
    let mut body = Vec::new();
    while let Some(piece) = deadline.bound(response.chunk()).await?.map_err(BodyError::Broken)? {
        if (body.len() + piece.len()) as u64 > cap {
            return Err(BodyError::TooLong { cap });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body)
}

/// How long the server asks us to wait (RFC 9110, section 10.2.3): seconds or a date. Anything else, which registries do
/// send, is no answer. At most [`RETRY_AFTER_CAP`].
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(RETRY_AFTER_CAP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_as_seconds_date_and_garbage() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:40 GMT"), Some(Duration::from_secs(3)));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("99999"), Some(RETRY_AFTER_CAP));
        assert_eq!(wait("141.62µs, allowed: 44000/minute"), None);
        assert_eq!(wait("-1"), None);
    }
}
