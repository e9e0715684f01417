//! One artifact of a combination.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use semver::Version;

use super::conflict::{Chain, Clash, Conflict, Link};
use super::{AskedBy, Chosen};
use crate::artifact::Dependency;
use crate::finding::Location;
use crate::version;

/// The artifacts that are there, by name.
pub(super) type Members<'c> = BTreeMap<&'c str, Member<'c>>;

/// An artifact that is there.
#[derive(Clone, Copy)]
pub(super) struct Member<'c> {
    pub(super) chosen: &'c Chosen,
    /// Why it came; `None` for what the desired state asks for.
    pub(super) came_for: Option<Reason<'c>>,
}

/// One name of a dependency of an artifact that is there.
#[derive(Clone, Copy)]
pub(super) struct Reason<'c> {
    pub(super) needer: &'c Chosen,
    pub(super) name: &'c str,
    pub(super) at_least: &'c str,
}

/// Whether a member will do for a dependency.
pub(super) enum Fit {
    Meets,
    CanBeRaised,
    Clashes,
}

/// The name and version that decide whether a dependency is met: those of the first of its names that is there; before
/// them how many names are not.
pub(super) fn deciding<'d>(members: &Members<'_>, dependency: &'d Dependency) -> Option<(usize, &'d str, &'d str)> {
    let mut all = dependency.names().enumerate().map(|(place, (name, version))| (place, name, version));
    all.find(|(_, name, _)| members.contains_key(name))
}

impl Reason<'_> {
    /// Who needs what, from the desired state down to here.
    pub(super) fn chain(&self, members: &Members<'_>) -> Chain {
        let mut links = alloc::vec![Link::new(self.needer, self.name, self.at_least)];
        let mut needer = self.needer;
        // What came, came for something that was there: this ends at what the desired state asks for.
        while let Some(reason) = members.get(needer.name.as_str()).and_then(|member| member.came_for) {
            links.push(Link::new(reason.needer, reason.name, reason.at_least));
            needer = reason.needer;
        }
        links.reverse();
        Chain { links, at: place(needer) }
    }
}

/// Where the desired state asks for it.
fn place(root: &Chosen) -> Location {
    match &root.asked_by {
        AskedBy::DesiredState(at) => at.clone(),
        AskedBy::Dependency(need) | AskedBy::Nowhere { need, .. } => need.needed_by.at.clone(),
    }
}

impl Member<'_> {
    /// The entry of the desired state that it is there for.
    pub(super) fn place(&self, members: &Members<'_>) -> Location {
        self.came_for.map_or_else(|| place(self.chosen), |reason| reason.chain(members).at)
    }

    pub(super) fn fits(&self, at_least: &Version) -> Fit {
        match &self.chosen.version {
            Some(version) if version::meets(version, at_least) => Fit::Meets,
            Some(version) if version.major == at_least.major && self.came_for.is_some() => Fit::CanBeRaised,
            _ => Fit::Clashes,
        }
    }

    pub(super) fn clash(&self, members: &Members<'_>) -> Clash {
        match self.came_for {
            None => Clash::DesiredState { version: self.chosen.version.clone(), at: place(self.chosen) },
            Some(reason) => Clash::Other(reason.chain(members)),
        }
    }

    /// An answer that is not what was looked up.
    pub(super) fn wrong_answer(&self, members: &Members<'_>) -> Option<Conflict> {
        let version = self.chosen.version.as_ref();
        let clash = match &self.chosen.asked_by {
            AskedBy::DesiredState(_) => return None,
            AskedBy::Nowhere { why, .. } => Clash::Nowhere(why.clone()),
            AskedBy::Dependency(need) if version.is_some_and(|version| version::meets(version, &need.at_least)) => {
                return None;
            }
            AskedBy::Dependency(need) => Clash::Answer { asked: need.at_least.clone(), version: version.cloned() },
        };
        Some(Conflict { chain: self.came_for?.chain(members), clash })
    }
}

/// All answers that are not what was looked up.
pub(super) fn wrong_answers(members: &Members<'_>) -> Vec<Conflict> {
    members.values().filter_map(|member| member.wrong_answer(members)).collect()
}
