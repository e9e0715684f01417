//! The command line: Falco's (the parts that a unit uses) and the switches of the stand-in.

use std::path::PathBuf;
use std::time::Duration;

use falconer_manifests::falco_answers::FalcoVersion;

/// What the stand-in was told.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) config_file: PathBuf,
    /// Whether `-c` named it; a missing one then counts even for `--version`.
    pub(super) config_file_given: bool,
    /// `-r`, which replaces the rules files of the configuration.
    pub(super) rules_files: Vec<String>,
    /// `-o`, which beats every file.
    pub(super) settings: Vec<String>,
    /// `-V`: these are judged and nothing else is done.
    pub(super) validate: Vec<String>,
    pub(super) dry_run: bool,
    pub(super) version_only: bool,
    pub(super) release: FalcoVersion,
    pub(super) faults: Faults,
}

/// What goes wrong on purpose.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    pub(super) die_at_reload: bool,
    pub(super) ignore_sighup: bool,
    pub(super) metrics_off: bool,
    pub(super) watch_files: bool,
    pub(super) crash_after_reload: Option<Duration>,
    pub(super) slow_reload: Option<Duration>,
    pub(super) slow_dry_run: Option<Duration>,
}

/// Reads the arguments after the program's name.
pub(super) fn options(arguments: impl IntoIterator<Item = String>) -> Result<Options, String> {
    let mut arguments = arguments.into_iter();
    let mut options = Options {
        config_file: "/etc/falco/falco.yaml".into(),
        config_file_given: false,
        rules_files: Vec::new(),
        settings: Vec::new(),
        validate: Vec::new(),
        dry_run: false,
        version_only: false,
        release: FalcoVersion::parse(beside().as_deref().unwrap_or("0.44.1")).ok_or("no release")?,
        faults: Faults::default(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("Option '{argument}' is missing an argument"));
        match argument.as_str() {
            "-c" => {
                options.config_file = value()?.into();
                options.config_file_given = true;
            }
            "-V" => options.validate.push(value()?),
            "-r" => options.rules_files.push(value()?),
            "-o" => options.settings.push(value()?),
            "-U" => {}
            "--dry-run" => options.dry_run = true,
            "--version" => options.version_only = true,
            _ => match argument.split_once('=') {
                Some(("--stand-in-version", text)) => {
                    options.release = FalcoVersion::parse(text).ok_or("not a release")?;
                }
                Some(("--stand-in-fault", text)) => fault(&mut options.faults, text)?,
                _ => return Err(format!("Option '{argument}' does not exist")),
            },
        }
    }
    Ok(options)
}

/// The release that a file beside the program names, `falco.version` for `falco`: for whoever gives it no arguments.
fn beside() -> Option<String> {
    let file = std::env::current_exe().ok()?.with_extension("version");
    std::fs::read_to_string(file).ok().map(|text| text.trim().into())
}

fn fault(faults: &mut Faults, text: &str) -> Result<(), String> {
    let (kind, milliseconds) = text.split_once(':').unwrap_or((text, "0"));
    let time = milliseconds.parse().map(Duration::from_millis).map_err(|error| format!("{text}: {error}"))?;
    match kind {
        "die-at-reload" => faults.die_at_reload = true,
        "ignore-sighup" => faults.ignore_sighup = true,
        "watch-files" => faults.watch_files = true,
        "metrics-off" => faults.metrics_off = true,
        "crash-after-reload" => faults.crash_after_reload = Some(time),
        "slow-reload" => faults.slow_reload = Some(time),
        "slow-dry-run" => faults.slow_dry_run = Some(time),
        _ => return Err(format!("no such fault: {text}")),
    }
    Ok(())
}
