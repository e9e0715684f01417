//! One request and all that it takes to get its answer: credentials, redirects, further attempts.
#![expect(clippy::disallowed_methods, reason = "Retry-After may be a date, which only the clock turns into a wait")]

use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use super::auth::{Authorization, Scope};
use super::realm::authority;
use super::{Missing, Problem, Registries, Repository};
use crate::transfer::{self, Deadline, REDIRECTS, RedirectError};

/// The longest error document that is read, in bytes.
const ERROR_CAP: u64 = 64 * 1024;

/// A request to a registry.
pub(super) struct Ask<'a> {
    pub(super) repository: &'a Repository,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) accept: Option<&'static str>,
    /// Media type and bytes of the body.
    pub(super) content: Option<(&'static str, &'a [u8])>,
    pub(super) scope: Scope,
    /// What a 404 means.
    pub(super) missing: Missing,
    pub(super) deadline: Deadline,
}

impl<'a> Ask<'a> {
    pub(super) const fn get(repository: &'a Repository, url: Url, missing: Missing, deadline: Deadline) -> Self {
        let (method, scope) = (Method::GET, Scope::Pull);
        Self { repository, method, url, accept: None, content: None, scope, missing, deadline }
    }
}

/// An answer whose body has been read.
pub(super) struct Answer {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// How one attempt failed.
pub(super) enum Failure {
    /// Another attempt would fail too.
    Final(Problem),
    /// It may pass; the registry may have asked for a wait.
    Passing { problem: Problem, asked: Option<Duration> },
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Final(problem)
    }
}

impl Failure {
    pub(super) const fn passing(problem: Problem) -> Self {
        Self::Passing { problem, asked: None }
    }
}

/// What the attempts of one request have used up.
#[derive(Default)]
struct Spent {
    failed: u32,
    /// Whether credentials were shown anew; once is all.
    renewed: bool,
}

impl Registries {
    /// The successful answer, its body not yet read.
    pub(super) async fn answer(&self, ask: &Ask<'_>) -> Result<Response, Problem> {
        let mut spent = Spent::default();
        loop {
            match self.attempt(ask, &mut spent).await {
                Ok(response) => return Ok(response),
                Err(failure) => self.wait(failure, &mut spent, ask.deadline).await?,
            }
        }
    }

    /// The successful answer with its body of at most `cap` bytes; a body that breaks off is asked for again.
    pub(super) async fn answer_with_body(&self, ask: &Ask<'_>, cap: u64) -> Result<Answer, Problem> {
        let mut spent = Spent::default();
        loop {
            let answer = match self.attempt(ask, &mut spent).await {
                Ok(response) => read(response, cap, ask.deadline).await,
                Err(failure) => Err(failure),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(failure) => self.wait(failure, &mut spent, ask.deadline).await?,
            }
        }
    }

    async fn wait(&self, failure: Failure, spent: &mut Spent, deadline: Deadline) -> Result<(), Problem> {
        let (problem, asked) = match failure {
            Failure::Final(problem) => return Err(problem),
            Failure::Passing { problem, asked } => (problem, asked),
        };
        spent.failed += 1;
        if self.limits.backoff.pause(spent.failed, asked, deadline).await { Ok(()) } else { Err(problem) }
    }

    async fn attempt(&self, ask: &Ask<'_>, spent: &mut Spent) -> Result<Response, Failure> {
        let mut url = ask.url.clone();
        let mut authorization = self.known_authorization(ask.repository, ask.scope);
        let mut redirects = 0;
        loop {
            let response = self.send(ask, &url, authorization.as_ref()).await?;
            let status = response.status();
            if transfer::is_redirect(status) && (ask.method == Method::GET || ask.method == Method::HEAD) {
                if redirects == REDIRECTS {
                    return Err(Problem::Redirect(RedirectError::TooMany).into());
                }
                redirects += 1;
                let plain_http = self.plain_http(&ask.repository.registry);
                let target = transfer::redirect_target(&url, &response, plain_http).await.map_err(Problem::Redirect)?;
                if !transfer::same_origin(&ask.url, &target) {
                    authorization = None;
                }
                url = target;
                continue;
            }
            // Only the registry itself may ask for credentials, not where it has sent us.
            if status == StatusCode::UNAUTHORIZED && !spent.renewed && transfer::same_origin(&ask.url, &url) {
                authorization = Some(self.authorize(ask, &response, authorization.as_ref()).await?);
                spent.renewed = true;
                url = ask.url.clone();
                continue;
            }
            return judge(ask, response, authorization.is_some_and(|sent| sent.shown)).await;
        }
    }

    async fn send(&self, ask: &Ask<'_>, url: &Url, authorization: Option<&Authorization>) -> Result<Response, Failure> {
        let mut request = self.clients.of(url).request(ask.method.clone(), url.clone());
        if let Some(accept) = ask.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, &authorization.header);
        }
        // The answer to an upload begins when the upload has ended, which only the deadline bounds.
        let patience = match ask.content {
            Some((media_type, bytes)) => {
                request = request.header(CONTENT_TYPE, media_type).body(bytes.to_vec());
                ask.deadline
            }
            None => Deadline::after(self.limits.pace.over),
        };
        match ask.deadline.bound(patience.bound(request.send())).await.map_err(Problem::Late)? {
            Ok(sent) => sent.map_err(|error| no_answer(url, error)),
            Err(passed) => {
                let waited = passed.total.as_secs();
                Err(Failure::passing(Problem::Silent { host: authority(url), waited }))
            }
        }
    }
}

/// What a connection that failed means.
fn no_answer(url: &Url, error: reqwest::Error) -> Failure {
    let host = authority(url);
    match transfer::tls_failure(&error) {
        Some(source) => Problem::Tls { host, source: source.clone() }.into(),
        None => Failure::passing(Problem::Unreachable { host, source: error.without_url() }),
    }
}

async fn read(response: Response, cap: u64, deadline: Deadline) -> Result<Answer, Failure> {
    let headers = response.headers().clone();
    match transfer::body(response, cap, deadline).await.map_err(Problem::from) {
        Ok(body) => Ok(Answer { headers, body }),
        Err(problem @ Problem::Broken(_)) => Err(Failure::passing(problem)),
        Err(problem) => Err(problem.into()),
    }
}

/// Makes a failure of every status but success.
async fn judge(ask: &Ask<'_>, response: Response, sent: bool) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let asked = transfer::retry_after(response.headers(), SystemTime::now());
    Err(match status {
        StatusCode::UNAUTHORIZED => Problem::Unauthorized { sent }.into(),
        StatusCode::FORBIDDEN => Problem::Forbidden { sent }.into(),
        StatusCode::NOT_FOUND => Problem::NotFound(missing(ask, response).await).into(),
        passing if transfer::may_pass(passing) => Failure::Passing { problem: Problem::Status(passing), asked },
        other => Problem::Status(other).into(),
    })
}

/// What is missing: the registry may say that it is more than what was asked for.
async fn missing(ask: &Ask<'_>, response: Response) -> Missing {
    let document = transfer::body(response, ERROR_CAP, ask.deadline).await.unwrap_or_default();
    let said = serde_json::from_slice::<ErrorDocument>(&document).unwrap_or_default();
    if said.errors.iter().any(|error| error.code == "NAME_UNKNOWN") { Missing::Repository } else { ask.missing }
}

/// The error document of the OCI distribution spec, "Error Codes".
#[derive(Deserialize, Default)]
struct ErrorDocument {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    code: String,
}
