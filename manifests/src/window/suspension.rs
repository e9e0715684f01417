//! A suspension: nothing on the host is changed until somebody says so, or until a time.

use alloc::format;
use alloc::string::{String, ToString};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Waiting;
use crate::finding::{Finding, Findings, Location};

/// That nothing on the host is to be changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it is over; `None`: when somebody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Suspension {
    /// Reads the document that a host keeps.
    ///
    /// # Errors
    /// The findings, when it is damaged.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Findings> {
        serde_json::from_slice(text).map_err(|error| {
            Findings::one(Finding {
                location: Location { file: file.to_string(), line: error.line(), column: error.column() },
                message: format!("is no suspension ({error})"),
                hint: "run `falconer resume`, or `falconer suspend` once more".to_string(),
            })
        })
    }

    /// Whether it still holds at `now`.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// What a host waits for under it; `who` has said so, and `hint` is how it ends.
    #[must_use]
    pub fn waiting(&self, who: &str, hint: &str) -> Waiting {
        let because = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let until = self.until.map(|until| format!(" until {until}")).unwrap_or_default();
        Waiting {
            reason: format!("suspended by {who}{until}{because}"),
            opens: self.until,
            heals: false,
            hint: hint.to_string(),
        }
    }
}
