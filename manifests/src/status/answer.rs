//! The answer of `falconer status`: the host as it is now, and whether somebody still looks after it.

use alloc::format;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::{LastPass, Status};
use crate::next::Next;
use crate::outcome::Condition;
use crate::remedy::Remedy;

/// How a host is, and when it was last looked after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusAnswer {
    /// How the host is.
    #[serde(flatten)]
    pub status: Status,
    /// The last pass, where there is a runtime directory that remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pass: Option<LastPass>,
    /// How late the next pass is, when it is too late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Stale>,
}

/// A pass that did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// When it was due, in seconds since 1970.
    pub due_at: u64,
    /// How late it is, in seconds.
    pub seconds: u64,
}

impl StatusAnswer {
    /// The answer at `now`. What was found wrong stays said; a host that is well, or only drifted, and that nobody looks
    /// after any more is stale.
    #[must_use]
    pub fn new(mut status: Status, last_pass: Option<LastPass>, now: u64) -> Self {
        let late = last_pass.as_ref().and_then(|pass| Some((pass.next_at?, pass.overdue(now)?)));
        let stale = late.map(|(due_at, seconds)| Stale { due_at, seconds });
        if let (Some(stale), Condition::InSync | Condition::Drifted | Condition::Pending) = (stale, status.condition) {
            let more = if status.reason.is_empty() { String::new() } else { format!("; {}", status.reason) };
            status.condition = Condition::Stale;
            status.reason = format!("the next pass is {} late{more}", span(stale.seconds));
            status.next = Next {
                who: Remedy::Operator.as_str().to_string(),
                hint: "look whether `falconer run` still runs: systemctl status falconer".to_string(),
            };
        }
        Self { status, last_pass, stale }
    }
}

/// A span of time in its largest unit, rounded down.
#[must_use]
pub fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
