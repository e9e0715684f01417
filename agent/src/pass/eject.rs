//! The way back out: Falco goes on with the same rules, from plain files of its owner.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use falconer_manifests::composition::{RulesFile, left_settings_path};
use falconer_manifests::digest::Digest;
use falconer_manifests::falco_config::{self, Adoption, Include, Sources};
use falconer_manifests::generation::Record;
use falconer_manifests::ledger::{Attachment, Ledger};
use falconer_manifests::name::{AbsolutePath, RelativePath};
use falconer_manifests::outcome::Evidence;
use serde_json::Value;
use tokio::sync::Notify;

use super::observe::{Host, observe};
use super::{Agent, PassError, keep_ledger};
use crate::archive::Limits;
use crate::falco::{self, Documents, DryRun, Expected, FalcoError};
use crate::store::{Locked, StateDirectory};

/// The directory that is left, beside falco.yaml.
const DIRECTORY: &str = "falconer-ejected";
/// The longest file that is copied, in bytes: that of a plugin.
const FILE_CAP: u64 = Limits::PLUGIN.compressed * 4;

/// The way out, worked out and not taken yet.
#[derive(Debug)]
pub struct Ejection {
    /// falco.yaml.
    pub file: AbsolutePath,
    /// Its text now.
    pub before: String,
    /// The text that it is to have; `None` when it does not name us.
    pub after: Option<String>,
    /// Where the files are left; `None` when there are none to leave.
    pub directory: Option<AbsolutePath>,
    /// The files, by their paths there.
    pub files: Vec<(RelativePath, Vec<u8>)>,
    /// What Falco must have loaded then, by base name.
    rules_files: BTreeMap<String, Digest>,
}

/// What came of it.
#[derive(Debug)]
pub struct Ejected {
    /// How it is known that Falco has loaded the plain files; `None` when no Falco runs that could.
    pub evidence: Option<Evidence>,
}

/// Works the way out of this host. With `restore`, falco.yaml becomes what it was without us, whatever that loads; else the
/// live files are left in `to`, or beside falco.yaml, and falco.yaml loads them in their order.
///
/// # Errors
/// When the host cannot be looked at, or its falco.yaml not be edited without a doubt.
pub async fn prepare_ejection(agent: &Agent, to: Option<&Path>, restore: bool) -> Result<Ejection, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?;
    let host = observe(agent, &state).await?;
    let documents = falco::documents(&agent.falco, host.version.as_ref())?;
    let (include, version) = (agent.include(), host.version.as_ref());
    let text = documents.text.clone();
    let mut ejection = Ejection {
        file: documents.path.clone(),
        before: text.clone(),
        after: None,
        directory: None,
        files: Vec::new(),
        rules_files: BTreeMap::new(),
    };
    let is_included = falco_config::adoption(&text, &include, version) != Adoption::Absent;
    if !is_included && !falco_config::has_blocks(&text) {
        return Ok(ejection);
    }
    let refused = |source| PassError::Adopt { file: documents.path.to_string(), source };
    let live = host.observed.placed_record().filter(|_| !restore);
    let Some(live) = live else {
        let owner = falco_config::owner_text(documents.path.as_str(), &text)?;
        ejection.after = Some(falco_config::without_include(&owner, &include, version).map_err(refused)?);
        return Ok(ejection);
    };
    let directory = destination(&documents, to)?;
    ejection.files = copies(&state, live)?;
    let keys = moved(agent, live, &directory);
    ejection.after = Some(if falco_config::has_blocks(&text) {
        let text = falco_config::without_include(&text, &include, version).map_err(refused)?;
        falco_config::with_plain_keys(&Sources { text: &text, ..documents.sources(version, None) }, &keys)?
    } else {
        let name = left_settings_path();
        let settings = directory.join(&name);
        ejection.files.push((name, keys.render("Left by falconer; it belongs to this host's owner now.").into_bytes()));
        falco_config::with_include_replaced(&text, &include, &settings, version).map_err(refused)?
    });
    let digests = live.composition.placed();
    ejection.rules_files = digests.map(|file| (file.path.base_name().to_string(), file.sha256.clone())).collect();
    ejection.directory = Some(directory);
    Ok(ejection)
}

/// Takes the way out: the files are left, Falco is asked whether it would load them, the ledger says that this host is
/// ejected, falco.yaml is replaced, and Falco reloads. Interrupted anywhere, it can be taken again.
///
/// # Errors
/// When a step fails. Until falco.yaml is replaced, Falco has what it had.
pub async fn eject(agent: &Agent, ejection: &Ejection) -> Result<Ejected, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?.lock()?;
    let host = observe(agent, &state).await?;
    let Some(after) = &ejection.after else {
        remember(&state, &host)?;
        return Ok(Ejected { evidence: None });
    };
    let laid_out = match &ejection.directory {
        Some(directory) => falco::lay_out(Path::new(directory.as_str()), &ejection.files)?,
        None => false,
    };
    let arguments = host.process.as_ref().map(|falco| falco.arguments.clone()).unwrap_or_default();
    if host.version.is_some() {
        match falco::dry_run(&agent.falco, after, &state.work_directory(), &arguments).await {
            DryRun::Accepted => {}
            DryRun::Rejected(rejection) => {
                if let (true, Some(directory)) = (laid_out, &ejection.directory) {
                    falco::take_back(Path::new(directory.as_str()))?;
                }
                return Err(PassError::Refused(rejection.to_string()));
            }
            DryRun::CannotRun(why) => tracing::warn!(%why, "Falco cannot check the plain files"),
        }
    }
    // Before falco.yaml, so that no pass takes it back.
    remember(&state, &host)?;
    falco::adopt(&agent.falco.config_file, &ejection.before, after)?;
    Ok(Ejected { evidence: reloaded(agent, &host, ejection, after).await? })
}

fn remember(state: &Locked, host: &Host) -> Result<(), PassError> {
    let ledger = &host.observed.ledger;
    if ledger.attachment == Attachment::Ejected {
        return Ok(());
    }
    keep_ledger(state, &Ledger { attachment: Attachment::Ejected, ..ledger.clone() })
}

/// One reload, and how it is known that Falco has loaded the plain files.
async fn reloaded(agent: &Agent, host: &Host, ejection: &Ejection, after: &str) -> Result<Option<Evidence>, PassError> {
    let Some(process) = host.process.as_ref().filter(|_| host.observed.falco.reloads) else { return Ok(None) };
    let reloading = match falco::reload(&agent.falco, process).await {
        Err(FalcoError::Gone { .. }) => return Ok(None),
        reloading => reloading?,
    };
    let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_string();
    let settings = ejection.files.iter().filter(|(path, _)| *path == left_settings_path());
    let mut config_files: BTreeMap<_, _> =
        settings.map(|(path, bytes)| (path.base_name().to_string(), Digest::of(bytes))).collect();
    config_files.insert(name(ejection.file.as_str()), Digest::of(after.as_bytes()));
    let expected = Expected { rules_files: ejection.rules_files.clone(), config_files };
    let (confirm_within, settle) = agent.patience();
    match falco::confirm(&agent.falco, reloading, &expected, settle, confirm_within, &Notify::new()).await {
        Ok(confirmation) => Ok(Some(confirmation.evidence)),
        Err(error) => Err(PassError::NotConfirmed(error)),
    }
}

fn destination(documents: &Documents, to: Option<&Path>) -> Result<AbsolutePath, PassError> {
    let beside = Path::new(documents.path.as_str()).parent().unwrap_or(Path::new("/")).join(DIRECTORY);
    let path = to.map_or(beside, Path::to_path_buf);
    let absolute = std::path::absolute(&path).map_err(|source| FalcoError::LayOut { path: path.clone(), source })?;
    let parsed = absolute.to_str().and_then(|path| AbsolutePath::parse(path).ok());
    Ok(parsed.ok_or(FalcoError::NotText { path: PathBuf::from(&path) })?)
}

/// What is live, read and compared with its record: everything but our own documents.
fn copies(state: &StateDirectory, live: &Record) -> Result<Vec<(RelativePath, Vec<u8>)>, PassError> {
    let mut copies = Vec::new();
    let mut take = |path: RelativePath, bytes: Option<Vec<u8>>, wanted: &Digest| match bytes {
        Some(bytes) if Digest::of(&bytes) == *wanted => {
            copies.push((path, bytes));
            Ok(())
        }
        _ => Err(PassError::NotAsMade { path: path.to_string() }),
    };
    for file in live.composition.files() {
        let bytes = state.read_generation_file(live.generation, &file.path, FILE_CAP)?;
        take(file.path.clone(), bytes, &file.sha256)?;
    }
    for plugin in &live.composition.plugins {
        for file in &plugin.files {
            let bytes = state.read_plugin_file(&plugin.directory, &file.path, FILE_CAP)?;
            take(plugin.directory.join(&file.path), bytes, &file.sha256)?;
        }
    }
    Ok(copies)
}

/// What Falco is given, with everything of ours in `directory`.
fn moved(agent: &Agent, live: &Record, directory: &AbsolutePath) -> Include {
    let state = &agent.settings.state;
    let path = |file: &RulesFile| match file {
        RulesFile::Placed(placed) => directory.join(&placed.path).to_string(),
        RulesFile::Host(path) => path.to_string(),
    };
    let generation = format!("{}/", state.join(&live.generation.directory()));
    let from = [generation, format!("{state}/current/"), format!("{state}/")];
    let settings = live.composition.settings.iter();
    let settings = settings.map(|(key, value)| (key.clone(), in_directory(value, &from, directory)));
    Include { rules_files: live.composition.rules_files.iter().map(path).collect(), settings: settings.collect() }
}

fn in_directory(value: &Value, from: &[String], directory: &AbsolutePath) -> Value {
    match value {
        Value::String(text) => {
            let rest = from.iter().find_map(|from| text.strip_prefix(from.as_str()));
            rest.map_or_else(|| value.clone(), |rest| Value::String(format!("{directory}/{rest}")))
        }
        Value::Array(items) => items.iter().map(|item| in_directory(item, from, directory)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), in_directory(value, from, directory))).collect()
        }
        other => other.clone(),
    }
}
