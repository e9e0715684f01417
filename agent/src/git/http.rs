//! Git over http(s) (git, Documentation/gitprotocol-http, the smart protocol only).

use std::time::SystemTime;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LOCATION, USER_AGENT};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::ExposeSecret as _;
use url::Url;

use super::GitError;
use super::access::Credential;
use super::error::sanitised;
use super::remote::Service;
use crate::transfer::{self, Deadline};

/// The most redirects that the first request follows.
const REDIRECTS: usize = 3;

/// GitHub and others speak Git only to clients that begin so, and some refuse versions of git that were never smart.
const CLIENT: &str = concat!("git/2.0 (falconer/", env!("CARGO_PKG_VERSION"), ")");

/// A repository behind http(s), and who we are for it.
#[derive(Debug, Clone)]
pub(super) struct Http {
    pub(super) client: reqwest::Client,
    pub(super) url: Url,
    pub(super) credential: Credential,
    pub(super) shown: String,
}

impl Http {
    /// Asks what `service` offers. Redirects within the same host are followed and remembered.
    pub(super) async fn advertisement(&mut self, service: Service, deadline: Deadline) -> Result<Response, GitError> {
        let content_type = format!("application/x-{}-advertisement", service.name());
        let mut url = below(&self.url, "/info/refs", Some(&format!("service={}", service.name())));
        for _ in 0..=REDIRECTS {
            let request = self.request(Method::GET, url.clone(), service);
            let response = self.send(request, deadline).await?;
            if response.status().is_redirection() {
                url = self.target(&url, response.headers(), Some(service))?;
                continue;
            }
            self.expect(&response, &content_type)?;
            let base = url.path().strip_suffix("/info/refs").unwrap_or_default().to_owned();
            self.url = url;
            self.url.set_path(&base);
            self.url.set_query(None);
            return Ok(response);
        }
        Err(GitError::Redirected { remote: self.shown.clone(), to: "one place after the other".to_owned() })
    }

    /// Sends a request to `service`.
    pub(super) async fn ask(&self, service: Service, body: Vec<u8>, deadline: Deadline) -> Result<Response, GitError> {
        let name = service.name();
        let result = format!("application/x-{name}-result");
        let request = self
            .request(Method::POST, below(&self.url, &format!("/{name}"), None), service)
            .header(CONTENT_TYPE, format!("application/x-{name}-request"))
            .header(ACCEPT, &result)
            .body(body);
        let response = self.send(request, deadline).await?;
        if response.status().is_redirection() {
            self.target(&self.url, response.headers(), None)?;
        }
        self.expect(&response, &result)?;
        Ok(response)
    }

    /// The error for a connection that failed.
    pub(super) fn broken(&self, error: reqwest::Error) -> GitError {
        let remote = self.shown.clone();
        let source = error.without_url();
        if is_certificate(&source) {
            GitError::Certificate { remote, source }
        } else if source.is_body() || source.is_decode() {
            GitError::BrokeOff { remote }
        } else {
            GitError::Unreachable { remote, source }
        }
    }

    fn request(&self, method: Method, url: Url, service: Service) -> RequestBuilder {
        let request = self.client.request(method, url).header(USER_AGENT, CLIENT);
        let request = match service {
            Service::UploadPack => request.header("Git-Protocol", "version=2"),
            // There is no protocol v2 for pushing.
            Service::ReceivePack => request,
        };
        match &self.credential {
            Credential::None => request,
            Credential::Basic { username, password } => request.basic_auth(username, Some(password.expose_secret())),
            Credential::Bearer(token) => request.bearer_auth(token.expose_secret()),
        }
    }

    async fn send(&self, request: RequestBuilder, deadline: Deadline) -> Result<Response, GitError> {
        let sent = deadline.bound(request.send()).await;
        sent.map_err(|source| GitError::Late { remote: self.shown.clone(), source })?
            .map_err(|error| self.broken(error))
    }

    /// The place that a redirect names, when it is the same host, no less protected, and still a Git service.
    fn target(&self, from: &Url, headers: &HeaderMap, service: Option<Service>) -> Result<Url, GitError> {
        let location = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = from.join(location).ok();
        let followed = target.clone().filter(|target| {
            let upgrade = (from.scheme(), target.scheme()) == ("http", "https")
                && (from.port(), target.port()) == (None, None)
                && from.host() == target.host();
            let service = service.is_some_and(|service| target.query() == Some(&format!("service={}", service.name())));
            service && target.path().ends_with("/info/refs") && (from.origin() == target.origin() || upgrade)
        });
        followed.map(without_userinfo).ok_or_else(|| {
            let to = target.map_or_else(
                || "nowhere".to_owned(),
                |mut target| {
                    target.set_query(None);
                    target.set_fragment(None);
                    sanitised(without_userinfo(target).as_str())
                },
            );
            GitError::Redirected { remote: self.shown.clone(), to }
        })
    }

    /// Whether the answer is the one that was asked for.
    fn expect(&self, response: &Response, content_type: &str) -> Result<(), GitError> {
        let remote = self.shown.clone();
        let status = response.status();
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                return Err(GitError::Denied { remote, said: status.to_string() });
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(GitError::NotFound { remote }),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => return Err(self.busy(response)),
            _ if status.is_server_error() => return Err(self.busy(response)),
            _ => return Err(GitError::Status { remote, status: status.as_u16() }),
        }
        let came = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if came == content_type {
            return Ok(());
        }
        let content_type = if came.is_empty() { "no content type".to_owned() } else { sanitised(came) };
        Err(GitError::NotGit { remote, content_type })
    }

    fn busy(&self, response: &Response) -> GitError {
        let retry_after = transfer::retry_after(response.headers(), SystemTime::now());
        GitError::Busy { remote: self.shown.clone(), status: response.status().as_u16(), retry_after }
    }
}

fn below(base: &Url, path: &str, query: Option<&str>) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url.set_query(query);
    url
}

fn without_userinfo(mut url: Url) -> Url {
    // These fail only for URLs that cannot have userinfo.
    let _has_none = (url.set_username(""), url.set_password(None));
    url
}

/// Looks for a refused certificate among the causes, or for roots that cannot be had to check it. An I/O error does not name what it wraps as its source.
fn is_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_) | rustls::Error::General(_))) {
        return true;
    }
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    wrapped.is_some_and(|error| is_certificate(error)) || error.source().is_some_and(is_certificate)
}
