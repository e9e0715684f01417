//! What artifacts need of each other: which further artifacts have to come, in which version, and in which order.
//!
//! The rules are those of falcoctl (`cmd/artifact/install/deps.go`): a dependency is met by its name or by the first of its
//! alternatives that is there, in the same major version and not lower; one that is not there comes in the lowest version
//! that will do. What falcoctl gets wrong is put right: what is locked or installed is never lowered; what only a replaced
//! version needed does not stay; an alternative that is raised brings its own dependencies; the answer does not hang on
//! the order in which artifacts are looked at; and where the name itself is there, it decides, even when an alternative
//! is there too, because Falco has it so (`userspace/engine/falco_engine.cpp`). Where falcoctl gives up because the name
//! itself cannot come, the first alternative that can comes instead.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use semver::Version;

use crate::artifact::Dependency;
use crate::finding::{Finding, Location};
use crate::name::ArtifactName;
use search::{Found, Search};
use state::Brings;

pub use conflict::{Chain, Conflict, Link};

mod absent;
mod conflict;
mod member;
mod order;
mod search;
mod state;

/// How many answers to needs may be asked for. Real indexes have some dozens of artifacts; a registry that publishes a
/// need without end must not keep us asking.
const ANSWERS: usize = 200;

/// An artifact that is known, with what it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its name.
    pub name: ArtifactName,
    /// Its version; `None` where it gives none that can be read, as some old artifacts do.
    pub version: Option<Version>,
    /// What it needs.
    pub dependencies: Vec<Dependency>,
    /// Why it is here.
    pub asked_by: AskedBy,
}

/// Why an artifact is among the chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedBy {
    /// The desired state asks for it, at this place: its version is not ours to change.
    DesiredState(Location),
    /// It was looked up to answer this need. It counts only where exactly this need comes up.
    Dependency(Need),
    /// It was looked up to answer this need, and cannot be had.
    Nowhere {
        /// The need.
        need: Need,
        /// Why.
        why: Finding,
    },
}

impl AskedBy {
    /// The need that was looked up.
    const fn need(&self) -> Option<&Need> {
        match self {
            Self::DesiredState(_) => None,
            Self::Dependency(need) | Self::Nowhere { need, .. } => Some(need),
        }
    }
}

/// Whether artifacts may come that the desired state does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No: what is not among the chosen is left to the host.
    Check,
    /// Yes.
    Install,
}

/// An artifact that has to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Its name.
    pub name: ArtifactName,
    /// The version to look up; a later one of the same major will do.
    pub at_least: Version,
    /// Who needs it.
    pub needed_by: Chain,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.at_least, self.needed_by)
    }
}

/// What [`settle`] can say with the artifacts that are known.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled<'c> {
    /// Look these up, add them to the chosen as [`AskedBy::Dependency`] or [`AskedBy::Nowhere`] and settle again. Never
    /// empty, and never what is among the chosen already.
    Needs(Vec<Need>),
    /// All is known.
    Complete {
        /// What is to be there: all that the desired state asks for and what that needs, each once, with dependencies
        /// before their dependents and else by name.
        order: Vec<&'c Chosen>,
        /// Dependencies that nothing among the chosen meets, each with the artifact that has it; only in [`Mode::Check`].
        left_to_host: Vec<(Dependency, ArtifactName)>,
        /// Why alternatives come, where what is named first cannot: the conflicts that this ends in.
        instead: Vec<Conflict>,
    },
}

/// Settles which artifacts there are to be. Asks nobody: what is not known yet comes back as [`Settled::Needs`].
///
/// `chosen` are the artifacts of the desired state, each name once, and every answer to a need so far; answers that turn
/// out not to be needed do no harm, and dropping one makes its need come up again. `floor` has the versions that the
/// previous lock or the host has: nothing comes in a lower version of the same major.
///
/// Each call that returns needs asks for something new, and after some hundreds of answers no call does, so the calls end.
///
/// # Errors
/// All conflicts of the first combination, when none was found without one. There is none then, unless a conflict says
/// that there was more to try than is tried.
pub fn settle<'c>(
    chosen: &'c [Chosen],
    mode: Mode,
    floor: &BTreeMap<ArtifactName, Version>,
) -> Result<Settled<'c>, Vec<Conflict>> {
    let mut failed: Option<(Vec<Conflict>, bool)> = None;
    let has_choice = chosen.iter().flat_map(|chosen| &chosen.dependencies).any(|one| !one.alternatives.is_empty());
    for brings in [Brings::Names, Brings::Alternatives] {
        if brings == Brings::Alternatives && (mode == Mode::Check || !has_choice) {
            break;
        }
        match (Search { chosen, mode, floor, brings }).run() {
            Found::Missing(needs) => return within_bounds(chosen, needs),
            Found::Answer { order, left_to_host } => {
                let instead = failed.map(|(conflicts, _)| conflicts).unwrap_or_default();
                return Ok(Settled::Complete { order, left_to_host, instead });
            }
            Found::Nothing { conflicts, is_all } => {
                let earlier = failed.take();
                let was_all = earlier.as_ref().is_none_or(|(_, was_all)| *was_all);
                failed = Some((earlier.map_or(conflicts, |(first, _)| first), was_all && is_all));
            }
        }
    }
    let (mut conflicts, is_all) = failed.unwrap_or_default();
    if !is_all && has_choice {
        conflicts.extend(conflicts.first().map(Conflict::and_more_to_try));
    }
    Err(conflicts)
}

fn within_bounds(chosen: &[Chosen], needs: Vec<Need>) -> Result<Settled<'_>, Vec<Conflict>> {
    let answers = chosen.iter().filter(|chosen| chosen.asked_by.need().is_some()).count();
    match needs.first() {
        Some(first) if answers + needs.len() > ANSWERS => Err(alloc::vec![Conflict::without_end(first)]),
        _ => Ok(Settled::Needs(needs)),
    }
}

#[cfg(test)]
pub(crate) mod tests;
