//! The steps of a plan, in their order.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Confirm, Copy, Fetch, KEEP_GENERATIONS, Occasion, Step};
use crate::composition::{Composition, Origin, PlacedFile};
use crate::digest::Digest;
use crate::drift::{Drift, DriftKind, is_intact, plugin_is_intact};
use crate::falco_answers::Loaded;
use crate::generation::{Draft, DraftError, GenerationNumber, Record};
use crate::name::{ArtifactName, RelativePath};
use crate::observed::{Inclusion, Observed, RunningFalco};

pub(super) fn rebuild_steps(
    wanted: &Composition,
    damage: Vec<Drift>,
    strays: Vec<RelativePath>,
    observed: &Observed,
) -> Result<Vec<Step>, DraftError> {
    let mut steps = Vec::new();
    let reusable = observed.generations.iter().rev().find_map(|(number, generation)| {
        let record = generation.record.as_ref()?;
        let digest = observed.ledger.record_digest(*number)?;
        let same = record.composition.is_same_as(wanted) && is_intact(observed, *number);
        same.then(|| (record.clone(), digest.clone()))
    });
    let (record, digest) = match reusable {
        Some(recorded) => recorded,
        None => {
            let newest = observed.generations.keys().next_back().copied().unwrap_or_default();
            let number = GenerationNumber(newest.max(observed.ledger.highest).0 + 1);
            let draft = Draft::new(number, wanted, damage, &observed.state)?;
            let recorded = (draft.record.clone(), draft.digest());
            steps.extend(missing_bytes(wanted, observed));
            let missing = wanted.plugins.iter().filter(|plugin| !plugin_is_intact(observed, plugin));
            steps.extend(missing.cloned().map(Step::Place));
            steps.push(Step::Stage(draft));
            recorded
        }
    };
    if observed.ledger.good != Some(record.generation) {
        steps.push(Step::Validate { generation: record.generation });
    }
    steps.push(Step::Activate { generation: record.generation, record: digest });
    steps.extend(take_up(&record, observed, Occasion::Change));
    steps.extend(prune(&record, strays, observed));
    Ok(steps)
}

/// The steps after which Falco has the generation, or we know that it has not.
pub(super) fn take_up(record: &Record, observed: &Observed, occasion: Occasion) -> Vec<Step> {
    let mut steps = Vec::new();
    let included = observed.falco.inclusion == Some(Inclusion::Included);
    // What falco.yaml was looked at for is the generation that was placed last, wherever `current` points since.
    let is_named = included && observed.placed_record().is_some_and(|placed| placed.generation == record.generation);
    let edit = observed.edits() && observed.falco.inclusion.is_some() && !is_named;
    if edit {
        steps.push(Step::Edit { generation: record.generation });
    }
    // Without its include or falco.yaml a generation cannot be told from another with the same rules: then it is loaded once
    // more.
    let tells = observed.falco.loaded.as_ref().is_some_and(Loaded::tells_config);
    let is_loaded = tells && observed.has_loaded_keys(record);
    // Falco goes by falco.yaml alone then, whatever somebody has done to `current`.
    let is_good = observed.ledger.good == Some(record.generation) && observed.ledger.trial.is_none();
    let is_untouched = observed.edits() && is_named && is_good && occasion == Occasion::Change;
    if let (true, false, Some(falco)) = (included || edit, is_loaded || is_untouched, &observed.falco.running) {
        steps.extend(ask(record, observed, falco, occasion));
    }
    steps.extend(Confirm::of(record, observed.falco.mode).map(Step::Confirm));
    steps
}

/// Whether somebody else has changed what is ours in falco.yaml, and it can be written again.
pub(super) fn is_astray(record: &Record, observed: &Observed, drift: &[Drift]) -> bool {
    let is_possible = observed.edits() && observed.falco.edited.contains_key(&record.generation);
    is_possible && drift.iter().any(|drift| drift.kind == DriftKind::Config)
}

/// The one step that asks Falco: a reload, or a restart where a reload does not do; nothing where neither can be had.
fn ask(record: &Record, observed: &Observed, falco: &RunningFalco, occasion: Occasion) -> Option<Step> {
    let (pid, started) = (falco.pid, falco.started);
    let restart = observed.falco.restart.as_ref().filter(|_| !observed.ledger.was_restarted_for(record.generation));
    match (reload_does_not_do(record, observed, falco, occasion), restart) {
        (Some(because), Some(by)) => Some(Step::Restart { by: by.clone(), pid, started, because }),
        // Better than nothing: it is said to be a reload, and what came of it is looked at.
        _ if observed.falco.reloads => Some(Step::Reload { pid, started }),
        _ => None,
    }
}

/// Why a reload does not make Falco run with all of the generation.
fn reload_does_not_do(
    record: &Record,
    observed: &Observed,
    falco: &RunningFalco,
    occasion: Occasion,
) -> Option<String> {
    if !observed.falco.reloads {
        return Some("Falco takes SIGHUP and does nothing with it".to_string());
    }
    if observed.ledger.is_deaf(record.generation, falco) {
        return Some("Falco was asked to reload and did not".to_string());
    }
    if occasion == Occasion::NotLoaded {
        return None;
    }
    let (before, after) = (engine_before(record, observed), engine(record).or(observed.falco.engine.as_deref()));
    if before != after {
        let name = |engine: Option<&str>| engine.unwrap_or("Falco's own default").to_string();
        return Some(format!("engine.kind changes from {} to {}", name(before), name(after)));
    }
    // What was put back at a path that Falco has mapped may not be loaded again: a library in Go never is.
    let root = observed.state.join(&RelativePath::known("plugins"));
    let other_bytes = |drift: &&Drift| matches!(drift.kind, DriftKind::Modified | DriftKind::Replaced);
    let plugin = record.corrects.iter().filter(other_bytes).find(|drift| drift.path.starts_with(root.as_str()));
    plugin.map(|drift| format!("{} was put back, and Falco may have loaded what was there", drift.path))
}

/// The source of events that a generation makes Falco use.
fn engine(record: &Record) -> Option<&str> {
    record.composition.settings.get("engine")?.get("kind")?.as_str()
}

/// The one that Falco was given before this generation.
fn engine_before<'a>(record: &'a Record, observed: &'a Observed) -> Option<&'a str> {
    let others = [observed.ledger.trial, observed.ledger.good].into_iter().flatten();
    let other = others
        .filter(|number| *number != record.generation)
        .find_map(|number| observed.generations.get(&number)?.record.as_ref());
    let host = observed.falco.engine.as_deref();
    match other {
        Some(other) => engine(other).or(host),
        None if observed.ledger.good.is_none() => host,
        None => engine(record).or(host),
    }
}

/// One reload and one restart for one cause: a process that did not take the generation up is not asked again.
pub(super) fn may_ask(record: &Record, observed: &Observed, drift: &[Drift]) -> bool {
    let Some(falco) = &observed.falco.running else { return false };
    // Where Falco does not tell what it has loaded, a process that could not be asked is remembered.
    let unasked = observed.deaf().is_some_and(|deaf| !deaf.asked);
    let is_missing = unasked || drift.iter().any(|drift| drift.kind == DriftKind::NotLoaded);
    is_missing
        && match ask(record, observed, falco, Occasion::NotLoaded) {
            Some(Step::Restart { .. }) => true,
            Some(_) => !observed.ledger.is_deaf(record.generation, falco),
            None => false,
        }
}

/// The steps that bring what the store lacks.
fn missing_bytes(wanted: &Composition, observed: &Observed) -> Vec<Step> {
    let mut fetches = BTreeSet::new();
    let mut copies = BTreeSet::new();
    let plugins = wanted.plugins.iter().filter(|plugin| !plugin_is_intact(observed, plugin));
    for (name, layer) in plugins.map(|plugin| (&plugin.name, &plugin.layer)) {
        if !observed.blobs.contains(layer) {
            fetches.extend(fetch(wanted, name, layer));
        }
    }
    for placed in wanted.files() {
        match &placed.origin {
            Origin::Artifact { name, layer, .. } if !observed.blobs.contains(layer) => {
                fetches.extend(fetch(wanted, name, layer));
            }
            Origin::Repository { path } if !observed.blobs.contains(&placed.sha256) => {
                copies.insert(Copy {
                    revision: wanted.revision.clone(),
                    path: path.clone(),
                    sha256: placed.sha256.clone(),
                    size: placed.size,
                });
            }
            _ => {}
        }
    }
    fetches.into_iter().map(Step::Fetch).chain(copies.into_iter().map(Step::Copy)).collect()
}

fn fetch(wanted: &Composition, name: &ArtifactName, layer: &Digest) -> Option<Fetch> {
    let artifact = wanted.lockfile.artifact(name)?;
    let content = artifact.contents.iter().find(|content| content.layer == *layer)?;
    Some(Fetch {
        artifact: name.clone(),
        kind: artifact.kind,
        source: artifact.source.clone(),
        layer: layer.clone(),
        size: content.layer_size,
    })
}

fn prune(newest: &Record, strays: Vec<RelativePath>, observed: &Observed) -> Option<Step> {
    let mut keep: BTreeSet<_> = [Some(newest.generation), observed.ledger.good].into_iter().flatten().collect();
    keep.extend(observed.live().map(|(number, _)| number));
    keep.extend(&observed.falco.names);
    // A generation without a record was refused or damaged; it is of no use to go back to.
    let useful = observed.generations.iter().rev().filter(|(_, generation)| generation.record.is_some());
    for (number, _) in useful {
        if keep.len() < KEEP_GENERATIONS {
            keep.insert(*number);
        }
    }
    // What was never ours goes as drift, or stays as drift.
    let is_ours = |path: &RelativePath| !observed.strays.contains_key(path);
    let old = observed.generations.keys().filter(|number| !keep.contains(number) && is_ours(&number.directory()));
    let generations: Vec<_> = old.copied().collect();
    let kept = observed.generations.iter().filter(|(number, _)| keep.contains(number));
    let records: Vec<_> = kept.filter_map(|(_, generation)| generation.record.as_ref()).chain([newest]).collect();
    let compositions = || records.iter().map(|record| &record.composition);
    let mut needed: BTreeSet<_> = compositions().flat_map(|composition| composition.files().map(blob)).collect();
    needed.extend(compositions().flat_map(|composition| composition.plugins.iter().map(|plugin| &plugin.layer)));
    let blobs: Vec<_> = observed.blobs.iter().filter(|blob| !needed.contains(blob)).cloned().collect();
    let used: BTreeSet<_> =
        compositions().flat_map(|composition| composition.plugins.iter().map(|plugin| &plugin.directory)).collect();
    let unused = observed.plugins.keys().filter(|directory| !used.contains(directory) && is_ours(directory));
    let plugins: Vec<_> = unused.cloned().collect();
    let nothing = generations.is_empty() && plugins.is_empty() && blobs.is_empty() && strays.is_empty();
    (!nothing).then_some(Step::Prune { generations, plugins, blobs, strays })
}

/// Removes what was never ours, and nothing else.
pub(super) fn remove(strays: Vec<RelativePath>) -> Option<Step> {
    let prune = |strays| Step::Prune { generations: Vec::new(), plugins: Vec::new(), blobs: Vec::new(), strays };
    (!strays.is_empty()).then(|| prune(strays))
}

fn blob(placed: &PlacedFile) -> &Digest {
    match &placed.origin {
        Origin::Artifact { layer, .. } => layer,
        Origin::Repository { .. } => &placed.sha256,
    }
}
