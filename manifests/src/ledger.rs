//! The ledger: our memory between passes. TOML, replaced whole.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::finding::{Finding, Findings, Location};
use crate::generation::GenerationNumber;
use crate::lockfile::toml_finding;
use crate::observed::RunningFalco;
use crate::outcome::{Evidence, Validation};
use crate::revision::Revision;
use crate::schema::{NEWER_HINT, VersionOne, newer_toml};

/// What we remember. Everything else is looked at anew in every pass. What every ledger has is required, so that one that
/// lost its end is not taken for another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The version of the document.
    #[serde(default)]
    pub version: VersionOne,
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
    /// Of an older falconer: what was last pushed is remembered with the reports. It is read and let go.
    #[serde(default, skip_serializing)]
    pub reported: Option<Digest>,
    /// The Falco that did not take up the good generation, or could not be asked to; it is not asked again.
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
    /// The Falco that it failed with; another one may take it. Nobody in particular where somebody has rolled it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub falco: Option<String>,
    /// What went wrong.
    pub reason: String,
    /// Whether it was live when it failed, so that the good generation had to come back.
    pub rolled_back: bool,
    /// What somebody wants live instead, by the digest of its content, until the desired state changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Digest>,
}

/// A Falco that does not have the good generation, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deaf {
    /// The generation.
    pub generation: GenerationNumber,
    /// The process id; none when the process has ended of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When the process started, in clock ticks since boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// Whether it was asked to load the generation; false where there was no way to ask.
    #[serde(default = "yes")]
    pub asked: bool,
    /// Whether it was started anew for it; that is done once.
    #[serde(default)]
    pub restarted: bool,
    /// What went wrong.
    #[serde(default)]
    pub reason: String,
}

const fn yes() -> bool {
    true
}

impl Deaf {
    /// A Falco, as far as it still runs, that does not have `generation`.
    #[must_use]
    pub fn new(generation: GenerationNumber, falco: Option<&RunningFalco>, reason: &str) -> Self {
        Self {
            generation,
            pid: falco.map(|falco| falco.pid),
            started: falco.map(|falco| falco.started),
            asked: true,
            restarted: false,
            reason: reason.to_string(),
        }
    }

    /// Whether it is this process.
    #[must_use]
    pub fn is(&self, falco: &RunningFalco) -> bool {
        self.pid == Some(falco.pid) && self.started == Some(falco.started)
    }
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
        newer_toml("the ledger", text, VersionOne::NUMBER).map_err(|newer| {
            Findings::one(Finding {
                location: Location { file: "ledger".to_string(), line: 0, column: 0 },
                message: newer.to_string(),
                hint: NEWER_HINT.to_string(),
            })
        })?;
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

    /// Whether this content failed before with this Falco, or was rolled back by somebody.
    #[must_use]
    pub fn held(&self, content: &Digest, falco: Option<&str>) -> Option<&Held> {
        let counts = |held: &&Held| held.instead.is_some() || held.falco.as_deref() == falco;
        self.held.iter().filter(|held| &held.content == content).find(counts)
    }

    /// The ledger after somebody has asked for the content `instead` in place of `content`, which `revision` has asked for. Who
    /// has done so before still keeps the same content away.
    #[must_use]
    pub fn with_rollback(&self, revision: Revision, content: Digest, instead: Digest, reason: String) -> Self {
        let before = self.rollback().map(|held| (held.revision.clone(), held.content.clone()));
        let (revision, content) = before.unwrap_or((revision, content));
        let mut ledger = self.without_rollback();
        // Whoever asks for it wants it tried, whatever came of it before.
        ledger.held.retain(|held| held.content != content && held.content != instead);
        if content != instead {
            ledger.hold(Held { revision, content, falco: None, reason, rolled_back: true, instead: Some(instead) });
        }
        ledger
    }

    /// What is held because somebody asked for it.
    #[must_use]
    pub fn rollback(&self) -> Option<&Held> {
        self.held.iter().find(|held| held.instead.is_some())
    }

    /// The ledger in which nothing is held because somebody asked for it.
    #[must_use]
    pub fn without_rollback(&self) -> Self {
        let mut ledger = self.clone();
        ledger.held.retain(|held| held.instead.is_none());
        ledger
    }

    /// Holds some content; the oldest that is held is forgotten where there are too many.
    pub fn hold(&mut self, held: Held) {
        self.held.push(held);
        if self.held.len() > HELD_AT_MOST {
            self.held.remove(0);
        }
    }

    /// Whether this process was asked to load that generation and did not.
    #[must_use]
    pub fn is_deaf(&self, generation: GenerationNumber, falco: &RunningFalco) -> bool {
        self.deaf.as_ref().is_some_and(|deaf| deaf.generation == generation && deaf.asked && deaf.is(falco))
    }

    /// Whether Falco was started anew for that generation and did not take it up even so.
    #[must_use]
    pub fn was_restarted_for(&self, generation: GenerationNumber) -> bool {
        self.deaf.as_ref().is_some_and(|deaf| deaf.generation == generation && deaf.restarted)
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
