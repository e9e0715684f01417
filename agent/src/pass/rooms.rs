//! The rooms of one agent, opened with its settings.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use falconer_manifests::composition;
use falconer_manifests::name::AbsolutePath;
use falconer_manifests::status::StatusError;
use tokio::sync::Notify;

use super::PassError;
use super::fetch::Listener;
use super::report::Telling;
use crate::falco::{Account, Deadlines, FalcoSettings, Supervision};
use crate::git::{self, Credential, Remote, RemoteUrl};
use crate::index::{Cache, Served};
use crate::registry::{self, Registries};
use crate::settings::{self, Settings, SettingsError};
use crate::transfer::{self, Clients};

/// The directory of copies of indexes, in the state directory or in the user's cache.
const INDEXES: &str = "indexes";

/// An agent: its settings and the rooms that they open.
pub struct Agent {
    /// The settings.
    pub settings: Settings,
    /// Where artifacts come from.
    pub sources: Sources,
    /// The desired-state repository.
    pub(super) remote: Remote,
    /// Whoever is told how the host is.
    pub(super) telling: Telling,
    /// The host's Falco.
    pub falco: FalcoSettings,
    /// Who could not be asked when somebody was asked last: a look at the host alone still says so.
    pub(super) away: Option<StatusError>,
    /// Whether the pass is asking somebody just now, and has not begun to change anything.
    pub(super) asking: Arc<AtomicBool>,
    /// Told when files that matter have changed while the pass runs.
    pub(super) touched: Arc<Notify>,
}

/// Where artifacts come from: registries, indexes, and layouts relative to a directory.
#[derive(Debug)]
pub struct Sources {
    pub(super) clients: Clients,
    pub(super) registries: Registries,
    pub(super) base: std::path::PathBuf,
    pub(super) index_cache: Option<Cache>,
    pub(super) served: Mutex<BTreeMap<String, Served>>,
    pub(super) listener: Option<Listener>,
}

impl Agent {
    /// Opens the rooms. Nothing is asked or written yet.
    ///
    /// # Errors
    /// When a URL or a login cannot be used, or TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, PassError> {
        let http = transfer::client()?;
        let remote = |remote: &settings::Remote| open_remote(&settings, remote, http.clone());
        Ok(Self {
            sources: Sources::new(&settings, http.clone(), &settings.base)?
                .with_index_cache(Path::new(settings.state.as_str()).join(INDEXES)),
            remote: remote(&settings.repository.remote)?,
            telling: Telling::new(&settings, http.clone(), remote)?,
            falco: FalcoSettings {
                config_file: Path::new(settings.falco.config_file.as_str()).to_path_buf(),
                binary: settings.falco.binary.clone(),
                http: Some(settings.falco.http.clone()),
                deadlines: Deadlines { back: settings.falco.confirm_within, ..Deadlines::default() },
                supervision: supervision(&settings.falco.supervision),
                validate_as: account(&settings.falco)?,
                memory: Arc::default(),
            },
            away: None,
            asking: Arc::default(),
            touched: Arc::default(),
            settings,
        })
    }

    /// The include as falco.yaml names it.
    #[must_use]
    pub fn include(&self) -> AbsolutePath {
        composition::include_path(&self.settings.state)
    }

    /// Whether a pass of this agent is asking somebody, and has not begun to change anything; to be looked at while the
    /// pass runs.
    #[must_use]
    pub fn asking(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asking)
    }

    /// Whom to tell when files that matter change while a pass of this agent runs.
    #[must_use]
    pub fn touched(&self) -> Arc<Notify> {
        Arc::clone(&self.touched)
    }

    /// How long Falco may take to take a generation up, and how long it must stay well after that.
    pub(super) fn patience(&self) -> (Duration, Duration) {
        (self.settings.falco.confirm_within, self.settings.falco.settle)
    }
}

impl Sources {
    /// Sources as `settings` has them; directories of layouts are relative to `base`. `http` is for hosts that need nothing
    /// special of TLS. Copies of indexes are kept in the user's cache.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: &Settings, http: reqwest::Client, base: &Path) -> Result<Self, PassError> {
        let access = |registry: &settings::Registry| registry::Access {
            plain_http: registry.plain_http,
            credentials: registry.credentials.clone(),
            token_realms: registry.token_realms.clone(),
            mirror: registry.mirror.clone(),
        };
        let access: BTreeMap<_, _> =
            settings.registries.iter().map(|(name, registry)| (name.clone(), access(registry))).collect();
        let special = settings
            .registries
            .iter()
            .filter_map(|(name, registry)| Some((registry::host_of(name), registry.tls.as_ref()?)));
        let clients = Clients::new(http, special)?;
        let registries = Registries::new(clients.clone(), access);
        let registries = match &settings.docker_config {
            Some(path) => registries.with_docker_config(path.clone()),
            None => registries,
        };
        let index_cache = settings.cache.as_ref().map(|cache| Cache::new(cache.join(INDEXES)));
        let (base, served) = (base.to_path_buf(), Mutex::default());
        Ok(Self { clients, registries, base, index_cache, served, listener: None })
    }

    /// The same, with copies of indexes in `directory`.
    fn with_index_cache(self, directory: std::path::PathBuf) -> Self {
        Self { index_cache: Some(Cache::new(directory)), ..self }
    }
}

fn supervision(supervision: &settings::Supervision) -> Supervision {
    Supervision {
        unit: supervision.unit.clone(),
        pid_file: supervision.pid_file.clone(),
        may_restart: supervision.may_restart,
        command: supervision.command.clone(),
        ..Supervision::default()
    }
}

fn account(falco: &settings::Falco) -> Result<Option<Account>, SettingsError> {
    let Some(user) = &falco.validate_as else { return Ok(None) };
    let account = Account::named(user).ok_or_else(|| SettingsError::Refused {
        place: "falco.validate_as in agent.toml".to_string(),
        problem: format!("names no user of this host: {user}"),
        hint: "name a user without rights, UID:GID, or `self`".to_string(),
    });
    account.map(Some)
}

/// The repository that the settings name. Nothing is asked yet.
///
/// # Errors
/// When its URL cannot be used.
pub(super) fn open_remote(
    settings: &Settings,
    remote: &settings::Remote,
    http: reqwest::Client,
) -> Result<Remote, PassError> {
    let url = RemoteUrl::parse(&remote.url, &settings.base)?;
    Ok(Remote::new(&url, git_access(remote), http)?)
}

fn git_access(remote: &settings::Remote) -> git::Access {
    let credentials = &remote.credentials;
    let credential = match (&credentials.token, &credentials.password) {
        (Some(token), _) => Credential::Bearer(token.clone()),
        (None, Some(password)) => Credential::Basic {
            // Git hosts that take access tokens as passwords want some user name.
            username: credentials.username.clone().unwrap_or_else(|| "git".to_string()),
            password: password.clone(),
        },
        (None, None) => Credential::None,
    };
    let mut access = git::Access { credential, ..git::Access::default() };
    access.limits.deadline = remote.deadline;
    access.ssh.identity_file.clone_from(&credentials.identity_file);
    access.ssh.known_hosts.clone_from(&credentials.known_hosts_file);
    access
}
