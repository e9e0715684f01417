//! What the stand-in loads: settings and rules files.

use std::path::{Path, PathBuf};

use falconer::falco::{Deadlines, FalcoSettings, Supervision, documents};
use falconer_manifests::digest::Digest;
use falconer_manifests::falco_config::{evaluate, included_paths, with_option};
use serde_json::{Map, Value};

use super::options::Options;
use super::plugins::{self, Mapped, Phase, Plugins};
use super::rules;

/// One successful load.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) settings: Map<String, Value>,
    /// The listed configuration files; those inside an included directory are not named by Falco.
    pub(super) config_files: Vec<(String, Digest)>,
    pub(super) rules_files: Vec<(String, Digest)>,
    pub(super) plugins: Plugins,
    /// What is watched from now on.
    pub(super) watched: Vec<PathBuf>,
}

/// Why Falco does not start.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// What goes to the standard error before the error itself.
    pub(super) before: String,
    /// The error, and the text of a `hot restart failure`.
    pub(super) error: String,
}

fn refused(error: impl ToString) -> Refused {
    Refused { before: String::new(), error: error.to_string() }
}

/// Reads the configuration and everything that it names.
pub(super) fn load(options: &Options, mapped: &Mapped, phase: Phase) -> Result<Load, Refused> {
    let shown = options.config_file.display();
    let broken = |error: String| Refused {
        before: format!("Cannot read config file ({shown}): {error}\n"),
        error: "std::exception".into(),
    };
    let release = Some(&options.release);
    let settings = FalcoSettings {
        memory: std::sync::Arc::default(),
        config_file: options.config_file.clone(),
        binary: PathBuf::new(),
        http: None,
        deadlines: Deadlines::default(),
        supervision: Supervision::default(),
        validate_as: None,
    };
    let chain = |error: &dyn std::error::Error| {
        std::iter::successors(Some(error), |error| error.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ")
    };
    let read = documents(&settings, release).map_err(|error| broken(chain(&error)))?;
    let evaluated = evaluate(&read.sources(release, None)).map_err(|error| broken(error.to_string()))?;
    let mut settings = evaluated.settings.clone();
    for option in &options.settings {
        settings = with_option(settings, option)
            .ok_or_else(|| refused(format!("Error parsing config option \"{option}\"")))?;
    }
    let listed = included_paths(&read.path, &read.text, release).map_err(refused)?;
    let files = evaluated.files.iter().filter(|file| **file == read.path || listed.contains(file));
    let mut watched: Vec<_> = files.clone().map(|file| PathBuf::from(file.as_str())).collect();
    watched.extend(listed.iter().map(|file| PathBuf::from(file.as_str())).filter(|path| path.is_dir()));
    let config_files = files.map(|file| hashed(Path::new(file.as_str()))).collect::<Result<_, _>>()?;
    let plugins = plugins::load(&settings, mapped, phase).map_err(refused)?;

    let mut rules_files = Vec::new();
    for path in rules_paths(options, &settings)? {
        let text = std::fs::read_to_string(&path)
            .map_err(|_| refused(format!("Could not open file {} for reading", path.display())))?;
        rules::check(&path.display().to_string(), &text).map_err(refused)?;
        plugins.meet(&text).map_err(refused)?;
        watched.extend(path.parent().filter(|parent| lists(options, &settings, parent)).map(Path::to_path_buf));
        watched.push(path.clone());
        rules_files.push(hashed(&path)?);
    }
    Ok(Load { settings, config_files, rules_files, plugins, watched })
}

/// Whether the directory itself is an entry of the rules files.
fn lists(options: &Options, settings: &Map<String, Value>, directory: &Path) -> bool {
    entries(options, settings).iter().any(|entry| entry == directory)
}

fn entries(options: &Options, settings: &Map<String, Value>) -> Vec<PathBuf> {
    let key = if options.release.is_at_least(0, 38, 0) { "rules_files" } else { "rules_file" };
    match settings.get(key) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(PathBuf::from).collect(),
        Some(Value::String(path)) => vec![path.into()],
        _ => Vec::new(),
    }
}

/// The rules files in order: entries that do not exist are passed over, directories give their YAML files sorted.
fn rules_paths(options: &Options, settings: &Map<String, Value>) -> Result<Vec<PathBuf>, Refused> {
    if !options.rules_files.is_empty() {
        return Ok(options.rules_files.iter().map(PathBuf::from).collect());
    }
    let there: Vec<_> = entries(options, settings).into_iter().filter(|path| path.exists()).collect();
    if there.is_empty() {
        return Err(refused(
            "You must specify at least one rules file/directory via -r or a rules_file entry in falco.yaml",
        ));
    }
    let mut paths = Vec::new();
    for path in there {
        if path.is_dir() {
            let listed = std::fs::read_dir(&path).map_err(refused)?;
            let mut files: Vec<_> =
                listed.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_file()).collect();
            files.sort();
            paths.extend(files);
        } else {
            paths.push(path);
        }
    }
    // From 0.41 a file with another ending is not loaded, without a word.
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    paths.retain(|path| !options.release.is_at_least(0, 41, 0) || is_yaml(path));
    Ok(paths)
}

fn hashed(path: &Path) -> Result<(String, Digest), Refused> {
    let bytes = std::fs::read(path).map_err(refused)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok((name, Digest::of(&bytes)))
}
