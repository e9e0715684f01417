//! Who can end an error.

use serde::{Deserialize, Serialize};

/// Who can end an error. This alone decides backoff, condition, exit code and log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remedy {
    /// The author of the desired state: a commit must change, so the revision is held and not tried again.
    Author,
    /// Time: a server or a network is away or busy; back off and try again.
    Time,
    /// The operator of this host: a disk, a permission, a missing program, a setting in agent.toml.
    Operator,
    /// The people who write falconer: a promise of the program itself is broken.
    Us,
}

impl Remedy {
    /// The word used in logs and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Time => "time",
            Self::Operator => "operator",
            Self::Us => "us",
        }
    }
}
