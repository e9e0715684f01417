//! The steps of a plan, in their order.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{Confirm, Copy, Fetch, KEEP_GENERATIONS, Step};
use crate::composition::{Composition, Origin, PlacedFile};
use crate::digest::Digest;
use crate::drift::{Drift, DriftKind, is_intact, plugin_is_intact};
use crate::falco_answers::Loaded;
use crate::generation::{Draft, DraftError, GenerationNumber, Record};
use crate::name::ArtifactName;
use crate::observed::{Inclusion, Observed, Pointer};

pub(super) fn rebuild_steps(
    wanted: &Composition,
    damage: Vec<Drift>,
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
    steps.extend(take_up(&record, observed));
    steps.extend(prune(&record, observed));
    Ok(steps)
}

/// The steps after which Falco has the generation, or we know that it has not.
pub(super) fn take_up(record: &Record, observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    let included = observed.falco.inclusion == Some(Inclusion::Included);
    // What falco.yaml was looked at for is the generation that was live then.
    let is_named = included && observed.current == Pointer::Generation(record.generation);
    let edit = observed.edits() && observed.falco.inclusion.is_some() && !is_named;
    if edit {
        steps.push(Step::Edit { generation: record.generation });
    }
    let hears = observed.falco.reloads && (included || edit);
    // Without its include a generation cannot be told from another with the same rules: then it is loaded once more.
    let tells = observed.falco.loaded.as_ref().is_some_and(Loaded::tells_config);
    let is_loaded = tells && !observed.edits() && observed.has_loaded(record);
    if let (true, false, Some(falco)) = (hears, is_loaded, &observed.falco.running) {
        steps.push(Step::Reload { pid: falco.pid, started: falco.started });
    }
    steps.extend(Confirm::of(record, observed.falco.mode).map(Step::Confirm));
    steps
}

/// Whether somebody else has changed what is ours in falco.yaml.
pub(super) fn is_astray(observed: &Observed, drift: &[Drift]) -> bool {
    observed.edits() && drift.iter().any(|drift| drift.kind == DriftKind::Config)
}

/// One reload for one cause: a process that did not take the generation up is not asked again.
pub(super) fn may_reload(record: &Record, observed: &Observed, drift: &[Drift]) -> bool {
    let falco = observed.falco.running.as_ref();
    drift.iter().any(|drift| drift.kind == DriftKind::NotLoaded)
        && observed.falco.reloads
        && falco.is_some_and(|falco| !observed.ledger.is_deaf(record.generation, falco))
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

fn prune(newest: &Record, observed: &Observed) -> Option<Step> {
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
    let generations: Vec<_> = observed.generations.keys().filter(|number| !keep.contains(number)).copied().collect();
    let kept = observed.generations.iter().filter(|(number, _)| keep.contains(number));
    let records: Vec<_> = kept.filter_map(|(_, generation)| generation.record.as_ref()).chain([newest]).collect();
    let compositions = || records.iter().map(|record| &record.composition);
    let mut needed: BTreeSet<_> = compositions().flat_map(|composition| composition.files().map(blob)).collect();
    needed.extend(compositions().flat_map(|composition| composition.plugins.iter().map(|plugin| &plugin.layer)));
    let blobs: Vec<_> = observed.blobs.iter().filter(|blob| !needed.contains(blob)).cloned().collect();
    let used: BTreeSet<_> =
        compositions().flat_map(|composition| composition.plugins.iter().map(|plugin| &plugin.directory)).collect();
    let plugins: Vec<_> = observed.plugins.keys().filter(|directory| !used.contains(directory)).cloned().collect();
    let nothing = generations.is_empty() && plugins.is_empty() && blobs.is_empty();
    (!nothing).then_some(Step::Prune { generations, plugins, blobs })
}

fn blob(placed: &PlacedFile) -> &Digest {
    match &placed.origin {
        Origin::Artifact { layer, .. } => layer,
        Origin::Repository { .. } => &placed.sha256,
    }
}
