//! Looks at what is really there: on disk, in falco.yaml, in the running Falco.

use std::collections::{BTreeMap, BTreeSet};

use falconer_manifests::admit::Unchecked;
use falconer_manifests::digest::Digest;
use falconer_manifests::falco_answers::{FalcoVersion, FalcoVersions};
use falconer_manifests::falco_config::{self, Sources};
use falconer_manifests::generation::{self, GenerationNumber, Record};
use falconer_manifests::host_lock;
use falconer_manifests::ledger::Ledger;
use falconer_manifests::name::RelativePath;
use falconer_manifests::observed::{
    Entry, Inclusion, Observed, ObservedFalco, ObservedGeneration, ObservedPlugin, Permissions, Pointer, RunningFalco,
};
use falconer_manifests::schema::{VersionOne, newer_json, newer_toml};
use serde_json::{Map, Value};

use super::{Agent, LedgerError, PassError, attachment};
use crate::aside;
use crate::error::chain;
use crate::falco::{self, Documents, Presence};
use crate::store::{Document, ObservedEntry, StateDirectory, StoreError};

/// The longest ledger, in bytes.
const LEDGER_CAP: u64 = 1 << 20;
/// The longest drift report, in bytes.
pub(super) const REPORT_CAP: u64 = 4 << 20;
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
    /// What its program says of itself, where there is one.
    pub(super) installed: Option<FalcoVersions>,
    /// What the wanted artifacts need and nobody could check.
    pub(super) unchecked: Vec<Unchecked>,
    /// The process, when one runs.
    pub(super) process: Option<falco::Falco>,
    /// What is wrong with the host's Falco or its falco.yaml, so that nothing new can be worked out or checked for it.
    pub(super) impaired: Option<PassError>,
}

/// Looks at everything; into the generations that are or were live.
///
/// # Errors
/// When something cannot be looked at, or a newer falconer has written it; what is merely wrong is an observation.
pub(super) async fn observe(agent: &Agent, state: &StateDirectory) -> Result<Host, PassError> {
    observe_with(agent, state, None).await
}

/// As [`observe`], also into the generation `also`.
///
/// # Errors
/// As [`observe`].
pub(super) async fn observe_with(
    agent: &Agent,
    state: &StateDirectory,
    also: Option<GenerationNumber>,
) -> Result<Host, PassError> {
    let ledger = ledger(state)?;
    if let Some(bytes) = state.read_document(Document::HostLock, REPORT_CAP)? {
        newer_toml(host_lock::FILE_NAME, &String::from_utf8_lossy(&bytes), host_lock::VERSION)?;
    }
    let (installed, broken) = match falco::version(&agent.falco).await {
        Ok(Presence::Absent) => (None, None),
        Ok(Presence::Present(versions)) => (Some(versions), None),
        Err(error) => (None, Some(error.into())),
    };
    let version = installed.as_ref().map(|versions| versions.falco.clone());
    let (configuration, unreadable) = match configuration(agent, version.as_ref()) {
        Ok(configuration) => (configuration, None),
        Err(error) => (None, Some(error)),
    };
    let (documents, settings) = configuration.unzip();
    let settings = settings.unwrap_or_default();
    let process = falco::running(&agent.falco)?;
    // In a pod the program is in another container; its web server tells the release.
    let version = match (version, &process) {
        (None, Some(_)) if broken.is_none() => falco::loaded_versions(&agent.falco).await.ok().map(|said| said.falco),
        (version, _) => version,
    };
    let loaded = match &process {
        Some(_) => falco::loaded(&agent.falco).await.ok(),
        None => None,
    };
    let current = state.current()?;
    let mut strays: BTreeMap<_, _> =
        state.observe_strays()?.into_iter().map(|(path, found)| (path, entry(found))).collect();
    let generations = generations(state, &ledger, &current, also, &mut strays)?;
    let plugins = plugins(state, &generations)?;
    let blobs = match state.open_store()? {
        Some(store) => store.intact_blobs()?,
        None => BTreeSet::new(),
    };
    let text = documents.as_ref().map(|documents| documents.text.as_str()).unwrap_or_default();
    let falco = ObservedFalco {
        mode: agent.settings.falco.config,
        names: generation::named_in(text, &agent.settings.state),
        version: version.as_ref().map(ToString::to_string),
        config_file: agent.settings.falco.config_file.to_string(),
        inclusion: None,
        edited: BTreeMap::new(),
        running: process.as_ref().map(|falco| RunningFalco { pid: falco.pid, started: falco.start_time_ticks }),
        reloads: !falco_config::reload_is_noop(version.as_ref(), &settings_of(&settings, process.as_ref())),
        loaded,
        restart: process.as_ref().and_then(|falco| falco::restarter(&agent.falco, falco)),
        engine: engine(&settings),
    };
    let mut observed =
        Observed { state: agent.settings.state.clone(), current, generations, plugins, strays, blobs, ledger, falco };
    let looked = documents.as_ref().map(|found| attachment::inclusion(agent, found, version.as_ref(), &observed));
    let unreadable = match looked {
        Some(Ok((inclusion, edited))) => {
            (observed.falco.inclusion, observed.falco.edited) = (Some(inclusion), edited);
            unreadable
        }
        Some(Err(error)) => Some(error.into()),
        None => unreadable,
    };
    if let Some(error) = &unreadable {
        observed.falco.inclusion = Some(Inclusion::Not(chain(error)));
    }
    observed.ledger.evidence = observed.evidence();
    Ok(Host {
        observed,
        settings,
        documents,
        version,
        installed,
        unchecked: Vec::new(),
        process,
        impaired: broken.or(unreadable),
    })
}

/// The settings of the running Falco: the options of its command line beat every file.
fn settings_of(settings: &Map<String, Value>, process: Option<&falco::Falco>) -> Map<String, Value> {
    let words = process.map(|falco| falco.arguments.as_slice()).unwrap_or_default();
    let options = words.iter().zip(words.iter().skip(1)).filter(|(word, _)| *word == "-o").map(|(_, option)| option);
    options.fold(settings.clone(), |settings, option| {
        falco_config::with_option(settings.clone(), option).unwrap_or(settings)
    })
}

fn engine(settings: &Map<String, Value>) -> Option<String> {
    Some(settings.get("engine")?.get("kind")?.as_str()?.to_string())
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
    also: Option<GenerationNumber>,
    strays: &mut BTreeMap<RelativePath, Entry>,
) -> Result<BTreeMap<GenerationNumber, ObservedGeneration>, PassError> {
    let matters = |number: GenerationNumber| {
        *current == Pointer::Generation(number) || [ledger.good, ledger.trial, also].contains(&Some(number))
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
        let record = match record(state, ledger, number)? {
            FoundRecord::Known(record) => Some(*record),
            FoundRecord::NotKnown => None,
            FoundRecord::Nobodys => {
                let stray = state.observe_root(number)?.map(|found| (number.directory(), entry(found)));
                strays.extend(stray);
                None
            }
        };
        generations.insert(number, ObservedGeneration { record, root, entries });
    }
    Ok(generations)
}

type Directories = BTreeMap<RelativePath, ObservedPlugin>;

/// The directories of plugins; those of the generations that were looked into are looked into as well.
fn plugins(
    state: &StateDirectory,
    generations: &BTreeMap<GenerationNumber, ObservedGeneration>,
) -> Result<Directories, PassError> {
    let looked_into = generations.values().filter(|generation| generation.entries.is_some());
    let records = looked_into.filter_map(|generation| generation.record.as_ref());
    let matter: BTreeSet<_> =
        records.flat_map(|record| record.composition.plugins.iter().map(|plugin| &plugin.directory)).collect();
    let directories = state.plugins()?;
    let observed = aside::each(&directories, |directory| -> Result<_, StoreError> {
        let entries = match matter.contains(directory) {
            true => {
                let found = state.observe_plugin(directory)?;
                Some(found.into_iter().map(|(path, found)| (path, entry(found))).collect())
            }
            false => None,
        };
        let root = state.observe_plugin_root(directory)?.map(entry);
        Ok((directory.clone(), ObservedPlugin { root, entries }))
    });
    Ok(observed.into_iter().collect::<Result<_, _>>()?)
}

/// What a generation says that it is.
#[derive(Debug)]
pub(super) enum FoundRecord {
    /// Its record, with the bytes that the ledger remembers.
    Known(Box<Record>),
    /// Something else, or nothing, where we have once made a generation.
    NotKnown,
    /// Nothing that we would have made.
    Nobodys,
}

/// The record of a generation, when its bytes are those that the ledger remembers. One that cannot be read is none.
///
/// # Errors
/// When a newer falconer has written it.
pub(super) fn record(
    state: &StateDirectory,
    ledger: &Ledger,
    number: GenerationNumber,
) -> Result<FoundRecord, PassError> {
    let remembered = ledger.record_digest(number);
    let bytes = state.read_generation_file(number, &generation::manifest_path(), RECORD_CAP).ok().flatten();
    let parsed = || bytes.as_deref().and_then(|bytes| serde_json::from_slice::<Record>(bytes).ok());
    let Some(remembered) = remembered else {
        // Made and never live: refused, or by a run that was interrupted.
        let is_ours = parsed().is_some_and(|record| record.generation == number);
        return Ok(if is_ours { FoundRecord::NotKnown } else { FoundRecord::Nobodys });
    };
    let Some(bytes) = bytes.as_deref().filter(|bytes| Digest::of(bytes) == *remembered) else {
        return Ok(FoundRecord::NotKnown);
    };
    newer_json(&format!("{}/{}", number.directory(), generation::MANIFEST), bytes, VersionOne::NUMBER)?;
    Ok(parsed().map_or(FoundRecord::NotKnown, |record| FoundRecord::Known(Box::new(record))))
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
