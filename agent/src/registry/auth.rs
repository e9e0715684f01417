//! Shows registries who we are, and remembers what they gave us for it.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::attempt::{Ask, Failure};
use super::realm::{self, Challenge};
use super::{Credentials, CredentialsError, Problem, Registries, Repository, access};
use crate::transfer::{self, BodyError};

/// The longest answer of a token server, in bytes.
const TOKEN_CAP: u64 = 1024 * 1024;
/// How long a token lives whose server does not say (the distribution project's "token" spec).
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// The rights that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Reading.
    Pull,
    /// Reading and writing.
    Push,
}

impl Scope {
    fn text(self, repository: &Repository) -> String {
        let actions = match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        };
        format!("repository:{}:{actions}", repository.name)
    }
}

/// What we show to a registry.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) header: HeaderValue,
    /// Whether credentials stand behind it; a token may be had without.
    pub(super) shown: bool,
}

/// What registries are known to take as Authorization.
#[derive(Debug, Default)]
pub(super) struct Known {
    tokens: BTreeMap<(Repository, Scope), (Authorization, Instant)>,
    /// By registry, for what is the same in all its repositories.
    always: BTreeMap<String, Authorization>,
}

impl Registries {
    /// What the registry is known to take; `None` means that an anonymous request comes first.
    pub(super) fn known_authorization(&self, repository: &Repository, scope: Scope) -> Option<Authorization> {
        let mut known = self.known();
        let key = (repository.clone(), scope);
        if known.tokens.get(&key).is_some_and(|(_, until)| *until <= Instant::now()) {
            known.tokens.remove(&key);
        }
        let token = known.tokens.get(&key).map(|(token, _)| token.clone());
        token.or_else(|| known.always.get(&repository.registry).cloned())
    }

    /// Answers the challenge of `refusal`, a 401. What had been sent is forgotten.
    pub(super) async fn authorize(&self, ask: &Ask<'_>, refusal: &Response) -> Result<Authorization, Failure> {
        let registry = &ask.repository.registry;
        let key = (ask.repository.clone(), ask.scope);
        {
            let mut known = self.known();
            known.tokens.remove(&key);
            known.always.remove(registry);
        }
        let credentials = self.credentials(ask).await?;
        let shown = credentials.is_some();
        let refused = Problem::Unauthorized { sent: false };
        let always = match (realm::challenge(refusal.headers()).ok_or(refused)?, &credentials) {
            (Challenge::Basic, Some(Credentials::Basic { username, password })) => basic(username, password),
            (Challenge::Basic, _) => return Err(Problem::Unauthorized { sent: false }.into()),
            (Challenge::Bearer { .. }, Some(Credentials::Token(token))) => bearer(token.expose_secret()),
            (Challenge::Bearer { realm, service, scope }, credentials) => {
                let realm = self.realm(ask, &realm, shown).await?;
                let scope = realm::scope(scope.as_deref(), &ask.scope.text(ask.repository));
                let request = self.token_request(&realm, service.as_deref(), &scope, credentials.as_ref());
                let (header, life) = fetch_token(ask, &realm, request, shown).await?;
                let token = Authorization { header, shown };
                self.known().tokens.insert(key, (token.clone(), expiry(life)));
                return Ok(token);
            }
        };
        let header =
            always.ok_or(CredentialsError::Malformed("they cannot stand in a header")).map_err(Problem::from)?;
        let always = Authorization { header, shown };
        self.known().always.insert(registry.clone(), always.clone());
        Ok(always)
    }

    /// The realm, when it may be asked, and asked with our credentials.
    async fn realm(&self, ask: &Ask<'_>, realm: &str, with_credentials: bool) -> Result<Url, Problem> {
        let purpose = "fetch a token";
        let Some(url) = realm::address(realm, &ask.url) else {
            return Err(Problem::Steered { host: "an address that is not https".to_owned(), purpose });
        };
        let allowed = self.access(&ask.repository.registry).map_or(&[][..], |access| &access.token_realms);
        if realm::may_have_credentials(&ask.url, &url, allowed) {
            return Ok(url);
        }
        if with_credentials {
            return Err(Problem::ForeignRealm { host: realm::authority(&url) });
        }
        if transfer::leads_inside(&ask.url, &url).await {
            return Err(Problem::Steered { host: realm::authority(&url), purpose });
        }
        Ok(url)
    }

    fn token_request(
        &self,
        realm: &Url,
        service: Option<&str>,
        scope: &str,
        credentials: Option<&Credentials>,
    ) -> RequestBuilder {
        let mut parameters = form_urlencoded::Serializer::new(String::new());
        parameters.extend_pairs(service.map(|service| ("service", service)));
        parameters.append_pair("scope", scope);
        match credentials {
            Some(Credentials::IdentityToken(token)) => {
                parameters.append_pair("grant_type", "refresh_token").append_pair("client_id", "falconer");
                parameters.append_pair("refresh_token", token.expose_secret());
                let form = "application/x-www-form-urlencoded";
                self.client.post(realm.clone()).header(CONTENT_TYPE, form).body(parameters.finish())
            }
            other => {
                let mut url = realm.clone();
                let joined = [url.query().unwrap_or_default(), &parameters.finish()].join("&");
                url.set_query(Some(joined.trim_start_matches('&')));
                let request = self.client.get(url);
                match other {
                    Some(Credentials::Basic { username, password }) => match basic(username, password) {
                        Some(basic) => request.header(AUTHORIZATION, basic),
                        None => request,
                    },
                    _ => request,
                }
            }
        }
    }

    async fn credentials(&self, ask: &Ask<'_>) -> Result<Option<Credentials>, Problem> {
        let registry = &ask.repository.registry;
        if let Some(credentials) = self.access(registry).and_then(|access| access.credentials.clone()) {
            return Ok(Some(credentials));
        }
        let Some(path) = self.docker_config.clone() else { return Ok(None) };
        let registry = registry.clone();
        // A helper is a program that takes its time.
        let looking = tokio::task::spawn_blocking(move || access::from_docker(&path, &registry));
        let looked = ask.deadline.bound(looking).await?;
        Ok(looked.unwrap_or(Err(CredentialsError::Ended))?)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change of the map is one insertion or removal, so a panic elsewhere cannot leave it half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn fetch_token(
    ask: &Ask<'_>,
    realm: &Url,
    request: RequestBuilder,
    shown: bool,
) -> Result<(HeaderValue, Duration), Failure> {
    let host = realm::authority(realm);
    let sent = ask.deadline.bound(request.send()).await.map_err(Problem::Late)?;
    let response = sent.map_err(|error| match transfer::tls_failure(&error) {
        Some(source) => Problem::Tls { host: host.clone(), source: source.clone() }.into(),
        None => Failure::passing(Problem::TokenServerUnreachable { host: host.clone(), source: error.without_url() }),
    })?;
    let gives = |answer: String| Problem::TokenServer { host: host.clone(), answer };
    match response.status() {
        status if status.is_success() => {}
        StatusCode::UNAUTHORIZED => return Err(Problem::Unauthorized { sent: shown }.into()),
        StatusCode::FORBIDDEN => return Err(Problem::Forbidden { sent: shown }.into()),
        status if transfer::may_pass(status) => return Err(Failure::passing(gives(format!("it answers {status}")))),
        status => return Err(gives(format!("it answers {status}")).into()),
    }
    let body = transfer::body(response, TOKEN_CAP, ask.deadline).await.map_err(|error| match error {
        BodyError::Late(passed) => Problem::Late(passed).into(),
        BodyError::TooLong { .. } => gives("its answer is too long".to_owned()).into(),
        BodyError::Broken(_) => Failure::passing(gives("its answer broke off".to_owned())),
    })?;
    let answer: TokenAnswer =
        serde_json::from_slice(&body).map_err(|_| gives("its answer is not JSON of the token form".to_owned()))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.and_then(|token| bearer(&token));
    let token = token.ok_or_else(|| gives("its answer has no token that can be sent".to_owned()))?;
    Ok((token, answer.expires_in.map_or(TOKEN_LIFE, Duration::from_secs)))
}

/// The end of a token's life. A life that is longer than the clock counts is as good as one of a day.
fn expiry(life: Duration) -> Instant {
    Instant::now() + life.min(Duration::from_secs(24 * 3600))
}

/// The answer of a token server, without `Debug` since it is secret (the distribution project's "token" and "OAuth2" specs).
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

fn basic(username: &str, password: &SecretString) -> Option<HeaderValue> {
    let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    sensitive(&format!("Basic {pair}"))
}

fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
