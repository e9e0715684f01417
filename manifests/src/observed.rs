//! What is on the host and in its Falco now.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::composition::Composition;
use crate::digest::Digest;
use crate::drift::damage;
use crate::falco_answers::Loaded;
use crate::generation::{GenerationNumber, Record};
use crate::ledger::{Attachment, Deaf, Held, Ledger};
use crate::name::{AbsolutePath, RelativePath};
use crate::outcome::Evidence;
use crate::plan::Confirm;

/// What is on the host and in its Falco now.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The state directory.
    pub state: AbsolutePath,
    /// What `current` is.
    pub current: Pointer,
    /// All generations on disk.
    pub generations: BTreeMap<GenerationNumber, ObservedGeneration>,
    /// The directories of plugins on disk.
    pub plugins: BTreeMap<RelativePath, ObservedPlugin>,
    /// What lies among the generations and the plugins and was never placed by us, by its path in the state directory.
    pub strays: BTreeMap<RelativePath, Entry>,
    /// The blobs in the store.
    pub blobs: BTreeSet<Digest>,
    /// Our memory.
    pub ledger: Ledger,
    /// The host's Falco.
    pub falco: ObservedFalco,
}

/// What `current` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointer {
    /// There is none.
    Missing,
    /// A link to this generation's directory.
    Generation(GenerationNumber),
    /// Something that is not ours.
    Foreign(String),
}

/// A generation on disk.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedGeneration {
    /// Its record, when its bytes are those that the ledger remembers.
    pub record: Option<Record>,
    /// What stands at its path, itself; looked at for the current and the good generation only, like its entries.
    pub root: Option<Entry>,
    /// What is in its directory.
    pub entries: Option<BTreeMap<RelativePath, Entry>>,
}

/// The directory of a plugin on disk. It is looked at for the generations that are looked at only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedPlugin {
    /// What stands at its path, itself.
    pub root: Option<Entry>,
    /// What is in it.
    pub entries: Option<BTreeMap<RelativePath, Entry>>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// The digest of its bytes; `None` when it is too large to be ours or cannot be read.
        sha256: Option<Digest>,
        /// Its size in bytes.
        size: u64,
        /// Who may do what with it.
        permissions: Permissions,
    },
    /// A directory.
    Directory {
        /// Who may do what with it.
        permissions: Permissions,
    },
    /// Something else, in words.
    Other(String),
}

/// Who may do what with a file or a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// The permission bits.
    pub mode: u32,
    /// The number of the user that it belongs to, when that is not the one that we are.
    pub stranger: Option<u32>,
}

impl Permissions {
    /// Those of what we have made with this mode.
    #[must_use]
    pub const fn ours(mode: u32) -> Self {
        Self { mode, stranger: None }
    }
}

/// The host's Falco.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedFalco {
    /// The version of the binary; `None` when there is none.
    pub version: Option<String>,
    /// The path of falco.yaml.
    pub config_file: String,
    /// How falco.yaml is to name what is live.
    pub mode: ConfigMode,
    /// Whether falco.yaml names what is live; `None` when there is no falco.yaml.
    pub inclusion: Option<Inclusion>,
    /// The generations that falco.yaml names itself.
    pub names: BTreeSet<GenerationNumber>,
    /// What falco.yaml is with the keys of these generations in it, where they are to be written into it and can be: of what
    /// is or was live.
    pub edited: BTreeMap<GenerationNumber, Digest>,
    /// The process, when one runs.
    pub running: Option<RunningFalco>,
    /// Whether its version and settings let it take SIGHUP as a request to load everything again.
    pub reloads: bool,
    /// What it says it has loaded; `None` when it does not say.
    pub loaded: Option<Loaded>,
    /// How it can be started anew where a reload does not do; `None` when it cannot, or must not be.
    pub restart: Option<Restarter>,
    /// The source of events that the host's own configuration names (`engine.kind`).
    pub engine: Option<String>,
}

/// Who starts Falco anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Restarter {
    /// systemd, by the name of Falco's unit.
    Unit(String),
    /// A command of the operator's, word by word.
    Command(Vec<String>),
}

impl fmt::Display for Restarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit(unit) => f.write_str(unit),
            Self::Command(words) => write!(f, "`{}`", words.join(" ")),
        }
    }
}

/// How falco.yaml is to name what is live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigMode {
    /// By an include that it names once; Falco 0.38 and later.
    #[default]
    Include,
    /// By keys in falco.yaml itself, written with every change; every Falco.
    Edit,
}

/// Whether falco.yaml names what is live: by including us, or by its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inclusion {
    /// As it must.
    Included,
    /// Not as it must: how, in words.
    Not(String),
}

/// A Falco that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningFalco {
    /// The process id.
    pub pid: u32,
    /// When the process started, in clock ticks since boot: with the id it names the process for good.
    pub started: u64,
}

impl Observed {
    /// Whether a pass writes falco.yaml: it is to, and its owner has adopted it for that.
    #[must_use]
    pub fn edits(&self) -> bool {
        self.falco.mode == ConfigMode::Edit && self.ledger.attachment == Attachment::Edit
    }

    /// The generation that `current` names, when it is on disk.
    #[must_use]
    pub fn live(&self) -> Option<(GenerationNumber, &ObservedGeneration)> {
        match &self.current {
            Pointer::Generation(number) => self.generations.get(number).map(|generation| (*number, generation)),
            Pointer::Missing | Pointer::Foreign(_) => None,
        }
    }

    /// The record of the generation that `current` names.
    #[must_use]
    pub fn live_record(&self) -> Option<&Record> {
        self.live().and_then(|(_, generation)| generation.record.as_ref())
    }

    /// Whether the running Falco says that it has loaded all of the generation that `record` describes. Where falco.yaml has our
    /// keys itself these are its rules alone: what else is in falco.yaml is its owner's to change.
    #[must_use]
    pub fn has_loaded(&self, record: &Record) -> bool {
        let loaded = self.falco.running.as_ref().and(self.falco.loaded.as_ref());
        loaded.is_some_and(|loaded| Confirm::of(record, self.falco.mode).is_some_and(|wanted| wanted.is_met_by(loaded)))
    }

    /// Whether the running Falco also says that it has read falco.yaml as it is with that generation, where our keys are in it.
    #[must_use]
    pub fn has_loaded_keys(&self, record: &Record) -> bool {
        let file = self.falco.config_file.rsplit('/').next().unwrap_or_default();
        let has_read = |loaded: &Loaded| {
            let edited = self.falco.edited.get(&record.generation);
            !loaded.tells_config() || edited.is_some_and(|digest| loaded.config_digests(file).contains(digest))
        };
        let is_read = self.falco.mode != ConfigMode::Edit || self.falco.loaded.as_ref().is_some_and(has_read);
        self.has_loaded(record) && is_read
    }

    /// How we know that Falco has loaded the live generation: as it says now, or as it was seen to take it up when it does
    /// not say.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        match (&self.falco.running, &self.falco.loaded, self.live_record()) {
            (None, ..) => Evidence::None,
            (Some(_), Some(_), Some(record)) if self.has_loaded(record) => Evidence::Sha256,
            (Some(_), Some(_), _) => Evidence::None,
            (Some(_), None, _) => self.ledger.evidence,
        }
    }

    /// What keeps the running Falco from having what is live, as far as we know: it did not take it up, did not survive it, or
    /// could not be asked. It is over when another process runs, which has started with what is live, or when Falco says that
    /// it has loaded it.
    #[must_use]
    pub fn deaf(&self) -> Option<&Deaf> {
        let deaf = self.ledger.deaf.as_ref()?;
        let record = self.live_record().filter(|record| record.generation == deaf.generation)?;
        let still = match &self.falco.running {
            None => deaf.asked,
            Some(falco) if deaf.is(falco) => !self.has_loaded_keys(record),
            Some(_) => self.falco.loaded.is_some() && !self.has_loaded(record),
        };
        still.then_some(deaf)
    }

    /// Whether `wanted` is on trial with nothing to go back to, and Falco has loaded it after all.
    #[must_use]
    pub fn has_taken_up(&self, wanted: &Composition) -> bool {
        let trial = self.live_record().filter(|record| self.ledger.trial == Some(record.generation));
        self.ledger.good.is_none()
            && trial.is_some_and(|record| record.composition.loads_same_as(wanted) && self.has_loaded(record))
    }

    /// The record of what is to be live instead of what is held: what somebody asked for, where it is still there, else the
    /// good generation. The newest of the same content, because an older one may be pruned.
    #[must_use]
    pub fn instead_of(&self, held: &Held) -> Option<&Record> {
        let records = || self.generations.values().rev().filter_map(|generation| generation.record.as_ref());
        let asked_for = held
            .instead
            .as_ref()
            .and_then(|content| records().find(|record| record.composition.content_digest() == *content));
        asked_for.or_else(|| self.good_record()).or_else(|| self.damaged_trial())
    }

    /// The record of what is live, where it was never confirmed, there is nothing to go back to, and somebody has damaged it:
    /// nothing is asked of Falco for it again, and still it is kept whole.
    fn damaged_trial(&self) -> Option<&Record> {
        let trial = self.live_record().filter(|record| self.ledger.trial == Some(record.generation));
        trial.filter(|_| self.ledger.good.is_none() && !damage(self).is_empty())
    }

    /// The record of what is to be live where the desired state cannot be had.
    #[must_use]
    pub fn fallback(&self) -> Option<&Record> {
        let unheld = || self.good_record().or_else(|| self.damaged_trial());
        self.ledger.rollback().map_or_else(unheld, |held| self.instead_of(held))
    }

    /// The record of the good generation.
    #[must_use]
    pub fn good_record(&self) -> Option<&Record> {
        self.generations.get(&self.ledger.good?)?.record.as_ref()
    }

    /// The record of the generation that we made live last, wherever somebody has let `current` point since.
    #[must_use]
    pub fn placed_record(&self) -> Option<&Record> {
        let trial = self.ledger.trial.filter(|trial| self.current == Pointer::Generation(*trial));
        let number = trial.or(self.ledger.good)?;
        self.generations.get(&number)?.record.as_ref()
    }
}
