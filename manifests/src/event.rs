//! `events.jsonl`: the passes that changed or failed something, one JSON object a line, the newest last.
//!
//! A line that cannot be read, e.g. one that a crash has torn, is no event and no error.

#[cfg(test)]
mod tests;
mod text;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::diff::{Change, ChangeKind};
use crate::drift::Drift;
use crate::generation::GenerationNumber;
use crate::outcome::{Condition, Evidence};
use crate::revision::Revision;
use crate::status::{Status, StatusError};

pub use text::{BYTES_AT_MOST, EVENTS_AT_MOST, kept, last, line, parse};

/// The most changes, and the most drift, that one event lists.
const LISTED_AT_MOST: usize = 50;
/// The longest text in an event, in bytes.
const TEXT_AT_MOST: usize = 2000;

/// A pass that changed or failed something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When the pass began, in seconds since 1970.
    pub at: u64,
    /// What it was.
    pub kind: EventKind,
    /// The host's condition after it.
    pub condition: Condition,
    /// Why; empty when the host is in sync.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The revision that is live after it.
    pub revision: Option<Revision>,
    /// The newest revision that the host knew.
    pub wanted: Option<Revision>,
    /// The generation that is live after it.
    pub generation: Option<GenerationNumber>,
    /// How we knew that Falco has loaded it.
    pub evidence: Evidence,
    /// What was changed, or was to be, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    /// The drift that was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Drift>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StatusError>,
    /// How many changes and how much drift there were besides those listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: usize,
}

/// What an event was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The desired state, or a part of it, became live.
    Changed,
    /// Another commit is live that asks for the same.
    Advanced,
    /// Drift was put right, or Falco was asked to load what was in place.
    Healed,
    /// What became live failed, and the last good generation came back.
    RolledBack,
    /// The desired state could not be reached.
    Failed,
    /// Drift was found and left.
    Drifted,
    /// A change is known and waits.
    Pending,
    /// What was wrong before is so no more.
    Recovered,
}

impl EventKind {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Advanced => "advanced",
            Self::Healed => "healed",
            Self::RolledBack => "rolled-back",
            Self::Failed => "failed",
            Self::Drifted => "drifted",
            Self::Pending => "pending",
            Self::Recovered => "recovered",
        }
    }
}

impl Event {
    /// The event that a pass at `at` with this status was; `None` when it has changed nothing and says nothing that `last`,
    /// the event before, has not said.
    #[must_use]
    pub fn of(status: &Status, last: Option<&Self>, at: u64) -> Option<Self> {
        let mut event = Self {
            at,
            kind: kind(status, last),
            condition: status.condition,
            reason: status.reason.clone(),
            revision: status.revision.clone(),
            wanted: status.wanted.clone(),
            generation: status.generation,
            evidence: status.evidence,
            changes: status.changes.clone(),
            drift: status.drift.clone(),
            error: status.error.clone(),
            omitted: 0,
        };
        event.shorten();
        event.is_news(last).then_some(event)
    }

    /// Whether something is wrong: the next pass fails as this one has, unless something changes.
    fn is_failure(&self) -> bool {
        self.error.is_some() || matches!(self.condition, Condition::Failed | Condition::RolledBack)
    }

    fn is_news(&self, last: Option<&Self>) -> bool {
        let Some(last) = last else {
            return !self.changes.is_empty() || self.condition != Condition::InSync || self.error.is_some();
        };
        if !self.changes.is_empty() {
            return !(self.is_failure() && *self == Self { at: self.at, ..last.clone() });
        }
        let message = |event: &Self| event.error.as_ref().map(|error| error.message.clone());
        let drift = |event: &Self| if event.condition == Condition::Drifted { event.drift.clone() } else { Vec::new() };
        (self.condition, &self.wanted, &self.revision, message(self), drift(self))
            != (last.condition, &last.wanted, &last.revision, message(last), drift(last))
    }

    /// Cuts what is too long: a line has a bounded length.
    fn shorten(&mut self) {
        self.omitted =
            self.changes.len().saturating_sub(LISTED_AT_MOST) + self.drift.len().saturating_sub(LISTED_AT_MOST);
        self.changes.truncate(LISTED_AT_MOST);
        self.drift.truncate(LISTED_AT_MOST);
        let changes = self.changes.iter_mut().flat_map(|change| [&mut change.name, &mut change.because]);
        let drift = self.drift.iter_mut().flat_map(|drift| [&mut drift.path, &mut drift.expected, &mut drift.observed]);
        let error = self.error.iter_mut().flat_map(|error| core::iter::once(&mut error.message).chain(&mut error.hint));
        changes.chain(drift).chain(error).chain([&mut self.reason]).for_each(cut);
    }
}

fn kind(status: &Status, last: Option<&Event>) -> EventKind {
    let upkeep = |change: &Change| matches!(change.kind, ChangeKind::Heal | ChangeKind::Reload);
    match status.condition {
        Condition::RolledBack if !status.changes.is_empty() => EventKind::RolledBack,
        Condition::Failed | Condition::RolledBack | Condition::Stale => EventKind::Failed,
        _ if status.error.is_some() => EventKind::Failed,
        _ if !status.changes.is_empty() && status.changes.iter().all(upkeep) => EventKind::Healed,
        _ if !status.changes.is_empty() => EventKind::Changed,
        Condition::Drifted => EventKind::Drifted,
        Condition::Pending => EventKind::Pending,
        Condition::InSync => match last {
            Some(last) if last.condition == Condition::InSync && last.error.is_none() => EventKind::Advanced,
            _ => EventKind::Recovered,
        },
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_AT_MOST {
        let end = (0..=TEXT_AT_MOST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
}

const fn is_zero(number: &usize) -> bool {
    *number == 0
}
