//! Shows registries who we are, and remembers what they gave us for it.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Response;
use reqwest::header::HeaderValue;
use secrecy::ExposeSecret;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;
use url::Url;

use super::attempt::{Ask, Failure};
use super::realm::{self, Challenge};
use super::token::{Token, basic, bearer, expiry};
use super::{Credentials, CredentialsError, Problem, Registries, Repository, docker};
use crate::transfer;

/// How long an answer of docker's config counts, so that a helper is not run for every repository.
const LOOK_UP_LIFE: Duration = Duration::from_secs(60);
/// The user name with which Google's registries take an access token.
const GOOGLE_USER: &str = "oauth2accesstoken";

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
    tokens: BTreeMap<(Repository, Scope), Kept<Authorization>>,
    /// By registry, for what is the same in all its repositories.
    always: BTreeMap<String, Kept<Authorization>>,
    /// By registry: credentials that had to be asked for, `None` where there are none.
    granted: BTreeMap<String, Kept<Option<Credentials>>>,
    /// Who asks for something holds its gate, so that nobody else asks for the same meanwhile.
    gates: BTreeMap<String, Arc<Mutex<()>>>,
}

/// Something that is good for a time.
#[derive(Debug)]
struct Kept<T> {
    value: T,
    until: Option<Instant>,
}

impl<T: Clone> Kept<T> {
    fn get(&self) -> Option<T> {
        let is_good = self.until.is_none_or(|until| until > Instant::now());
        is_good.then(|| self.value.clone())
    }
}

impl Registries {
    /// What the registry is known to take; `None` means that an anonymous request comes first.
    pub(super) fn known_authorization(&self, repository: &Repository, scope: Scope) -> Option<Authorization> {
        let known = self.known();
        let token = known.tokens.get(&(repository.clone(), scope)).and_then(Kept::get);
        token.or_else(|| known.always.get(&repository.registry).and_then(Kept::get))
    }

    /// Answers the challenge of `refusal`, a 401 to a request that showed `sent`. Of requests that are refused at the same
    /// time one asks for a token, and the others take it.
    pub(super) async fn authorize(
        &self,
        ask: &Ask<'_>,
        refusal: &Response,
        sent: Option<&Authorization>,
    ) -> Result<Authorization, Failure> {
        let Ask { repository, scope, .. } = ask;
        let _turn = self.gate(ask, scope.text(repository)).await?;
        match self.known_authorization(repository, *scope) {
            Some(newer) if sent.is_none_or(|sent| sent.header != newer.header) => return Ok(newer),
            _ => self.forget(ask, sent),
        }
        let (credentials, until) = self.credentials(ask).await?;
        let shown = credentials.is_some();
        let header = match (realm::challenge(refusal.headers()), &credentials) {
            (None, _) => return Err(Problem::Unauthorized { sent: false }.into()),
            (Some(Challenge::Basic), Some(Credentials::Basic { username, password })) => basic(username, password),
            (Some(Challenge::Basic), _) => return Err(Problem::Unauthorized { sent: false }.into()),
            (Some(Challenge::Bearer { .. }), Some(Credentials::Token(token))) => bearer(token.expose_secret()),
            (Some(Challenge::Bearer { realm, service, scope: asked }), credentials) => {
                let realm = self.realm(ask, &realm, shown).await?;
                let text = realm::scope(asked.as_deref(), &scope.text(repository));
                let Token { text, until } =
                    self.realm_token(ask, &realm, service.as_deref(), &text, credentials.as_ref()).await?;
                let token = Authorization { header: header(bearer(text.expose_secret()))?, shown };
                let kept = Kept { value: token.clone(), until: Some(until) };
                self.known().tokens.insert(((*repository).clone(), *scope), kept);
                return Ok(token);
            }
        };
        let always = Authorization { header: self::header(header)?, shown };
        self.known().always.insert(repository.registry.clone(), Kept { value: always.clone(), until });
        Ok(always)
    }

    /// Forgets what was sent and refused, and the credentials that stood behind it.
    fn forget(&self, ask: &Ask<'_>, sent: Option<&Authorization>) {
        let mut known = self.known();
        known.tokens.remove(&(ask.repository.clone(), ask.scope));
        known.always.remove(&ask.repository.registry);
        if sent.is_some_and(|sent| sent.shown) {
            known.granted.remove(&ask.repository.registry);
        }
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

    /// What we show the registry: those of the settings, else of docker's config. The time is the end of the life of what
    /// had to be asked for.
    async fn credentials(&self, ask: &Ask<'_>) -> Result<(Option<Credentials>, Option<Instant>), Failure> {
        let registry = &ask.repository.registry;
        let own = self.access(registry).and_then(|access| access.credentials.as_ref());
        match own {
            Some(Credentials::Client(_) | Credentials::Google { .. }) => {}
            None if self.docker_config.is_some() => {}
            other => return Ok((other.cloned(), None)),
        }
        let _turn = self.gate(ask, registry.clone()).await?;
        if let Some(kept) = self.known().granted.get(registry)
            && let Some(credentials) = kept.get()
        {
            return Ok((credentials, kept.until));
        }
        let (credentials, until) = match (own, &self.docker_config) {
            (Some(Credentials::Client(client)), _) => {
                let token = self.client_token(ask, client).await?;
                (Some(Credentials::Token(token.text)), token.until)
            }
            (Some(Credentials::Google { metadata_server }), _) => {
                let token = self.google_token(ask, metadata_server).await?;
                let basic = Credentials::Basic { username: GOOGLE_USER.to_owned(), password: token.text };
                (Some(basic), token.until)
            }
            (_, Some(path)) => {
                let found = docker::look_up(path, registry, ask.deadline).await.map_err(Problem::Credentials)?;
                (found, expiry(LOOK_UP_LIFE))
            }
            (_, None) => return Ok((None, None)),
        };
        let kept = Kept { value: credentials.clone(), until: Some(until) };
        self.known().granted.insert(registry.clone(), kept);
        Ok((credentials, Some(until)))
    }

    async fn gate(&self, ask: &Ask<'_>, name: String) -> Result<OwnedMutexGuard<()>, Problem> {
        let name = format!("{} {name}", ask.repository.registry);
        let gate = Arc::clone(self.known().gates.entry(name).or_default());
        Ok(ask.deadline.bound(gate.lock_owned()).await?)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change of the maps is one insertion or removal, so a panic elsewhere cannot leave them half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn header(value: Option<HeaderValue>) -> Result<HeaderValue, Problem> {
    value.ok_or(Problem::Credentials(CredentialsError::NoHeader))
}
