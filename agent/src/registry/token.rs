//! Asks token servers for tokens.
//!
//! A registry's own token server speaks the distribution project's "token" and "OAuth2" specs; an authorization server gives
//! tokens to clients as RFC 6749, section 4.4, has it; the metadata server of Google Cloud gives those of the machine's
//! service account.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use super::attempt::{Ask, Failure};
use super::realm::{self, authority};
use super::{ClientCredentials, Credentials, Problem, Registries};
use crate::transfer::{self, BodyError};

/// The longest answer of a token server, in bytes.
const TOKEN_CAP: u64 = 1024 * 1024;
/// How long a token lives whose server does not say (the distribution project's "token" spec).
const TOKEN_LIFE: Duration = Duration::from_secs(60);
const FORM: &str = "application/x-www-form-urlencoded";

/// A token, and the end of its life.
pub(super) struct Token {
    pub(super) text: SecretString,
    pub(super) until: Instant,
}

impl Registries {
    /// Asks the registry's token server, which `realm` names, for a token with `scope`.
    pub(super) async fn realm_token(
        &self,
        ask: &Ask<'_>,
        realm: &Url,
        service: Option<&str>,
        scope: &str,
        credentials: Option<&Credentials>,
    ) -> Result<Token, Failure> {
        let client = self.clients.of(realm);
        let mut parameters = form_urlencoded::Serializer::new(String::new());
        parameters.extend_pairs(service.map(|service| ("service", service)));
        parameters.append_pair("scope", scope);
        let request = match credentials {
            Some(Credentials::IdentityToken(token)) => {
                parameters.append_pair("grant_type", "refresh_token").append_pair("client_id", "falconer");
                parameters.append_pair("refresh_token", token.expose_secret());
                client.post(realm.clone()).header(CONTENT_TYPE, FORM).body(parameters.finish())
            }
            other => {
                let mut url = realm.clone();
                let joined = [url.query().unwrap_or_default(), &parameters.finish()].join("&");
                url.set_query(Some(joined.trim_start_matches('&')));
                let request = client.get(url);
                match other {
                    Some(Credentials::Basic { username, password }) => match basic(username, password) {
                        Some(basic) => request.header(AUTHORIZATION, basic),
                        None => request,
                    },
                    _ => request,
                }
            }
        };
        let shown = credentials.is_some();
        let response = send(ask, realm, request).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => Err(Problem::Unauthorized { sent: shown }.into()),
            StatusCode::FORBIDDEN => Err(Problem::Forbidden { sent: shown }.into()),
            _ => read(ask, realm, response).await,
        }
    }

    /// Asks the authorization server for a token for the registry. The client shows itself in the Authorization header; as
    /// Go's oauth2 library, and so falcoctl, does, it is tried once more in the body where the server refuses that.
    pub(super) async fn client_token(&self, ask: &Ask<'_>, client: &ClientCredentials) -> Result<Token, Failure> {
        let Some(url) = realm::address(client.token_url.as_str(), &ask.url) else {
            let host = authority(&client.token_url);
            return Err(Problem::TokenServer { host, answer: "it is not asked over plain HTTP".to_owned() }.into());
        };
        let form = |in_body: bool| {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "client_credentials");
            if !client.scopes.is_empty() {
                form.append_pair("scope", &client.scopes.join(" "));
            }
            if in_body {
                form.append_pair("client_id", &client.client_id);
                form.append_pair("client_secret", client.client_secret.expose_secret());
            }
            let request = self.clients.of(&url).post(url.clone());
            request.header(CONTENT_TYPE, FORM).header(ACCEPT, "application/json").body(form.finish())
        };
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let secret = SecretString::from(encoded(client.client_secret.expose_secret()));
        let mut first = form(false);
        if let Some(basic) = basic(&encoded(&client.client_id), &secret) {
            first = first.header(AUTHORIZATION, basic);
        }
        let is_refusal = |status| matches!(status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST);
        let mut response = send(ask, &url, first).await?;
        if is_refusal(response.status()) {
            response = send(ask, &url, form(true)).await?;
        }
        if is_refusal(response.status()) || response.status() == StatusCode::FORBIDDEN {
            return Err(Problem::ClientRefused { host: authority(&url) }.into());
        }
        read(ask, &url, response).await
    }

    /// Asks the metadata server for a token of the machine's service account, which registries of Google take as the
    /// password of [`GOOGLE_USER`].
    pub(super) async fn google_token(&self, ask: &Ask<'_>, server: &str) -> Result<Token, Failure> {
        let path = "computeMetadata/v1/instance/service-accounts/default/token";
        let none = || Problem::NoMetadataServer { host: server.to_owned() };
        let url = Url::parse(&format!("http://{server}/{path}")).map_err(|_| none())?;
        let client = transfer::direct_client().map_err(|_| none())?;
        let request = client.get(url.clone()).header("Metadata-Flavor", "Google");
        let sent = ask.deadline.bound(request.send()).await.map_err(Problem::Late)?;
        let response = sent.map_err(|_| none())?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(none().into());
        }
        read(ask, &url, response).await
    }
}

async fn send(ask: &Ask<'_>, url: &Url, request: RequestBuilder) -> Result<Response, Failure> {
    let host = authority(url);
    let sent = ask.deadline.bound(request.send()).await.map_err(Problem::Late)?;
    sent.map_err(|error| match transfer::tls_failure(&error) {
        Some(source) => Problem::Tls { host, source: source.clone() }.into(),
        None => Failure::passing(Problem::TokenServerUnreachable { host, source: error.without_url() }),
    })
}

/// The token in the answer of a token server.
async fn read(ask: &Ask<'_>, url: &Url, response: Response) -> Result<Token, Failure> {
    let gives = |answer: String| Problem::TokenServer { host: authority(url), answer };
    match response.status() {
        status if status.is_success() => {}
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
    let token = answer.token.or(answer.access_token).filter(|token| bearer(token).is_some() && !token.is_empty());
    let token = token.ok_or_else(|| gives("its answer has no token that can be sent".to_owned()))?;
    let life = answer.expires_in.map_or(TOKEN_LIFE, Duration::from_secs);
    Ok(Token { text: token.into(), until: expiry(life) })
}

/// The end of a token's life. A life that is longer than the clock counts is as good as one of a day.
pub(super) fn expiry(life: Duration) -> Instant {
    Instant::now() + life.min(Duration::from_secs(24 * 3600))
}

/// The answer of a token server, without `Debug` since it is secret.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

pub(super) fn basic(username: &str, password: &SecretString) -> Option<HeaderValue> {
    let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    sensitive(&format!("Basic {pair}"))
}

pub(super) fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
