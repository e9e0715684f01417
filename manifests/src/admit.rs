//! Whether a host's Falco can run what a lockfile pins.
//!
//! The requirements of an artifact are checked as falcoctl's `follow` checks them (`internal/follower/follower.go`): what is
//! required must be one of the versions that Falco tells, of the same major and not lower; a bare number N is an engine of
//! the time before Falco 0.37 and means 0.N.0, as in Falco. Plugins are checked as Falco itself checks them when it loads
//! rules (`userspace/engine/falco_engine.cpp`): of a plugin and its alternatives the first one that is there decides.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::lockfile::{LockedArtifact, Lockfile};
use crate::name::ArtifactName;

pub use facts::Facts;

mod facts;
mod plugins;
mod requirements;

/// A lockfile that a host's facts allow. Only [`admit`] makes one.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted<'l> {
    lockfile: &'l Lockfile,
    unchecked: Vec<Unchecked>,
}

impl<'l> Admitted<'l> {
    /// The lockfile.
    #[must_use]
    pub const fn lockfile(&self) -> &'l Lockfile {
        self.lockfile
    }

    /// What could not be checked because the fact is not known.
    #[must_use]
    pub fn unchecked(&self) -> &[Unchecked] {
        &self.unchecked
    }
}

/// Why a host cannot run an artifact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Misfit {
    /// The artifact.
    pub artifact: ArtifactName,
    /// Its version as it gives it itself; empty in old artifacts.
    pub version: String,
    /// What it needs, e.g. `engine 0.57.0`.
    pub requirement: String,
    /// What stands against it, e.g. `Falco 0.40.0 has 0.46.0`.
    pub fact: String,
    /// The next act of the person who reads this.
    pub hint: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        need(f, &self.artifact, &self.version, &self.requirement)?;
        write!(f, ", and {}", self.fact)
    }
}

impl core::error::Error for Misfit {}

/// Something that an artifact needs and that nobody could check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Unchecked {
    /// The artifact.
    pub artifact: ArtifactName,
    /// Its version as it gives it itself; empty in old artifacts.
    pub version: String,
    /// What it needs.
    pub requirement: String,
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        need(f, &self.artifact, &self.version, &self.requirement)?;
        f.write_str(", which is not known here")
    }
}

fn need(f: &mut fmt::Formatter<'_>, artifact: &ArtifactName, version: &str, requirement: &str) -> fmt::Result {
    match version {
        "" => write!(f, "{artifact} needs {requirement}"),
        version => write!(f, "{artifact} {version} needs {requirement}"),
    }
}

/// How one thing that an artifact needs turned out.
enum Verdict {
    Met,
    Unknown { requirement: String },
    Unmet { requirement: String, fact: String, hint: String },
}

/// Checks every artifact of the lockfile against the facts: its requirements, the platform of a plugin, and the
/// dependencies that the lockfile does not hold itself.
///
/// `managed` are the plugins that falconer has loaded into this host's Falco so far. They do not count as the host's own:
/// when the lockfile does not hold them any more, they go.
///
/// # Errors
/// All that does not fit, by artifact. A fact that is not known is no misfit, but stands in [`Admitted::unchecked`].
pub fn admit<'l>(
    lockfile: &'l Lockfile,
    facts: &Facts,
    managed: &BTreeSet<ArtifactName>,
) -> Result<Admitted<'l>, Vec<Misfit>> {
    let mut misfits = Vec::new();
    let mut unchecked = Vec::new();
    for artifact in &lockfile.artifacts {
        let requirements =
            artifact.requirements.iter().map(|requirement| requirements::check(artifact, requirement, facts));
        let plugins = plugins::Plugins { lockfile, facts, managed };
        let dependencies = artifact.dependencies.iter().map(|dependency| plugins.check(artifact, dependency));
        for verdict in requirements.chain(dependencies).chain([platform(artifact, facts)]) {
            let (name, version) = (artifact.name.clone(), artifact.version.clone());
            match verdict {
                Verdict::Met => {}
                Verdict::Unknown { requirement } => {
                    unchecked.push(Unchecked { artifact: name, version, requirement });
                }
                Verdict::Unmet { requirement, fact, hint } => {
                    misfits.push(Misfit { artifact: name, version, requirement, fact, hint });
                }
            }
        }
    }
    if misfits.is_empty() { Ok(Admitted { lockfile, unchecked }) } else { Err(misfits) }
}

/// An artifact with contents by platform must have one for this host's.
fn platform(artifact: &LockedArtifact, facts: &Facts) -> Verdict {
    let Some(wanted) = &facts.platform else { return Verdict::Met };
    let platforms: Option<Vec<&str>> = artifact.contents.iter().map(|content| content.platform.as_deref()).collect();
    match platforms {
        Some(platforms) if !platforms.is_empty() && !platforms.contains(&wanted.as_str()) => Verdict::Unmet {
            requirement: platforms.join(" or "),
            fact: format!("this host is {wanted}"),
            hint: format!("ask for a version of {} that is published for {wanted}", artifact.name),
        },
        _ => Verdict::Met,
    }
}

#[cfg(test)]
mod tests;
