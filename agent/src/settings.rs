//! `agent.toml`: who this host is, which repository it follows, and where things are.
//!
//! Two stages: the document as written ([`document`]), and [`Settings`], in which every default is filled in, every path
//! is absolute and every value has been checked.
#![expect(clippy::disallowed_methods, reason = "settings are read here, once")]

pub mod document;
mod environment;
mod falco;
pub mod hooks;
mod metrics;
pub mod registries;
pub mod report;
mod schedule;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use falconer_manifests::drift::{DriftKind, DriftPolicy};
use falconer_manifests::finding::{Findings, Malformed};
use falconer_manifests::host_lock::Identity;
use falconer_manifests::lockfile::toml_finding;
use falconer_manifests::name::{AbsolutePath, BranchName, HostName, RelativePath};
use falconer_manifests::observed::ConfigMode;
use falconer_manifests::plan::DriftMode;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::window::Window;
use secrecy::SecretString;

pub use document::ValidateMode;
use document::{Credentials as WrittenCredentials, Document};
use environment::Environment;
pub use falco::{Falco, Supervision};
pub use metrics::Metrics;
pub use registries::Registry;
pub use schedule::Schedule;
pub use webhook::{Kind as WebhookKind, Webhook};

/// Where agent.toml is unless `--config` or `FALCONER_CONFIG` says otherwise.
pub const DEFAULT_PATH: &str = "/etc/falconer/agent.toml";

/// How long one exchange with a Git repository may take.
const GIT_DEADLINE: Duration = Duration::from_secs(120);

/// The settings of an agent.
#[derive(Debug)]
pub struct Settings {
    /// Who this host is.
    pub identity: Identity,
    /// The directory of agent.toml, which relative paths are relative to.
    pub base: PathBuf,
    /// The desired-state repository.
    pub repository: Repository,
    /// The state directory.
    pub state: AbsolutePath,
    /// The runtime directory, in memory: the socket that the command line asks the daemon by, and when the last pass was.
    pub runtime: PathBuf,
    /// Who is told how the host is.
    pub metrics: Metrics,
    /// The host's Falco.
    pub falco: Falco,
    /// When passes run.
    pub schedule: Schedule,
    /// What is to become of drift.
    pub drift: DriftPolicy,
    /// What is special about single registries, by host and port.
    pub registries: BTreeMap<String, Registry>,
    /// Docker's file of registry logins.
    pub docker_config: Option<PathBuf>,
    /// The directory for what can be had again, of the user that runs us.
    pub cache: Option<PathBuf>,
    /// Where the drift report goes.
    pub report: Option<report::Report>,
    /// Whom to tell when the condition changes.
    pub hooks: Vec<hooks::Hook>,
    /// Top-level keys of Falco's configuration that the repository may set.
    pub config_keys: Vec<String>,
    /// Plugins that the repository may place.
    pub plugins: Vec<String>,
    /// When this host may be changed.
    pub windows: Vec<Window>,
    /// Who may say that there is something to fetch.
    pub webhook: Option<Webhook>,
}

/// A Git repository and how to get in.
#[derive(Debug)]
pub struct Remote {
    /// Its URL or path, as written.
    pub url: String,
    /// How long one exchange may take as a whole.
    pub deadline: Duration,
    /// How to get in.
    pub credentials: Credentials,
}

/// The desired-state repository.
#[derive(Debug)]
pub struct Repository {
    /// Where it is.
    pub remote: Remote,
    /// The branch to follow.
    pub branch: BranchName,
    /// The sub-directory that holds fleet.yaml.
    pub path: Option<RelativePath>,
    /// Whether a lockfile must be committed.
    pub lock_required: bool,
    /// Whether every pass asks if the tags of a resolution of our own still name the same.
    pub follow_tags: bool,
}

/// How to get in somewhere. Secrets are read from files and never shown.
#[derive(Debug, Default, Clone)]
pub struct Credentials {
    /// The user name for a password.
    pub username: Option<String>,
    /// The password.
    pub password: Option<SecretString>,
    /// A bearer token.
    pub token: Option<SecretString>,
    /// The SSH key.
    pub identity_file: Option<PathBuf>,
    /// The SSH hosts that are known.
    pub known_hosts_file: Option<PathBuf>,
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("the settings cannot be read")]
    Read(#[source] std::io::Error),
    /// agent.toml or policy.toml is not well-formed.
    #[error("the settings are not well-formed\n{0}")]
    Form(Findings),
    /// A value does not have its form.
    #[error("{key} in {file}: {malformed}")]
    Value {
        /// The file.
        file: String,
        /// The key.
        key: &'static str,
        /// What is wrong.
        malformed: Malformed,
    },
    /// What stands in a place, a key or a variable of the environment, cannot be used.
    #[error("{place} {problem}")]
    Refused {
        /// The place.
        place: String,
        /// What is wrong, without a secret.
        problem: String,
        /// The next act.
        hint: String,
    },
}

impl SettingsError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        Remedy::Operator
    }

    /// The next act.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Read(_) => format!(
                "write it ({DEFAULT_PATH} unless --config or FALCONER_CONFIG says otherwise), or correct its permissions"
            ),
            Self::Form(_) => "correct the settings and run this again".to_string(),
            Self::Value { malformed, .. } => malformed.hint.to_string(),
            Self::Refused { hint, .. } => hint.clone(),
        }
    }
}

/// Reads and checks the settings at `path`, and policy.toml beside it where there is one.
///
/// # Errors
/// [`SettingsError`].
pub fn read(path: &Path) -> Result<Settings, SettingsError> {
    let text = fs_err::read_to_string(path).map_err(SettingsError::Read)?;
    let file = path.display().to_string();
    let document = parse(&file, &text)?;
    let base = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let base = fs_err::canonicalize(base).map_err(SettingsError::Read)?;
    let mut settings = check(&file, document, base, &variable)?;
    let policy = settings.base.join("policy.toml");
    if policy.exists() {
        let text = fs_err::read_to_string(&policy).map_err(SettingsError::Read)?;
        let policy: document::Policy = parse(&policy.display().to_string(), &text)?;
        settings.config_keys = policy.config_keys;
        settings.plugins = policy.plugins;
    }
    Ok(settings)
}

/// The settings of `falconer lock` and `falconer artifact` where there is no agent.toml: all defaults.
///
/// # Errors
/// [`SettingsError`] when the current directory cannot be found.
pub fn without_file() -> Result<Settings, SettingsError> {
    let base = std::env::current_dir().map_err(SettingsError::Read)?;
    let document = parse("defaults", "host = \"localhost\"\n[repository]\nurl = \".\"\n")?;
    check("defaults", document, base, &variable)
}

/// A variable of our environment.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T, SettingsError> {
    let hint = "the keys are explained in docs/agent.toml.md";
    toml::from_str(text).map_err(|error| SettingsError::Form(toml_finding(file, text, &error, hint)))
}

fn check(
    file: &str,
    document: Document,
    base: PathBuf,
    environment: &Environment<'_>,
) -> Result<Settings, SettingsError> {
    let files = Files { settings: file, base: &base, credentials: environment("CREDENTIALS_DIRECTORY") };
    let value = |key: &'static str| {
        let file = file.to_string();
        move |malformed| SettingsError::Value { file, key, malformed }
    };
    let absolute = |key: &'static str, path: &Path| {
        let joined = base.join(path);
        let normal: PathBuf = joined.components().collect();
        AbsolutePath::parse(&normal.to_string_lossy()).map_err(value(key))
    };
    let host = document.host.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    let repository = document.repository;
    let remote = |url: String, deadline: Option<document::Period>, credentials: WrittenCredentials| {
        let deadline = deadline.map_or(GIT_DEADLINE, |document::Period(deadline)| deadline);
        Ok::<_, SettingsError>(Remote { url, deadline, credentials: read_credentials(&files, credentials)? })
    };
    let mut registries = registries::check(&files, document.registries)?;
    for (name, login) in environment::logins(environment)? {
        let registry = registries.remove(&name).unwrap_or_default();
        registries.insert(name, registry.with_credentials(login));
    }
    let docker_config = match (environment::docker_config(environment), document.docker.config) {
        (Some(path), _) => Some(path),
        (None, Some(path)) => Some(files.path(&path)?),
        (None, None) => docker_config(environment),
    };
    let host = HostName::parse(&host).map_err(value("host"))?;
    let report = document.report.map(|written| report::check(&files, &host, written, remote)).transpose()?;
    Ok(Settings {
        hooks: hooks::check(&files, document.hooks)?,
        identity: Identity { host, labels: document.labels },
        repository: Repository {
            branch: BranchName::parse(&repository.branch).map_err(value("repository.branch"))?,
            path: match repository.path.as_deref() {
                None | Some("" | ".") => None,
                Some(path) => Some(RelativePath::parse(path).map_err(value("repository.path"))?),
            },
            lock_required: repository.locked == Some(document::Locked::Required),
            follow_tags: repository.locked == Some(document::Locked::Advisory),
            remote: remote(repository.url, repository.deadline, repository.credentials)?,
        },
        state: absolute("paths.state", &document.paths.state)?,
        metrics: metrics::check(&files, document.metrics)?,
        drift: drift(file, document.falco.config, document.drift)?,
        falco: falco::check(file, &base, document.falco, absolute)?,
        runtime: runtime(&base, &document.paths),
        schedule: schedule::check(&files, document.schedule)?,
        registries,
        docker_config,
        cache: cache(environment),
        report,
        config_keys: document::default_config_keys(),
        plugins: Vec::new(),
        windows: known(&files, document.windows)?,
        webhook: document.webhook.map(|written| webhook::check(&files, written)).transpose()?,
        base,
    })
}

/// What is to become of drift. falco.yaml is the host's own file, which no pass edits where it includes ours.
fn drift(file: &str, config: ConfigMode, document: document::Drift) -> Result<DriftPolicy, SettingsError> {
    if config == ConfigMode::Include && document.kinds.get(&DriftKind::Config) == Some(&DriftMode::Heal) {
        return Err(SettingsError::Refused {
            place: format!("drift.kinds.config in {file}"),
            problem: "cannot be `heal`: falco.yaml is the host's own file, and no pass edits it".to_string(),
            hint: "take the key out; `falconer adopt` puts the entry in falco.yaml right".to_string(),
        });
    }
    Ok(DriftPolicy { mode: document.mode, kinds: document.kinds })
}

/// The directory of the daemon's socket: as written, `/run/falconer` for the usual state directory, else `run` beside it.
fn runtime(base: &Path, paths: &document::Paths) -> PathBuf {
    match &paths.runtime {
        Some(runtime) => base.join(runtime),
        None if paths.state == Path::new(document::DEFAULT_STATE) => PathBuf::from("/run/falconer"),
        None => base.join(&paths.state).with_file_name("run"),
    }
}

/// Windows whose zones this host knows.
fn known(files: &Files<'_>, windows: Vec<Window>) -> Result<Vec<Window>, SettingsError> {
    let hint = "name a zone of the IANA database, or install the zone files (tzdata)";
    let unknown = windows.iter().find(|window| crate::zones::find(&window.zone).is_none());
    match unknown {
        Some(window) => {
            Err(files.refused("windows.zone", &format!("names the unknown time zone `{}`", window.zone), hint))
        }
        None => Ok(windows),
    }
}

/// `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`, as Docker looks for it.
fn docker_config(environment: &Environment<'_>) -> Option<PathBuf> {
    let directory = environment("DOCKER_CONFIG").map(PathBuf::from);
    let home = || environment("HOME").map(|home| Path::new(&home).join(".docker"));
    directory.or_else(home).map(|directory| directory.join("config.json"))
}

/// `$XDG_CACHE_HOME/falconer`, else `~/.cache/falconer` (XDG base directory specification, which wants absolute paths).
fn cache(environment: &Environment<'_>) -> Option<PathBuf> {
    let absolute = |name| environment(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".cache"));
    absolute("XDG_CACHE_HOME").or_else(home).map(|cache| cache.join("falconer"))
}

/// The files that the settings name.
struct Files<'a> {
    /// agent.toml, for messages.
    settings: &'a str,
    /// What relative paths are relative to.
    base: &'a Path,
    /// The directory in which systemd gives us what `LoadCredential=` and its like name (systemd.exec).
    credentials: Option<String>,
}

impl Files<'_> {
    /// The path that `written` stands for: `credential:NAME` is a credential of systemd's.
    fn path(&self, written: &Path) -> Result<PathBuf, SettingsError> {
        let Some(name) = written.to_str().and_then(|text| text.strip_prefix("credential:")) else {
            return Ok(self.base.join(written));
        };
        let refused = |problem, hint| self.refused(&format!("`credential:{name}`"), problem, hint);
        if name.is_empty() || name.contains('/') || name == ".." {
            return Err(refused("is not the name of a credential", "name what LoadCredential= in the unit names"));
        }
        let hint = "start falconer by systemd, with LoadCredential= for this name in the unit";
        let directory =
            self.credentials.as_ref().ok_or_else(|| refused("names a credential, and there are none", hint));
        Ok(Path::new(directory?).join(name))
    }

    fn text(&self, written: &Path) -> Result<String, SettingsError> {
        fs_err::read_to_string(self.path(written)?).map_err(SettingsError::Read)
    }

    fn refused(&self, key: &str, problem: &str, hint: &str) -> SettingsError {
        let place = format!("{key} in {}", self.settings);
        SettingsError::Refused { place, problem: problem.to_string(), hint: hint.to_string() }
    }
}

fn read_credentials(files: &Files<'_>, written: WrittenCredentials) -> Result<Credentials, SettingsError> {
    let secret = |file: Option<PathBuf>| file.map(|file| files.secret(&file)).transpose();
    let path = |file: Option<PathBuf>| file.map(|file| files.path(&file)).transpose();
    Ok(Credentials {
        username: written.username,
        password: secret(written.password_file)?,
        token: secret(written.token_file)?,
        identity_file: path(written.identity_file)?,
        known_hosts_file: path(written.known_hosts_file)?,
    })
}
