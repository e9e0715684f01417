//! `[falco]`: the host's Falco.

use std::path::{Path, PathBuf};
use std::time::Duration;

use falconer_manifests::finding::Malformed;
use falconer_manifests::name::AbsolutePath;
use falconer_manifests::observed::ConfigMode;
use url::Url;

use super::SettingsError;
use super::document::{self, ValidateMode};

/// The host's Falco.
#[derive(Debug)]
pub struct Falco {
    /// falco.yaml.
    pub config_file: AbsolutePath,
    /// How it is to name what is live.
    pub config: ConfigMode,
    /// The program.
    pub binary: PathBuf,
    /// Its web server.
    pub http: Url,
    /// The configuration of a falcoctl on the same host.
    pub falcoctl_config: PathBuf,
    /// How long Falco may take to take a generation up.
    pub confirm_within: Duration,
    /// How long Falco must stay well after that.
    pub settle: Duration,
    /// Who starts it.
    pub supervision: Supervision,
    /// Whether a generation is tried in a dry run before it is live.
    pub validate: ValidateMode,
    /// The user that the dry run has when we are root, by name or as `UID:GID`; ourselves without it.
    pub validate_as: Option<String>,
}

/// What the operator says of the one who starts Falco.
#[derive(Debug, Default)]
pub struct Supervision {
    /// Falco's unit of systemd.
    pub unit: Option<String>,
    /// The file that holds Falco's process id.
    pub pid_file: Option<PathBuf>,
    /// Whether Falco may be restarted where a reload does not do.
    pub may_restart: bool,
    /// The command that restarts it where systemd does not.
    pub command: Option<Vec<String>>,
}

/// Checks the table. `absolute` makes a path of a key absolute.
pub(super) fn check(
    file: &str,
    base: &Path,
    written: document::Falco,
    absolute: impl Fn(&'static str, &Path) -> Result<AbsolutePath, SettingsError>,
) -> Result<Falco, SettingsError> {
    Ok(Falco {
        config_file: absolute("falco.config_file", &written.config_file)?,
        config: written.config,
        binary: base.join(&written.binary),
        http: web_server(file, &written.http)?,
        falcoctl_config: base.join(&written.falcoctl_config),
        confirm_within: written.confirm_within.0,
        settle: written.settle.0,
        supervision: supervision(file, base, &written)?,
        validate: written.validate,
        validate_as: Some(written.validate_as).filter(|user| user != "self"),
    })
}

fn supervision(file: &str, base: &Path, falco: &document::Falco) -> Result<Supervision, SettingsError> {
    let refused = |key: &str, problem: &str, hint: &str| SettingsError::Refused {
        place: format!("falco.{key} in {file}"),
        problem: problem.to_string(),
        hint: hint.to_string(),
    };
    let unit = match falco.unit.clone() {
        Some(unit) if unit.is_empty() || unit.starts_with('-') || unit.contains(['/', ' ']) => {
            return Err(refused("unit", "is not the name of a unit", "write it like falco-modern-bpf.service"));
        }
        Some(unit) if unit.contains('.') => Some(unit),
        unit => unit.map(|unit| format!("{unit}.service")),
    };
    if falco.restart_command.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
        let hint = "write the program and its arguments as a list, e.g. [\"sv\", \"restart\", \"falco\"]";
        return Err(refused("restart_command", "names no program", hint));
    }
    Ok(Supervision {
        unit,
        pid_file: falco.pid_file.as_ref().map(|path| base.join(path)),
        may_restart: falco.restart == document::RestartMode::WhenNeeded,
        command: falco.restart_command.clone().map(|words| with_program_from(base, words)),
    })
}

/// A program with a path is relative to agent.toml, as every path; one without is looked for as usual.
fn with_program_from(base: &Path, mut words: Vec<String>) -> Vec<String> {
    if let Some(program) = words.first_mut().filter(|program| program.contains('/')) {
        *program = base.join(&*program).to_string_lossy().into_owned();
    }
    words
}

fn web_server(file: &str, text: &str) -> Result<Url, SettingsError> {
    let (problem, hint) = ("is not an http or https URL", "write it like http://127.0.0.1:8765");
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| SettingsError::Value {
        file: file.to_string(),
        key: "falco.http",
        malformed: Malformed { what: "address", value: text.to_string(), problem, hint },
    })
}
