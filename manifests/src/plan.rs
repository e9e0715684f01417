//! The plan: every change, and the steps that carry them out. Who carries them out decides nothing.

mod check;
mod steps;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::artifact::ArtifactType;
use crate::composition::{Composition, INCLUDE, PlacedPlugin};
use crate::diff::{Change, ChangeKind, diff};
use crate::digest::Digest;
use crate::drift::{Drift, DriftKind, DriftPolicy, damage, drift, strays};
use crate::falco_answers::Loaded;
use crate::generation::{Draft, DraftError, GenerationNumber, Record};
use crate::name::{ArtifactName, RelativePath};
use crate::observed::{ConfigMode, Observed, Pointer, Restarter};
use crate::reference::Source;
use crate::revision::Revision;

pub use check::{Breach, breaches};
use steps::{is_astray, may_ask, rebuild_steps, remove, take_up};

/// How many generations stay on disk, the live and the good one among them.
pub const KEEP_GENERATIONS: usize = 3;

/// What is to become of drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftMode {
    /// It is put right.
    #[default]
    Heal,
    /// It is only reported.
    Report,
}

/// All changes and the steps that carry them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The revision that asks for it.
    pub revision: Revision,
    /// What changes.
    pub changes: Vec<Change>,
    /// The drift that was found.
    pub drift: Vec<Drift>,
    /// What to do, in this order.
    pub steps: Vec<Step>,
}

/// One step. A step needs nothing but itself and what the steps before it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "step")]
pub enum Step {
    /// Bring an archive into the store.
    Fetch(Fetch),
    /// Put a file of the repository into the store.
    Copy(Copy),
    /// Write a plugin, durably, into its own directory; whole, and never over a library that may be in use.
    Place(PlacedPlugin),
    /// Write the generation, durably, where nobody sees it yet.
    Stage(Draft),
    /// Have Falco check it in a dry run.
    Validate {
        /// The generation.
        generation: GenerationNumber,
    },
    /// Note the intent durably, then make the generation live.
    Activate {
        /// The generation.
        generation: GenerationNumber,
        /// The digest of its record.
        record: Digest,
    },
    /// Write the keys of the generation into falco.yaml, in one rename: for Falco this makes it live. Nothing is written when
    /// they are there.
    Edit {
        /// The generation.
        generation: GenerationNumber,
    },
    /// Send Falco one SIGHUP.
    Reload {
        /// The process id.
        pid: u32,
        /// When the process started, in clock ticks since boot.
        started: u64,
    },
    /// Have Falco started anew, because a reload does not do.
    Restart {
        /// Who starts it.
        by: Restarter,
        /// The process id of the one that ends.
        pid: u32,
        /// When that started, in clock ticks since boot.
        started: u64,
        /// Why a reload does not do.
        because: String,
    },
    /// Find out whether Falco has loaded the generation.
    Confirm(Confirm),
    /// Remove what nothing needs any more.
    Prune {
        /// Generations.
        generations: Vec<GenerationNumber>,
        /// Directories of plugins.
        plugins: Vec<RelativePath>,
        /// Blobs.
        blobs: Vec<Digest>,
        /// What was never ours, in our directories.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        strays: Vec<RelativePath>,
    },
}

/// An archive to bring into the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fetch {
    /// The artifact that it belongs to.
    pub artifact: ArtifactName,
    /// What that is.
    pub kind: ArtifactType,
    /// Where it lives.
    pub source: Source,
    /// Its digest.
    pub layer: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A file of the repository to put into the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Copy {
    /// The revision that holds it.
    pub revision: Revision,
    /// Its path as the desired state names it.
    pub path: RelativePath,
    /// Its digest.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What Falco must have loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confirm {
    /// The generation.
    pub generation: GenerationNumber,
    /// The digests of the rules files by base name.
    pub rules_files: BTreeMap<String, Digest>,
    /// The digest of the include, where there is one.
    pub include: Option<Digest>,
}

impl Confirm {
    /// What Falco must have loaded of the generation that `record` describes. Where falco.yaml has our keys itself, there is
    /// no file beside it whose digest could be known.
    #[must_use]
    pub fn of(record: &Record, mode: ConfigMode) -> Option<Self> {
        let include = record.files.iter().find(|file| file.path.as_str() == INCLUDE)?;
        let placed = record.composition.placed();
        Some(Self {
            generation: record.generation,
            rules_files: placed.map(|placed| (placed.path.base_name().to_string(), placed.sha256.clone())).collect(),
            include: (mode == ConfigMode::Include).then(|| include.sha256.clone()),
        })
    }

    /// Whether a Falco that says `loaded` has all of it. The include names its generation, so it tells generations with
    /// the same rules apart; a release that names no configuration files is judged by its rules.
    #[must_use]
    pub fn is_met_by(&self, loaded: &Loaded) -> bool {
        self.rules_files.iter().all(|(name, digest)| loaded.rules_digests(name).contains(digest))
            && self
                .include
                .as_ref()
                .is_none_or(|include| !loaded.tells_config() || loaded.config_digests(INCLUDE).contains(include))
    }
}

/// Why a composition is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The desired state asks for it.
    Desired,
    /// It is the last good one, and the desired state cannot be had.
    LastGood,
}

/// Why Falco is asked to take a generation up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    /// It has become live, or is on trial still.
    Change,
    /// It was live, and Falco does not have it.
    NotLoaded,
}

/// Plans the way from `observed` to `wanted`.
///
/// # Errors
/// [`DraftError`] when a record cannot be written as text.
pub fn plan(
    wanted: &Composition,
    target: Target,
    observed: &Observed,
    policy: impl Into<DriftPolicy>,
) -> Result<Plan, DraftError> {
    let policy = policy.into();
    let drift = drift(observed);
    let placed = observed.placed_record();
    let changes = diff(placed.map(|record| &record.composition), wanted);
    let damage = damage(observed);
    let first = observed.ledger.good.is_none() && (placed.is_none() || !damage.is_empty());
    let intended = placed.is_some_and(|record| !record.composition.is_same_as(wanted));
    let rebuild = first || intended || damage.iter().any(|drift| policy.heals(drift.kind));
    // What `current` names stays until it names something else, and what is just placed there stays.
    let in_use = |path: &RelativePath| {
        wanted.plugins.iter().any(|plugin| plugin.directory == *path)
            || !rebuild && matches!(&observed.current, Pointer::Generation(number) if number.directory() == *path)
    };
    let removed = strays(observed).filter(|(path, _)| policy.heals(DriftKind::Extra) && !in_use(path));
    let (strays, removed): (Vec<_>, Vec<_>) = removed.map(|(path, drift)| (path.clone(), drift)).unzip();
    let mut plan = Plan { revision: wanted.revision.clone(), changes: Vec::new(), drift, steps: Vec::new() };
    if rebuild {
        plan.changes = rebuild_changes(changes, &damage, target, first || placed.is_some());
        plan.steps = rebuild_steps(wanted, damage, strays, observed)?;
    } else {
        if let Some(record) = observed.live_record() {
            if observed.ledger.trial.is_some() {
                plan.steps = take_up(record, observed, Occasion::Change);
            } else if policy.heals_keys() && is_astray(record, observed, &plan.drift) {
                let astray = plan.drift.iter().filter(|drift| drift.kind == DriftKind::Config);
                plan.changes = astray.map(heal_change).collect();
                plan.steps = take_up(record, observed, Occasion::Change);
            } else if policy.heals(DriftKind::NotLoaded) && may_ask(record, observed, &plan.drift) {
                let not_loaded = plan.drift.iter().filter(|drift| drift.kind == DriftKind::NotLoaded);
                plan.changes = not_loaded.map(reload_change).collect();
                plan.steps = take_up(record, observed, Occasion::NotLoaded);
            }
        }
        plan.steps.extend(remove(strays));
    }
    plan.changes.extend(removed.iter().map(heal_change));
    Ok(plan)
}

fn rebuild_changes(changes: Vec<Change>, damage: &[Drift], target: Target, comparable: bool) -> Vec<Change> {
    // Without a record to compare with everything would look added; what happened is the damage.
    let mut all = if comparable { changes } else { Vec::new() };
    if target == Target::LastGood {
        for change in &mut all {
            change.kind = ChangeKind::Restore;
        }
    }
    all.extend(damage.iter().map(heal_change));
    all
}

fn heal_change(drift: &Drift) -> Change {
    Change {
        kind: ChangeKind::Heal,
        name: drift.path.clone(),
        because: format!("{} on this host", drift.kind.in_words()),
    }
}

fn reload_change(drift: &Drift) -> Change {
    Change { kind: ChangeKind::Reload, name: drift.path.clone(), because: "Falco has not loaded it".to_string() }
}

#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
