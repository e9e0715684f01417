//! The registry room: answers lookups about artifacts over HTTP, and fetches and pushes them.
//!
//! It speaks the OCI distribution spec 1.1 over the client that it is given. What it promises of every exchange:
//! - Bytes are given only after their sha256 was computed here and, where a digest is known, has matched. A manifest is
//!   never longer than its cap, a blob never longer than the size that was asked for: what goes beyond ends the transfer.
//! - The first request is anonymous, without a ping. Credentials are sent only after the registry has asked for them, only
//!   to its own origin or to a token realm that may have them ([`Access::token_realms`]), and never along a redirect.
//! - One deadline spans all attempts, redirects and token requests of an exchange. What may pass by itself (429, 5xx, a
//!   broken connection) is tried again, as [`Limits::backoff`] says and after the wait that the registry asks for.
//! - Content is asked for at the registry's mirror first, where it has one ([`Access::mirror`]), and at the registry itself
//!   when the mirror does not have it or fails in any way. Names in errors are those of who was asked.
//! - Of exchanges at the same time a registry gets [`Limits::per_host`] at the most; the others wait for their turn.

mod access;
mod attempt;
mod auth;
mod docker;
mod error;
mod mirror;
mod pull;
mod push;
mod realm;
mod tags;
mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use falconer_manifests::digest::Digest;
use falconer_manifests::reference::{Source, Tag};
use url::Url;

pub use self::access::{Access, ClientCredentials, Credentials, Mirror};
use self::auth::Known;
pub use self::docker::CredentialsError;
pub use self::error::{Missing, Problem, RegistryError};
use self::mirror::{First, Hosts};
pub use self::push::Pushed;
use crate::transfer::{Backoff, Clients, Output, Pace};

/// A repository of a registry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// Host and optional port, as the reference writes it, e.g. `ghcr.io` or `docker.io`.
    pub registry: String,
    /// The path in the registry, e.g. `falcosecurity/rules/falco-rules`.
    pub name: String,
}

impl Repository {
    /// The repository that `source` names; `None` for an OCI layout.
    #[must_use]
    pub fn of(source: &Source) -> Option<Self> {
        match source {
            Source::Registry { registry, repository } => {
                Some(Self { registry: registry.clone(), name: repository.clone() })
            }
            Source::Layout { .. } => None,
        }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.name)
    }
}

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagOrDigest {
    /// A tag; the registry decides what it means now.
    Tag(Tag),
    /// A digest; what comes is checked against it.
    Digest(Digest),
}

impl TagOrDigest {
    fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }

    /// The reference `registry/repository:tag` or `registry/repository@digest`, for people.
    fn of(&self, repository: &Repository) -> String {
        let joint = if matches!(self, Self::Tag(_)) { ':' } else { '@' };
        format!("{repository}{joint}{}", self.as_str())
    }
}

/// A manifest or an index as the registry gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The sha256 of `bytes`, computed here.
    pub digest: Digest,
    /// The Content-Type without parameters; `None` when the registry gave none.
    pub media_type: Option<String>,
    /// The document.
    pub bytes: Vec<u8>,
}

/// How much, how long and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest manifest, and the longest page of tags, in bytes. Default 4 MiB.
    pub manifest_bytes: u64,
    /// The most tags that a repository may list. Default 20,000.
    pub tags: usize,
    /// The deadline for anything but a blob, retries and token requests included. Default 60 s.
    pub manifest_time: Duration,
    /// The deadline for one blob, or for one push. Default 10 min.
    pub blob_time: Duration,
    /// The slowest that a blob may come; the wait for its first byte is `over` at the most. Default 1 KiB/s over 60 s.
    pub pace: Pace,
    /// When a request is tried again. Default: four attempts.
    pub backoff: Backoff,
    /// How many exchanges a registry gets at the same time. Default 4.
    pub per_host: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 * 1024 * 1024,
            tags: 20_000,
            manifest_time: Duration::from_secs(60),
            blob_time: Duration::from_secs(600),
            pace: Pace::default(),
            backoff: Backoff::default(),
            per_host: 4,
        }
    }
}

/// All registries, and what is known of them: settings, credentials, and the tokens that they gave us.
#[derive(Debug)]
pub struct Registries {
    clients: Clients,
    access: BTreeMap<String, Access>,
    docker_config: Option<PathBuf>,
    limits: Limits,
    known: Mutex<Known>,
    hosts: Hosts,
}

impl Registries {
    /// Registries reached through `clients`, which must not follow redirects by themselves ([`crate::transfer::client`]).
    /// `access` is by host and optional port, as references write it; a registry that is not in it is asked over https.
    #[must_use]
    pub fn new(clients: impl Into<Clients>, access: BTreeMap<String, Access>) -> Self {
        let (limits, known, hosts) = (Limits::default(), Mutex::default(), Hosts::default());
        Self { clients: clients.into(), access, docker_config: None, limits, known, hosts }
    }

    /// Also takes credentials from the docker config file at `path`, for registries whose [`Access`] has none. The file is
    /// read when a registry asks for credentials; one that does not exist is an empty one.
    #[must_use]
    pub fn with_docker_config(self, path: PathBuf) -> Self {
        Self { docker_config: Some(path), ..self }
    }

    /// The same with other limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The manifest or index under a tag or digest.
    ///
    /// # Errors
    /// [`RegistryError`]; when the bytes do not match the digest that was asked for or the one that the registry states,
    /// no bytes are given.
    pub async fn manifest(&self, repository: &Repository, wanted: &TagOrDigest) -> Result<Fetched, RegistryError> {
        let (time, subject) = (self.limits.manifest_time, |at: &Repository| wanted.of(at));
        let ask = async |at: &Repository, deadline| self.fetch_manifest(at, wanted, deadline).await;
        self.ask_around(repository, First::Mirror, time, subject, ask).await
    }

    /// The digest under a tag, by a HEAD request, and by no other where a token is known. `None` when the registry does not
    /// state one of sha256: then only [`Self::manifest`] can tell. A digest from here is the registry's word; content
    /// fetched by it is checked.
    ///
    /// # Errors
    /// [`RegistryError`], also when there is no such tag.
    pub async fn head(&self, repository: &Repository, wanted: &TagOrDigest) -> Result<Option<Digest>, RegistryError> {
        let (time, subject) = (self.limits.manifest_time, |at: &Repository| wanted.of(at));
        let ask = async |at: &Repository, deadline| self.stated_digest(at, wanted, deadline).await;
        self.ask_around(repository, First::Mirror, time, subject, ask).await
    }

    /// The tags of a repository, in the order of the registry. A mirror is asked only where the registry cannot be reached.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub async fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, RegistryError> {
        let ask = async |at: &Repository, deadline| self.list_tags(at, deadline).await;
        self.ask_around(repository, First::Origin, self.limits.manifest_time, ToString::to_string, ask).await
    }

    /// Writes a blob of `size` bytes to `out`. Only after `Ok` is what was written the blob: an error may leave a part
    /// of it, or wrong bytes, behind. Nothing is asked for when `size` is above `cap`. A body that breaks off is asked for
    /// again from its beginning.
    ///
    /// # Errors
    /// [`RegistryError`], e.g. when the body is longer or shorter than `size`, or is not what `digest` names.
    pub async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        cap: u64,
        out: &mut dyn Output,
    ) -> Result<(), RegistryError> {
        let subject = |at: &Repository| format!("{at}@{digest}");
        if size > cap {
            return Err(Problem::TooLarge { size, cap }.of(subject(repository)));
        }
        let mut begun = false;
        let ask = async |at: &Repository, deadline| {
            if std::mem::replace(&mut begun, true) {
                out.start_over().map_err(Problem::Output)?;
            }
            self.fetch_blob(at, digest, size, deadline, &mut *out).await
        };
        self.ask_around(repository, First::Mirror, self.limits.blob_time, subject, ask).await
    }

    fn access(&self, registry: &str) -> Option<&Access> {
        self.access.get(registry)
    }

    fn plain_http(&self, registry: &str) -> bool {
        self.access(registry).is_some_and(|access| access.plain_http)
    }

    /// `/v2/<repository>/<rest>` on the registry.
    fn url(&self, repository: &Repository, rest: &str) -> Result<Url, Problem> {
        let scheme = if self.plain_http(&repository.registry) { "http" } else { "https" };
        let host = host_of(&repository.registry);
        Url::parse(&format!("{scheme}://{host}/v2/{}/{rest}", repository.name))
            .map_err(|_| Problem::Unusable(format!("`{repository}` is no address")))
    }
}

/// The host that serves a registry: Docker Hub's has another name than its references.
#[must_use]
pub fn host_of(registry: &str) -> &str {
    if registry == "docker.io" { "registry-1.docker.io" } else { registry }
}
