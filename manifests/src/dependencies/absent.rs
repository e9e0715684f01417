//! What is needed and not there.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use semver::Version;

use super::Chosen;
use super::conflict::{Clash, Conflict};
use super::member::{Members, Reason};
use crate::artifact::Dependency;
use crate::name::ArtifactName;
use crate::version;

/// Dependencies for which nothing is there.
#[derive(Default)]
pub(super) struct Absent<'c> {
    /// By the name itself.
    wanted: BTreeMap<ArtifactName, Wanted<'c>>,
    /// What would do instead, in the order in which it counts.
    alternatives: Vec<Coming<'c>>,
}

/// Something that is to come.
#[derive(Clone)]
pub(super) struct Coming<'c> {
    pub(super) name: ArtifactName,
    pub(super) at_least: Version,
    pub(super) reason: Reason<'c>,
}

struct Wanted<'c> {
    coming: Coming<'c>,
    /// Whether an alternative would do for all who need it.
    has_alternatives: bool,
    clash: Option<Conflict>,
}

impl<'c> Absent<'c> {
    /// Adds what a dependency wants; returns why it cannot come, when its name or version is none.
    pub(super) fn add(
        &mut self,
        needer: &'c Chosen,
        dependency: &'c Dependency,
        members: &Members<'c>,
    ) -> Option<Conflict> {
        let mut all = dependency.names().map(|(name, at_least)| coming(Reason { needer, name, at_least }, members));
        let first = all.next();
        self.alternatives.extend(all.filter_map(Result::ok));
        match first? {
            Ok(first) => {
                self.want(first, !dependency.alternatives.is_empty(), members);
                None
            }
            Err(conflict) => Some(conflict),
        }
    }

    fn want(&mut self, coming: Coming<'c>, has_alternatives: bool, members: &Members<'c>) {
        let Some(wanted) = self.wanted.get_mut(&coming.name) else {
            self.wanted.insert(coming.name.clone(), Wanted { coming, has_alternatives, clash: None });
            return;
        };
        wanted.has_alternatives &= has_alternatives;
        if wanted.coming.at_least.major != coming.at_least.major {
            let clash = Clash::Other(wanted.coming.reason.chain(members));
            wanted.clash.get_or_insert(Conflict { chain: coming.reason.chain(members), clash });
        } else if !version::meets(&wanted.coming.at_least, &coming.at_least) {
            wanted.coming = coming;
        }
    }

    /// The names that must come in any case, and those for which an alternative could still come. Of a name that is needed
    /// in two majors neither comes.
    pub(super) fn coming(
        self,
        lasting: &mut Vec<Conflict>,
        passing: &mut Vec<Conflict>,
    ) -> (Vec<Coming<'c>>, Vec<Coming<'c>>) {
        let (mut firm, mut soft) = (Vec::new(), Vec::new());
        for Wanted { coming, has_alternatives, clash } in self.wanted.into_values() {
            match (clash, has_alternatives) {
                (Some(clash), true) => passing.push(clash),
                (Some(clash), false) => lasting.push(clash),
                (None, true) => soft.push(coming),
                (None, false) => firm.push(coming),
            }
        }
        (firm, soft)
    }

    /// What could come instead of the names, the best first.
    pub(super) fn alternatives(&self) -> Vec<Coming<'c>> {
        self.alternatives.clone()
    }
}

fn coming<'c>(reason: Reason<'c>, members: &Members<'c>) -> Result<Coming<'c>, Conflict> {
    let wrong = |clash| Conflict { chain: reason.chain(members), clash };
    let name = ArtifactName::parse(reason.name).map_err(|_| wrong(Clash::NoName))?;
    let at_least = version::tolerant(reason.at_least).ok_or_else(|| wrong(Clash::NoVersion))?;
    Ok(Coming { name, at_least, reason })
}
