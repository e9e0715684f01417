//! Sent drift reports: how each is chained to the one before, what a host remembers of them, and when the next is due.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::host_lock::HostLock;
use crate::name::HostName;

mod memory;
mod pace;
#[cfg(test)]
mod tests;

pub use memory::{Failing, Found, Intent, ReportStatus, Reporting, Rival, Sent, Waiting, Whose};
pub use pace::{Due, Pace, Why, backoff, slot, spacing};

/// The place of a report in the row of reports that one host has sent. It is part of the text that is signed, so a report
/// that is held back, shown again or put in by somebody else breaks the row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Grows by one with every report that is sent, heartbeats too.
    pub number: u64,
    /// The digest of the text of the report before; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
    /// The state directory that it comes from: a word made by chance once.
    pub instance: String,
    /// When it was sent, in seconds since 1970.
    pub sent: u64,
    /// The longest time until the next, in seconds, while the host lives and can send.
    pub heartbeat: u64,
    /// The instance whose report was in its place and that this host did not expect there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaced: Option<String>,
}

impl HostLock {
    /// This report as it is sent.
    #[must_use]
    pub fn chained(&self, chain: Chain) -> Self {
        Self { chain: Some(chain), ..self.clone() }
    }

    /// Whether the report is so old at `now`, in seconds since 1970, that a host that lives has missed two heartbeats.
    /// `None` where the report does not tell when it was sent.
    #[must_use]
    pub fn is_overdue(&self, now: u64) -> Option<bool> {
        let chain = self.chain.as_ref()?;
        // A host sends its heartbeats at hours of its own, at most one and a half periods after the report before.
        Some(now > chain.sent.saturating_add(chain.heartbeat.saturating_mul(2)))
    }
}

/// The URL for `host`: `{host}` stands for its name, `{shard}` for a number from 0 to `shards - 1` that follows from its
/// name.
#[must_use]
pub fn url(template: &str, host: &HostName, shards: u32) -> String {
    let shard = number(host, "shard") % u64::from(shards.max(1));
    template.replace("{host}", host.as_str()).replace("{shard}", &alloc::format!("{shard}"))
}

/// A number that follows from the host's name, and another one for each purpose.
fn number(host: &HostName, purpose: &str) -> u64 {
    let digest = Digest::of(alloc::format!("{purpose} {host}").as_bytes());
    digest.hex().get(..15).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default()
}
