//! The ledger: our memory between passes. TOML, replaced whole.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::finding::Findings;
use crate::generation::GenerationNumber;
use crate::lockfile::toml_finding;
use crate::observed::RunningFalco;
use crate::outcome::{Evidence, Validation};
use crate::revision::Revision;

/// How falco.yaml was brought to us, or taken from us, by hand the last time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attachment {
    /// By an entry in falco.yaml, or not yet.
    #[default]
    Include,
    /// A pass may write our keys into falco.yaml.
    Edit,
    /// It was taken from us: nothing is placed before it is adopted again.
    Ejected,
}

impl Attachment {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What we remember. Everything else is looked at anew in every pass. What every ledger has is required, so that one that
/// lost its end is not taken for another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The last revision that was accepted; it only moves to a descendant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// The revision whose desired state is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Revision>,
    /// The highest number that a generation ever had.
    pub highest: GenerationNumber,
    /// The newest generation that was confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good: Option<GenerationNumber>,
    /// The generation that is about to be made live, or is live and not confirmed yet, or has just been replaced by the good
    /// one. Until this is empty again, what is live may have to be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<GenerationNumber>,
    /// The digest of what it makes Falco load ([`crate::composition::Composition::content_digest`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_content: Option<Digest>,
    /// How the good generation was confirmed.
    pub evidence: Evidence,
    /// How the good generation was validated.
    pub validation: Validation,
    /// When artifacts were last resolved without a committed lockfile, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<u64>,
    /// The number of the newest drift report.
    pub sequence: u64,
    /// The digest of the drift report that was last pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Digest>,
    /// How falco.yaml is ours.
    #[serde(default, skip_serializing_if = "Attachment::is_default")]
    pub attachment: Attachment,
    /// The Falco process that did not take up the good generation when asked to; it is not asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deaf: Option<Deaf>,
    /// What was tried and failed, and is not tried again until something changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Held>,
    /// The records of the generations on disk.
    #[serde(default, rename = "record", skip_serializing_if = "Vec::is_empty")]
    pub records: Vec<RecordDigest>,
}

/// Content that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The revision that asked for it.
    pub revision: Revision,
    /// The digest of the content ([`crate::composition::Composition::content_digest`]).
    pub content: Digest,
    /// The Falco that it failed with; another one may take it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub falco: Option<String>,
    /// What went wrong.
    pub reason: String,
    /// Whether it was live when it failed, so that the good generation had to come back.
    pub rolled_back: bool,
}

/// A Falco process that was asked to load a generation and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deaf {
    /// The generation.
    pub generation: GenerationNumber,
    /// The process id.
    pub pid: u32,
    /// When the process started, in clock ticks since boot.
    pub started: u64,
}

/// The digest of a generation's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordDigest {
    /// The generation.
    pub generation: GenerationNumber,
    /// The digest of its record's bytes.
    pub digest: Digest,
}

impl Ledger {
    /// Parses the text of a ledger. Empty text is none.
    ///
    /// # Errors
    /// One finding with its place.
    pub fn parse(text: &str) -> Result<Self, Findings> {
        let hint = "the ledger is damaged; move it away and run `falconer once` to start from what is on disk";
        toml::from_str(text).map_err(|error| toml_finding("ledger", text, &error, hint))
    }

    /// The text: the same bytes for the same ledger.
    ///
    /// # Errors
    /// When a value cannot be written as TOML, which no value made by this crate does.
    pub fn render(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The digest of the record of that generation.
    #[must_use]
    pub fn record_digest(&self, generation: GenerationNumber) -> Option<&Digest> {
        self.records.iter().find(|record| record.generation == generation).map(|record| &record.digest)
    }

    /// Whether this content failed before with this Falco.
    #[must_use]
    pub fn held(&self, content: &Digest, falco: Option<&str>) -> Option<&Held> {
        self.held.iter().find(|held| &held.content == content && held.falco.as_deref() == falco)
    }

    /// Whether this process already failed to load that generation.
    #[must_use]
    pub fn is_deaf(&self, generation: GenerationNumber, falco: &RunningFalco) -> bool {
        self.deaf
            .as_ref()
            .is_some_and(|deaf| deaf.generation == generation && deaf.pid == falco.pid && deaf.started == falco.started)
    }

    /// The ledger that says that `generation`, recorded as `digest`, is about to be made live. A trial that the good
    /// generation ends stays noted: it is what is live until then.
    #[must_use]
    pub fn with_trial(&self, generation: GenerationNumber, digest: Digest) -> Self {
        let mut ledger = self.clone();
        if ledger.good != Some(generation) || ledger.trial.is_none() {
            ledger.trial = Some(generation);
        }
        ledger.highest = ledger.highest.max(generation);
        ledger.records.retain(|record| record.generation != generation);
        ledger.records.push(RecordDigest { generation, digest });
        ledger
    }

    /// The ledger without the records of generations that are no longer on disk.
    #[must_use]
    pub fn without_records(&self, generations: &[GenerationNumber]) -> Self {
        let mut ledger = self.clone();
        ledger.records.retain(|record| !generations.contains(&record.generation));
        ledger
    }
}

/// How many failures are remembered; the oldest is forgotten first.
pub const HELD_AT_MOST: usize = 16;

impl Held {
    /// The sentence that says that this is held.
    #[must_use]
    pub fn sentence(&self) -> String {
        alloc::format!("revision {} is held: {}", self.revision.short(), first_line(&self.reason))
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_string()
}
