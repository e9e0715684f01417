//! The outbound room: tells somebody something over HTTP. Drift reports go by PUT, notifications by POST.
//!
//! Only an answer that says that the other side has it counts. Redirects are not followed: what is sent is for one place.
#![expect(clippy::disallowed_methods, reason = "Retry-After dates need the clock")]

use std::time::{Duration, SystemTime};

use falconer_manifests::remedy::Remedy;
use reqwest::header::{CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, USER_AGENT};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use url::{Host, Url};

use crate::transfer::{self, Deadline};

/// The most bytes of a document that is read back.
const DOCUMENT_CAP: u64 = 4 << 20;

/// Who we are there.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    /// Nobody.
    #[default]
    None,
    /// HTTP basic authentication.
    Basic(String, SecretString),
    /// A bearer token.
    Bearer(SecretString),
}

/// A place that takes something.
#[derive(Clone)]
pub struct Endpoint {
    client: reqwest::Client,
    url: Url,
    credential: Credential,
    deadline: Duration,
    shown: String,
}

/// What a resource must be for a PUT to replace it (RFC 9110, section 13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever it is.
    None,
    /// Not there.
    Absent,
    /// What this entity tag names.
    Tag(String),
}

/// Why something was not told.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL cannot be used.
    #[error("the address {shown} {problem}")]
    Url {
        /// The address, without secrets.
        shown: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// There is no connection.
    #[error("{shown} cannot be reached")]
    Unreachable {
        /// The address.
        shown: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It took too long.
    #[error("{shown} {source}")]
    Late {
        /// The address.
        shown: String,
        /// How long.
        source: transfer::DeadlinePassed,
    },
    /// It does not let us.
    #[error("{shown} does not let us: {status}")]
    Denied {
        /// The address.
        shown: String,
        /// The answer.
        status: StatusCode,
    },
    /// It asks us to come again.
    #[error("{shown} is busy: {status}")]
    Busy {
        /// The address.
        shown: String,
        /// The answer.
        status: StatusCode,
        /// When, if it says so.
        retry_after: Option<Duration>,
    },
    /// It answers something that is no success.
    #[error("{shown} answers {status}, which does not say that it has it")]
    Status {
        /// The address.
        shown: String,
        /// The answer.
        status: StatusCode,
    },
    /// The resource is not what it was expected to be.
    #[error("{shown} has changed")]
    Changed {
        /// The address.
        shown: String,
    },
    /// What it has cannot be read.
    #[error("what {shown} has cannot be read")]
    Body {
        /// The address.
        shown: String,
        /// Why.
        source: transfer::BodyError,
    },
}

impl OutboundError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::Busy { .. }
            | Self::Changed { .. }
            | Self::Body { .. } => Remedy::Time,
            Self::Url { .. } | Self::Denied { .. } | Self::Status { .. } => Remedy::Operator,
        }
    }

    /// The next act; none where waiting is the act.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Url { .. } => "write an https URL; http is only for this machine",
            Self::Denied { .. } => "check the token, and that it may write there",
            Self::Status { .. } => "check the URL, and that it takes this method; redirects are not followed",
            Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::Busy { .. }
            | Self::Changed { .. }
            | Self::Body { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// How long it asks us to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl Endpoint {
    /// The place at `url`. What is sent there must not be read on the way: https, or this machine.
    ///
    /// # Errors
    /// [`OutboundError::Url`].
    pub fn new(
        url: &str,
        credential: Credential,
        deadline: Duration,
        client: reqwest::Client,
    ) -> Result<Self, OutboundError> {
        let mut url = Url::parse(url)
            .map_err(|_| OutboundError::Url { shown: String::new(), problem: "is not a well-formed URL" })?;
        // A path may hold a secret, a host does not.
        let shown = url.host_str().unwrap_or_default().to_owned();
        if !matches!(url.scheme(), "https" | "http") || (url.scheme() == "http" && !is_loopback(&url)) {
            return Err(OutboundError::Url { shown, problem: "is no https URL" });
        }
        let credential = match (credential, url.password()) {
            (Credential::None, Some(password)) => {
                Credential::Basic(url.username().to_owned(), SecretString::from(password.to_owned()))
            }
            (credential, _) => credential,
        };
        // These fail only for URLs that cannot have userinfo.
        let _cannot_fail = (url.set_username(""), url.set_password(None));
        Ok(Self { client, url, credential, deadline, shown })
    }

    /// The name of the server, for messages: a path may hold a secret.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Puts `text` there; gives its entity tag, where the server names one.
    ///
    /// # Errors
    /// [`OutboundError::Changed`] when the precondition does not hold; anything but 200, 201 and 204.
    pub async fn put(&self, text: String, precondition: &Precondition) -> Result<Option<String>, OutboundError> {
        let request = self.client.put(self.url.clone()).header(CONTENT_TYPE, "application/toml").body(text);
        let request = match precondition {
            Precondition::None => request,
            Precondition::Absent => request.header(IF_NONE_MATCH, "*"),
            Precondition::Tag(tag) => request.header(IF_MATCH, tag),
        };
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(tag(&response)),
            StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => {
                Err(OutboundError::Changed { shown: self.shown.clone() })
            }
            _ => Err(self.refused(&response)),
        }
    }

    /// What is there, with its entity tag; `None` where there is nothing.
    ///
    /// # Errors
    /// What keeps it from being read.
    pub async fn get(&self) -> Result<Option<(Option<String>, Vec<u8>)>, OutboundError> {
        let deadline = Deadline::after(self.deadline);
        let response = self.send(self.client.get(self.url.clone())).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
            _ => return Err(self.refused(&response)),
        }
        let tag = tag(&response);
        let body = transfer::body(response, DOCUMENT_CAP, deadline).await;
        let body = body.map_err(|source| OutboundError::Body { shown: self.shown.clone(), source })?;
        Ok(Some((tag, body)))
    }

    /// Posts `json` with `headers`. Any 2xx is success.
    ///
    /// # Errors
    /// Anything else.
    pub async fn post(&self, json: String, headers: &[(&'static str, String)]) -> Result<(), OutboundError> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(json);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = self.send(request).await?;
        if response.status().is_success() { Ok(()) } else { Err(self.refused(&response)) }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, OutboundError> {
        let request = request.header(USER_AGENT, concat!("falconer/", env!("CARGO_PKG_VERSION")));
        let request = match &self.credential {
            Credential::None => request,
            Credential::Basic(username, password) => request.basic_auth(username, Some(password.expose_secret())),
            Credential::Bearer(token) => request.bearer_auth(token.expose_secret()),
        };
        let sent = Deadline::after(self.deadline).bound(request.send()).await;
        sent.map_err(|source| OutboundError::Late { shown: self.shown.clone(), source })?
            .map_err(|error| OutboundError::Unreachable { shown: self.shown.clone(), source: error.without_url() })
    }

    fn refused(&self, response: &Response) -> OutboundError {
        let (shown, status) = (self.shown.clone(), response.status());
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                OutboundError::Denied { shown, status }
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => self.busy(response),
            _ if status.is_server_error() => self.busy(response),
            _ => OutboundError::Status { shown, status },
        }
    }

    fn busy(&self, response: &Response) -> OutboundError {
        let retry_after = transfer::retry_after(response.headers(), SystemTime::now());
        OutboundError::Busy { shown: self.shown.clone(), status: response.status(), retry_after }
    }
}

/// Whether the URL is one of this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn tag(response: &Response) -> Option<String> {
    // A weak tag cannot be matched (RFC 9110, section 13.1.1).
    let tag = response.headers().get(ETAG)?.to_str().ok()?;
    tag.starts_with('"').then(|| tag.to_owned())
}
