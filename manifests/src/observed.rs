//! What is on the host and in its Falco now.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use crate::digest::Digest;
use crate::falco_answers::Loaded;
use crate::generation::{GenerationNumber, Record};
use crate::ledger::Ledger;
use crate::name::{AbsolutePath, RelativePath};

/// What is on the host and in its Falco now.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The state directory.
    pub state: AbsolutePath,
    /// What `current` is.
    pub current: Pointer,
    /// All generations on disk.
    pub generations: BTreeMap<GenerationNumber, ObservedGeneration>,
    /// The directories of plugins on disk, each with what is in it; looked at for those of the current, the good and the
    /// trial generation only.
    pub plugins: BTreeMap<RelativePath, Option<BTreeMap<RelativePath, Entry>>>,
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
    /// What is in its directory; looked at for the current and the good generation only.
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
        /// Its permission bits.
        mode: u32,
    },
    /// A directory.
    Directory,
    /// Something else, in words.
    Other(String),
}

/// The host's Falco.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedFalco {
    /// The version of the binary; `None` when there is none.
    pub version: Option<String>,
    /// The path of falco.yaml.
    pub config_file: String,
    /// Whether falco.yaml includes us; `None` when there is no falco.yaml.
    pub inclusion: Option<Inclusion>,
    /// The process, when one runs.
    pub running: Option<RunningFalco>,
    /// Whether its version and settings let it take SIGHUP as a request to load everything again.
    pub reloads: bool,
    /// What it says it has loaded; `None` when it does not say.
    pub loaded: Option<Loaded>,
}

/// Whether falco.yaml includes us.
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

    /// The record of the generation that we made live last, wherever somebody has let `current` point since.
    #[must_use]
    pub fn placed_record(&self) -> Option<&Record> {
        let trial = self.ledger.trial.filter(|trial| self.current == Pointer::Generation(*trial));
        let number = trial.or(self.ledger.good)?;
        self.generations.get(&number)?.record.as_ref()
    }
}
