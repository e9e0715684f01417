//! Looks at what is really there: on disk, in falco.yaml, in the running Falco.

use std::collections::{BTreeMap, BTreeSet};

use falconer_manifests::digest::Digest;
use falconer_manifests::falco_answers::FalcoVersion;
use falconer_manifests::falco_config::{self, Sources};
use falconer_manifests::generation::{self, GenerationNumber, Record};
use falconer_manifests::ledger::Ledger;
use falconer_manifests::name::RelativePath;
use falconer_manifests::observed::{
    Entry, Inclusion, Observed, ObservedFalco, ObservedGeneration, Permissions, Pointer, RunningFalco,
};
use serde_json::{Map, Value};

use super::{Agent, LedgerError, PassError, attachment};
use crate::error::chain;
use crate::falco::{self, Documents, Presence};
use crate::store::{Document, ObservedEntry, StateDirectory};

/// The longest ledger, in bytes.
const LEDGER_CAP: u64 = 1 << 20;
/// The longest record of a generation, in bytes.
const RECORD_CAP: u64 = 16 << 20;

/// The host, and what only the agent needs to know of its Falco.
#[derive(Debug)]
pub(super) struct Host {
    /// What the planner sees.
    pub(super) observed: Observed,
    /// The settings that Falco would have without us.
    pub(super) settings: Map<String, Value>,
    /// falco.yaml and what it includes, where there is one that can be read.
    pub(super) documents: Option<Documents>,
    /// The version of the host's Falco.
    pub(super) version: Option<FalcoVersion>,
    /// The process, when one runs.
    pub(super) process: Option<falco::Falco>,
    /// What is wrong with the host's Falco or its falco.yaml, so that nothing new can be worked out or checked for it.
    pub(super) impaired: Option<PassError>,
}

/// Looks at everything.
///
/// # Errors
/// When something cannot be looked at; what is merely wrong is an observation.
pub(super) async fn observe(agent: &Agent, state: &StateDirectory) -> Result<Host, PassError> {
    let ledger = ledger(state)?;
    let (version, broken) = match falco::version(&agent.falco).await {
        Ok(Presence::Absent) => (None, None),
        Ok(Presence::Present(versions)) => (Some(versions.falco), None),
        Err(error) => (None, Some(error.into())),
    };
    let (configuration, unreadable) = match configuration(agent, version.as_ref()) {
        Ok(configuration) => (configuration, None),
        Err(error) => (None, Some(error)),
    };
    let (documents, settings) = configuration.unzip();
    let settings = settings.unwrap_or_default();
    let process = falco::running(&agent.falco)?;
    let loaded = match &process {
        Some(_) => falco::loaded(&agent.falco).await.ok(),
        None => None,
    };
    let current = state.current()?;
    let generations = generations(state, &ledger, &current)?;
    let plugins = plugins(state, &generations)?;
    let blobs = match state.open_store()? {
        Some(store) => store.intact_blobs()?,
        None => BTreeSet::new(),
    };
    let live = match &current {
        Pointer::Generation(number) => generations.get(number).and_then(|generation| generation.record.as_ref()),
        Pointer::Missing | Pointer::Foreign(_) => None,
    };
    let inclusion = match (&documents, &unreadable) {
        (Some(documents), _) => Some(attachment::inclusion(agent, documents, version.as_ref(), &ledger, live)),
        (None, Some(error)) => Some(Inclusion::Not(chain(error))),
        (None, None) => None,
    };
    let text = documents.as_ref().map(|documents| documents.text.as_str()).unwrap_or_default();
    let falco = ObservedFalco {
        mode: agent.settings.falco.config,
        names: generation::named_in(text, &agent.settings.state),
        version: version.as_ref().map(ToString::to_string),
        config_file: agent.settings.falco.config_file.to_string(),
        inclusion,
        running: process.as_ref().map(|falco| RunningFalco { pid: falco.pid, started: falco.start_time_ticks }),
        reloads: !falco_config::reload_is_noop(version.as_ref(), &settings),
        loaded,
    };
    let mut observed =
        Observed { state: agent.settings.state.clone(), current, generations, plugins, blobs, ledger, falco };
    observed.ledger.evidence = observed.evidence();
    Ok(Host { observed, settings, documents, version, process, impaired: broken.or(unreadable) })
}

/// Reads the ledger; a host without one is a host where nothing was ever placed. One that is damaged is not taken for none,
/// or a branch that was wound back would be followed.
pub(super) fn ledger(state: &StateDirectory) -> Result<Ledger, PassError> {
    match state.read_document(Document::Ledger, LEDGER_CAP)? {
        Some(bytes) => Ok(Ledger::parse(&String::from_utf8_lossy(&bytes)).map_err(LedgerError)?),
        None => Ok(Ledger::default()),
    }
}

type Configuration = (Documents, Map<String, Value>);

/// falco.yaml with what it includes, and the settings that its owner has without us.
fn configuration(agent: &Agent, version: Option<&FalcoVersion>) -> Result<Option<Configuration>, PassError> {
    if !agent.falco.config_file.exists() {
        return Ok(None);
    }
    let documents = falco::documents(&agent.falco, version)?;
    let include = agent.include();
    let text = falco_config::owner_text(documents.path.as_str(), &documents.text)?;
    let evaluated = falco_config::evaluate(&Sources { text: &text, ..documents.sources(version, Some(&include)) })
        .map_err(|source| PassError::FalcoConfig { file: documents.path.to_string(), source })?;
    for note in &evaluated.notes {
        tracing::debug!(file = %documents.path, "{note}");
    }
    Ok(Some((documents, evaluated.settings)))
}

fn generations(
    state: &StateDirectory,
    ledger: &Ledger,
    current: &Pointer,
) -> Result<BTreeMap<GenerationNumber, ObservedGeneration>, PassError> {
    let matters = |number: GenerationNumber| {
        *current == Pointer::Generation(number) || ledger.good == Some(number) || ledger.trial == Some(number)
    };
    let mut generations = BTreeMap::new();
    for number in state.generations()? {
        let (root, entries) = match matters(number) {
            true => {
                let entries = state.observe(number)?.into_iter().map(|(path, found)| (path, entry(found)));
                (state.observe_root(number)?.map(entry), Some(entries.collect()))
            }
            false => (None, None),
        };
        generations.insert(number, ObservedGeneration { record: record(state, ledger, number), root, entries });
    }
    Ok(generations)
}

type Directories = BTreeMap<RelativePath, Option<BTreeMap<RelativePath, Entry>>>;

/// The directories of plugins; those of the generations that were looked into are looked into as well.
fn plugins(
    state: &StateDirectory,
    generations: &BTreeMap<GenerationNumber, ObservedGeneration>,
) -> Result<Directories, PassError> {
    let looked_into = generations.values().filter(|generation| generation.entries.is_some());
    let records = looked_into.filter_map(|generation| generation.record.as_ref());
    let matter: BTreeSet<_> =
        records.flat_map(|record| record.composition.plugins.iter().map(|plugin| &plugin.directory)).collect();
    let mut directories = Directories::new();
    for directory in state.plugins()? {
        let entries = match matter.contains(&directory) {
            true => {
                let found = state.observe_plugin(&directory)?;
                Some(found.into_iter().map(|(path, found)| (path, entry(found))).collect())
            }
            false => None,
        };
        directories.insert(directory, entries);
    }
    Ok(directories)
}

/// The record of a generation, when its bytes are those that the ledger remembers. One that cannot be read is none.
fn record(state: &StateDirectory, ledger: &Ledger, number: GenerationNumber) -> Option<Record> {
    let bytes = state.read_generation_file(number, &generation::manifest_path(), RECORD_CAP).ok()??;
    if ledger.record_digest(number) != Some(&Digest::of(&bytes)) {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

fn entry(found: ObservedEntry) -> Entry {
    match found {
        ObservedEntry::File { digest, size, mode, uid, .. } => {
            Entry::File { sha256: Some(digest), size, permissions: permissions(mode, uid) }
        }
        ObservedEntry::Directory { mode, uid, .. } => Entry::Directory { permissions: permissions(mode, uid) },
        ObservedEntry::Symlink { target } => Entry::Other(format!("a link to {target}")),
        ObservedEntry::Other(what) => Entry::Other(what),
    }
}

fn permissions(mode: u32, uid: u32) -> Permissions {
    Permissions { mode, stranger: (uid != rustix::process::geteuid().as_raw()).then_some(uid) }
}
