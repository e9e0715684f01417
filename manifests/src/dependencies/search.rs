//! Tries combinations, the best first, until one will do.
//!
//! What can differ between combinations is the order in which artifacts come, because a dependency for which an
//! alternative is there brings nothing, and how high a version is to be from the beginning. Every combination is looked
//! at once; what is tried is bounded, because there can be exponentially many.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use semver::Version;

use super::conflict::Conflict;
use super::order::order;
use super::state::{Brings, Lowest, State, Step};
use super::{Chosen, Mode, Need};
use crate::artifact::Dependency;
use crate::name::ArtifactName;

/// How many combinations are looked at. Real artifacts need a few.
pub(super) const COMBINATIONS: usize = 2000;

/// What is searched, and how.
pub(super) struct Search<'c, 'f> {
    pub(super) chosen: &'c [Chosen],
    pub(super) mode: Mode,
    pub(super) floor: &'f BTreeMap<ArtifactName, Version>,
    pub(super) brings: Brings,
}

/// What was found.
pub(super) enum Found<'c> {
    /// These are to be looked up first.
    Missing(Vec<Need>),
    /// This will do.
    Answer { order: Vec<&'c Chosen>, left_to_host: Vec<(Dependency, ArtifactName)> },
    /// Nothing will do: the conflicts of what was tried first, and whether all was tried.
    Nothing { conflicts: Vec<Conflict>, is_all: bool },
}

/// What would do, though something in it stands higher than anybody needs.
struct Second<'c> {
    order: Vec<&'c Chosen>,
    left_to_host: Vec<(Dependency, ArtifactName)>,
    names: Vec<&'c str>,
}

impl<'c> Search<'c, '_> {
    pub(super) fn run(&self) -> Found<'c> {
        let mut open = alloc::vec![State::new(self.chosen)];
        let mut seen = BTreeSet::new();
        let mut first_conflicts = None;
        let mut second: Option<Second<'c>> = None;
        while let Some(mut state) = open.pop() {
            let missing = state.add_pending(self.chosen);
            if !missing.is_empty() {
                return Found::Missing(missing);
            }
            if seen.len() >= COMBINATIONS {
                return nothing_or(second, first_conflicts, false);
            }
            if !seen.insert(state.key()) {
                continue;
            }
            match state.step(self.mode, self.floor, self.brings) {
                Step::Branch(mut states) => {
                    states.reverse();
                    open.extend(states);
                }
                Step::Conflicts(conflicts) => drop(first_conflicts.get_or_insert(conflicts)),
                Step::Done { left_to_host, needed } => match order(&state.members) {
                    Err(circle) => drop(first_conflicts.get_or_insert(alloc::vec![circle])),
                    Ok(order) => match self.lower(&state, &needed) {
                        // Once something would do, only the same in lower versions is better.
                        None if second.as_ref().is_none_or(|second| second.names == state.names()) => {
                            return Found::Answer { order, left_to_host };
                        }
                        None => {}
                        Some(lower) => {
                            let names = state.names();
                            second.get_or_insert(Second { order, left_to_host, names });
                            open.push(lower);
                        }
                    },
                },
            }
        }
        nothing_or(second, first_conflicts, true)
    }

    /// Where to look for the same in lower versions, when something stands higher than `needed` and the floor have it.
    fn lower(&self, state: &State<'c>, needed: &Lowest) -> Option<State<'c>> {
        state.stands_high(needed, self.floor).then(|| State::above(self.chosen, needed.clone()))
    }
}

fn nothing_or<'c>(second: Option<Second<'c>>, conflicts: Option<Vec<Conflict>>, is_all: bool) -> Found<'c> {
    match second {
        Some(Second { order, left_to_host, .. }) => Found::Answer { order, left_to_host },
        None => Found::Nothing { conflicts: conflicts.unwrap_or_default(), is_all },
    }
}
