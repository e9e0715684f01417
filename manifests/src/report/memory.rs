//! What a host remembers of the reports that it has sent. TOML, replaced whole.

use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::host_lock::HostLock;
use crate::remedy::Remedy;

use super::Chain;

/// What is remembered between reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reporting {
    /// Which state directory this is: a word made by chance once.
    pub instance: String,
    /// The number of the last report that was sent.
    pub number: u64,
    /// The report that was sent last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    /// The report that was about to be sent: after a crash it may be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// What is to be sent, and since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Waiting>,
    /// Why the newest report is not where it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// Somebody else who reports under this host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rival: Option<Rival>,
}

/// A report that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// The digest of where it was sent.
    pub place: Digest,
    /// What its place is called by that value: a commit, a blob or an entity tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// The digest of its text.
    pub text: Digest,
    /// The digest of what it says of the host, without its place in the row.
    pub content: Digest,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

/// A report that was about to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The digest of its text.
    pub text: Digest,
    /// The digest of what it says of the host.
    pub content: Digest,
    /// Its number.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

/// Something new that is not sent yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// Since when, in milliseconds since 1970.
    pub since: u64,
}

/// Why a report could not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// Since when, in milliseconds since 1970.
    pub since: u64,
    /// What went wrong.
    pub message: String,
    /// Who can end it.
    pub remedy: Remedy,
    /// The next act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Somebody else who reports under this host's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rival {
    /// Who: an instance, or `unknown`.
    pub instance: String,
    /// When it was last seen, in milliseconds since 1970.
    pub seen: u64,
}

/// How the reports of a host fare, for `falconer status`. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportStatus {
    /// The number of the last report that arrived; 0: none did.
    pub number: u64,
    /// When it was sent.
    pub sent: Option<u64>,
    /// Since when something new waits to be sent.
    pub waiting_since: Option<u64>,
    /// Why the newest report is not where it should be, and since when.
    pub failing: Option<Failing>,
    /// Somebody else who reports under this host's name.
    pub rival: Option<Rival>,
}

/// What is where the report should go, and was not expected there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What the place is called by that value.
    pub mark: Option<String>,
    /// Its text, where it could be read.
    pub text: Option<String>,
}

/// Whose report was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Ours: the one that was about to be sent when something broke.
    Intended,
    /// Ours, from before what we remember.
    Earlier,
    /// One of somebody else, or of an earlier life of this host that we know nothing of.
    Unexpected(String),
    /// One of somebody else: ours was there before it.
    Rival(String),
}

impl Reporting {
    /// The memory of a host that has sent nothing.
    #[must_use]
    pub const fn new(instance: String) -> Self {
        Self { instance, number: 0, sent: None, intent: None, waiting: None, failing: None, rival: None }
    }

    /// How the reports fare.
    #[must_use]
    pub fn status(&self) -> ReportStatus {
        ReportStatus {
            number: self.number,
            sent: self.sent.as_ref().map(|sent| sent.at / 1000),
            waiting_since: self.waiting.as_ref().map(|waiting| waiting.since / 1000),
            failing: self.failing.as_ref().map(|it| Failing { since: it.since / 1000, ..it.clone() }),
            rival: self.rival.as_ref().map(|it| Rival { seen: it.seen / 1000, ..it.clone() }),
        }
    }

    /// Parses the text of the document.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// The text.
    ///
    /// # Errors
    /// When a value cannot be written as TOML, which no value made by this crate does.
    pub fn render(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// The place of the next report in the row; `now` is in milliseconds, `heartbeat` in seconds.
    #[must_use]
    pub fn chain(&self, now: u64, heartbeat: u64, displaced: Option<String>) -> Chain {
        Chain {
            number: self.number + 1,
            previous: self.sent.as_ref().map(|sent| sent.text.clone()),
            instance: self.instance.clone(),
            sent: now / 1000,
            heartbeat,
            displaced,
        }
    }

    /// Whose the report is that was `found` at `place` instead of the one that was sent last.
    #[must_use]
    pub fn whose(&self, place: &Digest, found: &Found) -> Whose {
        let text = found.text.as_deref();
        let digest = text.map(|text| Digest::of(text.as_bytes()));
        if digest.is_some() && digest.as_ref() == self.intent.as_ref().map(|intent| &intent.text) {
            return Whose::Intended;
        }
        let chain = text.and_then(|text| HostLock::parse(text).ok()?.chain);
        let instance = chain.as_ref().map_or_else(|| "unknown".to_string(), |chain| chain.instance.clone());
        let was_here = self.sent.as_ref().is_some_and(|sent| &sent.place == place);
        match chain {
            Some(chain) if !was_here && chain.instance == self.instance && chain.number <= self.number => {
                Whose::Earlier
            }
            _ if was_here => Whose::Rival(instance),
            _ => Whose::Unexpected(instance),
        }
    }

    /// The memory after the report that was about to be sent is there.
    #[must_use]
    pub fn arrived(&self, place: &Digest, mark: Option<String>) -> Self {
        let Some(intent) = &self.intent else { return self.clone() };
        let sent = Sent {
            place: place.clone(),
            mark,
            text: intent.text.clone(),
            content: intent.content.clone(),
            at: intent.at,
        };
        Self { number: intent.number, sent: Some(sent), intent: None, waiting: None, failing: None, ..self.clone() }
    }

    /// This memory without a rival that was not seen for two heartbeats.
    #[must_use]
    pub fn without_old_rival(self, now: u64, heartbeat: u64) -> Self {
        let is_recent = |rival: &Rival| now < rival.seen.saturating_add(heartbeat.saturating_mul(2));
        Self { rival: self.rival.clone().filter(is_recent), ..self }
    }
}
