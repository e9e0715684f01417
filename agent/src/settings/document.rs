//! agent.toml and policy.toml as written.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use falconer_manifests::drift::DriftKind;
use falconer_manifests::plan::DriftMode;
use falconer_manifests::window::Window;
use serde::{Deserialize, Deserializer};

use super::{hooks, registries, report, webhook};

/// agent.toml. Unknown keys are errors.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The host's name in the fleet; default: the machine's host name.
    pub host: Option<String>,
    /// Words by which the desired state can choose hosts.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The desired-state repository.
    pub repository: Repository,
    /// Where things are.
    #[serde(default)]
    pub paths: Paths,
    /// The host's Falco.
    #[serde(default)]
    pub falco: Falco,
    /// When passes run.
    #[serde(default)]
    pub schedule: Schedule,
    /// What is to become of drift.
    #[serde(default)]
    pub drift: Drift,
    /// What is special about single registries, by host and port.
    #[serde(default)]
    pub registries: BTreeMap<String, registries::Written>,
    /// Docker's file of registry logins.
    #[serde(default)]
    pub docker: Docker,
    /// Where the drift report goes.
    pub report: Option<report::Written>,
    /// Whom to tell when the condition changes.
    #[serde(default)]
    pub hooks: Vec<hooks::Written>,
    /// When this host may be changed.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// Who may say that there is something to fetch.
    pub webhook: Option<webhook::Written>,
}

/// `[repository]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Its URL or path.
    pub url: String,
    /// The branch to follow.
    #[serde(default = "main")]
    pub branch: String,
    /// The sub-directory that holds fleet.yaml.
    pub path: Option<String>,
    /// Whether a lockfile must be committed. Absent: artifacts are resolved where none is, and asked for again when the
    /// resolution is old.
    pub locked: Option<Locked>,
    /// How long a poll or a fetch may take as a whole; default: 2m.
    pub deadline: Option<Period>,
    /// How to get in.
    #[serde(default)]
    pub credentials: Credentials,
}

/// Whether hosts may resolve artifacts for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Locked {
    /// They may where no lockfile is committed, and ask in every pass whether tags still name the same.
    Advisory,
    /// They may not.
    Required,
}

/// `[….credentials]`: how to get in somewhere, secrets by reference only.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// The user name for a password.
    pub username: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The file that holds a bearer token.
    pub token_file: Option<PathBuf>,
    /// The SSH key.
    pub identity_file: Option<PathBuf>,
    /// The SSH hosts that are known.
    pub known_hosts_file: Option<PathBuf>,
}

/// `[paths]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// The state directory.
    pub state: PathBuf,
    /// The directory of the socket that the command line asks the daemon by.
    pub runtime: Option<PathBuf>,
}

/// The state directory unless something else is said.
pub const DEFAULT_STATE: &str = "/var/lib/falconer";

impl Default for Paths {
    fn default() -> Self {
        Self { state: PathBuf::from(DEFAULT_STATE), runtime: None }
    }
}

/// `[falco]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Falco {
    /// falco.yaml.
    pub config_file: PathBuf,
    /// How Falco is pointed at what we place.
    pub config: ConfigMode,
    /// The program.
    pub binary: PathBuf,
    /// Its web server.
    pub http: String,
    /// The configuration of a falcoctl on the same host.
    pub falcoctl_config: PathBuf,
    /// How long Falco may take to take a generation up.
    pub confirm_within: Period,
    /// How long Falco must stay well after that.
    pub settle: Period,
    /// Falco's unit of systemd.
    pub unit: Option<String>,
    /// The file that holds Falco's process id.
    pub pid_file: Option<PathBuf>,
    /// Whether Falco may be restarted where a reload does not do.
    pub restart: RestartMode,
    /// The command that restarts it where systemd does not.
    pub restart_command: Option<Vec<String>>,
    /// Whether a generation is tried in a dry run before it is live.
    pub validate: ValidateMode,
    /// The user that the dry run has when we are root.
    pub validate_as: String,
}

impl Default for Falco {
    fn default() -> Self {
        Self {
            config_file: PathBuf::from("/etc/falco/falco.yaml"),
            config: ConfigMode::Include,
            binary: PathBuf::from("/usr/bin/falco"),
            http: "http://127.0.0.1:8765".to_string(),
            falcoctl_config: PathBuf::from("/etc/falcoctl/falcoctl.yaml"),
            confirm_within: Period(Duration::from_secs(30)),
            settle: Period(Duration::from_secs(10)),
            unit: None,
            pid_file: None,
            restart: RestartMode::WhenNeeded,
            restart_command: None,
            validate: ValidateMode::WhenPossible,
            validate_as: "nobody".to_string(),
        }
    }
}

/// How Falco is pointed at what we place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigMode {
    /// By an include that falco.yaml names once; Falco 0.38 and later.
    Include,
}

/// Whether Falco may be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartMode {
    /// Where a reload does not do.
    WhenNeeded,
    /// Only by hand.
    Never,
}

/// Whether a generation is tried in a dry run before it is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValidateMode {
    /// Where there is a Falco that can; else its structure is checked.
    WhenPossible,
    /// Nothing is made live without.
    Required,
    /// Only its structure is checked.
    Never,
}

/// `[schedule]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The time between two passes; default: 5m.
    pub every: Option<Period>,
    /// Instead of it, the times of a calendar.
    pub cron: Option<String>,
    /// How long a resolution without a committed lockfile is good for.
    pub resolve_every: Period,
    /// How long a pass may take.
    pub deadline: Period,
}

impl Default for Schedule {
    fn default() -> Self {
        let (resolve_every, deadline) = (Duration::from_secs(3600), Duration::from_secs(1800));
        Self { every: None, cron: None, resolve_every: Period(resolve_every), deadline: Period(deadline) }
    }
}

/// `[drift]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// What is to become of it.
    pub mode: DriftMode,
    /// What is to become of single kinds.
    pub kinds: BTreeMap<DriftKind, DriftMode>,
}

/// `[docker]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Docker {
    /// Its config.json; default: where docker itself looks for it.
    pub config: Option<PathBuf>,
}

/// policy.toml, beside agent.toml: what the repository may not widen.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Top-level keys of Falco's configuration that the repository may set; absent: [`default_config_keys`].
    #[serde(default = "default_config_keys")]
    pub config_keys: Vec<String>,
    /// Plugins that the repository may place, by the names of their artifacts. They are code that runs with Falco's
    /// rights; absent: none.
    #[serde(default)]
    pub plugins: Vec<String>,
}

/// A span of time, written like `5m`, `90s` or `1h 30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let period = humantime::parse_duration(&text).map_err(|error| {
            serde::de::Error::custom(format!(
                "`{text}` is not a span of time ({error}); write it like 5m, 90s or 1h 30m"
            ))
        })?;
        Ok(Self(period))
    }
}

fn main() -> String {
    "main".to_string()
}

/// The keys that change what Falco says and how loudly, and none that makes it run a program, write a file, load a
/// library or talk to another host.
#[must_use]
pub fn default_config_keys() -> Vec<String> {
    let keys = [
        "priority",
        "rules",
        "rule_matching",
        "metrics",
        "webserver",
        "json_output",
        "json_include_output_property",
        "json_include_message_property",
        "json_include_output_fields_property",
        "json_include_tags_property",
        "time_format_iso_8601",
        "buffered_outputs",
        "log_level",
        "log_stderr",
        "log_syslog",
        "libs_logger",
        "stdout_output",
        "syslog_output",
        "outputs_queue",
        "append_output",
        "static_fields",
        "syscall_event_drops",
        "syscall_event_timeouts",
        "falco_libs",
    ];
    keys.into_iter().map(str::to_string).collect()
}
