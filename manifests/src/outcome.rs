//! How a pass ended.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::generation::GenerationNumber;
use crate::observed::RunningFalco;

/// How a pass ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was nothing to do.
    Unchanged,
    /// The generation is live and as well confirmed as it can be.
    Confirmed {
        /// The generation.
        generation: GenerationNumber,
        /// How we know that Falco has it.
        evidence: Evidence,
        /// How it was validated; `None` when it was validated in an earlier pass.
        validation: Option<Validation>,
        /// The process that goes on with what it had, because there was no way to ask it.
        unasked: Option<RunningFalco>,
    },
    /// The generation was refused before it was live.
    Refused {
        /// The generation.
        generation: GenerationNumber,
        /// Why.
        reason: String,
    },
    /// The generation was live, and Falco did not take it up or did not survive it.
    NotConfirmed {
        /// The generation.
        generation: GenerationNumber,
        /// Why.
        reason: String,
        /// The process that was asked to load it, while it lives.
        falco: Option<RunningFalco>,
        /// Whether Falco was started anew for it.
        restarted: bool,
    },
    /// Somebody changed what was live while Falco took it up, so that nothing is known of what was asked for.
    Disturbed {
        /// The generation.
        generation: GenerationNumber,
        /// What Falco was found with.
        reason: String,
    },
}

/// How we know that Falco has loaded the live generation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Falco's metrics give the sha256 of every rules file.
    Sha256,
    /// Falco was seen to start anew after the files were in place.
    Restarted,
    /// We do not know: there is no Falco, none runs, or it does not tell.
    #[default]
    None,
}

impl Evidence {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Restarted => "restarted",
            Self::None => "none",
        }
    }
}

/// How a generation was checked before it was made live.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validation {
    /// The host's Falco has accepted it in a dry run.
    DryRun,
    /// Only its structure was checked, for want of a Falco.
    #[default]
    Unvalidated,
}

impl Validation {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DryRun => "dry-run",
            Self::Unvalidated => "unvalidated",
        }
    }
}

/// How a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Condition {
    /// The host is as the desired state says.
    InSync,
    /// The host differs from what was placed on it.
    Drifted,
    /// A change is known and not made yet.
    Pending,
    /// The desired state could not be reached; the last good one is live.
    Failed,
    /// The desired state was live, failed, and the last good one is live again.
    RolledBack,
    /// The desired state has not been seen for too long.
    Stale,
}

impl Condition {
    /// All conditions.
    pub const ALL: [Self; 6] =
        [Self::InSync, Self::Drifted, Self::Pending, Self::Failed, Self::RolledBack, Self::Stale];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "InSync",
            Self::Drifted => "Drifted",
            Self::Pending => "Pending",
            Self::Failed => "Failed",
            Self::RolledBack => "RolledBack",
            Self::Stale => "Stale",
        }
    }

    /// The exit code that says it: 0 in sync, 2 drift or changes pending, 1 error.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::InSync => 0,
            Self::Drifted | Self::Pending => 2,
            Self::Failed | Self::RolledBack | Self::Stale => 1,
        }
    }
}
