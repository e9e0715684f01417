//! What artifacts need of each other: which further artifacts have to come, in which version, and in which order.
//!
//! The rules are those of falcoctl (`cmd/artifact/install/deps.go`): a dependency is met by its name or by the first of its
//! alternatives that is there, in the same major version and not lower; one that is not there comes in the lowest version
//! that will do. What falcoctl gets wrong is put right: what is locked or installed is never lowered; what only a replaced
//! version needed does not stay; an alternative that is raised brings its own dependencies; the answer does not hang on
//! the order in which artifacts are looked at; and where the name itself is there, it decides, even when an alternative
//! is there too, because Falco has it so (`userspace/engine/falco_engine.cpp`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use semver::Version;

use crate::artifact::Dependency;
use crate::finding::Location;
use crate::name::ArtifactName;
use state::{State, Step};

pub use conflict::{Chain, Conflict, Link};

mod conflict;
mod order;
mod state;

/// How many combinations may end in conflicts before giving up. Only a dependency with alternatives leaves a choice, and
/// real artifacts have few of them.
const DEAD_ENDS: usize = 500;

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
    /// Look these up, add them to the chosen as [`AskedBy::Dependency`] and settle again. Never empty, and never what is
    /// among the chosen already.
    Needs(Vec<Need>),
    /// All is known.
    Complete {
        /// What is to be there: all that the desired state asks for and what that needs, each once, with dependencies
        /// before their dependents and else by name.
        order: Vec<&'c Chosen>,
        /// Dependencies that nothing among the chosen meets, each with the artifact that has it; only in [`Mode::Check`].
        left_to_host: Vec<(Dependency, ArtifactName)>,
    },
}

/// Settles which artifacts there are to be. Asks nobody: what is not known yet comes back as [`Settled::Needs`].
///
/// `chosen` are the artifacts of the desired state, each name once, and every answer to a need so far; answers that turn
/// out not to be needed do no harm, and dropping one makes its need come up again. `floor` has the versions that the
/// previous lock or the host has: nothing comes in a lower version of the same major.
///
/// Each call that returns needs asks for something new, so the calls end when what can be looked up does.
///
/// # Errors
/// All conflicts of the first combination when none was found without one. Without alternatives there is none then; with
/// alternatives not every order in which artifacts could come is tried, and naming one in the desired state decides.
pub fn settle<'c>(
    chosen: &'c [Chosen],
    mode: Mode,
    floor: &BTreeMap<ArtifactName, Version>,
) -> Result<Settled<'c>, Vec<Conflict>> {
    let mut open = alloc::vec![State::new(chosen)];
    let mut first_conflicts = None;
    let mut dead_ends = 0;
    while let Some(mut state) = open.pop().filter(|_| dead_ends < DEAD_ENDS) {
        let missing = state.add_pending(chosen);
        if !missing.is_empty() {
            return Ok(Settled::Needs(missing));
        }
        let conflicts = match state.step(mode, floor) {
            Step::Branch(mut states) => {
                states.reverse();
                open.extend(states);
                continue;
            }
            Step::Conflicts(conflicts) => conflicts,
            Step::Done { left_to_host } => match order::order(&state.members) {
                Ok(order) => return Ok(Settled::Complete { order, left_to_host }),
                Err(conflicts) => conflicts,
            },
        };
        first_conflicts.get_or_insert(conflicts);
        dead_ends += 1;
    }
    Err(first_conflicts.unwrap_or_default())
}

#[cfg(test)]
pub(crate) mod tests;
