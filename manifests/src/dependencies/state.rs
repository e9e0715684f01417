//! One combination of artifacts on the way to all that is needed.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use semver::Version;

use super::absent::{Absent, Coming};
use super::conflict::{Chain, Clash, Conflict, Link};
use super::member::{Fit, Member, Members, Reason, deciding, wrong_answers};
use super::{AskedBy, Chosen, Mode, Need};
use crate::artifact::Dependency;
use crate::name::ArtifactName;
use crate::version;

/// The lowest versions that will do, by name and major.
pub(super) type Lowest = BTreeMap<(ArtifactName, u64), Version>;

/// What may come for a dependency for which nothing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Brings {
    /// The name itself, as with falcoctl.
    Names,
    /// The alternatives too, after the name itself.
    Alternatives,
}

/// A combination of artifacts.
#[derive(Clone)]
pub(super) struct State<'c> {
    /// What is there.
    pub(super) members: Members<'c>,
    /// Versions that names come in at least, because they turned out to be needed once the name was there in a lower one.
    raised: Lowest,
    /// What is to be added first.
    pending: Vec<Coming<'c>>,
}

/// Where a combination leads.
pub(super) enum Step<'c> {
    /// To these, the best first.
    Branch(Vec<State<'c>>),
    /// Nowhere.
    Conflicts(Vec<Conflict>),
    /// Nothing is missing.
    Done { left_to_host: Vec<(Dependency, ArtifactName)>, needed: Lowest },
}

/// What there is to say of a combination.
#[derive(Default)]
struct View<'c> {
    /// Conflicts that stay whatever else comes.
    lasting: Vec<Conflict>,
    /// Conflicts that end when an earlier name of a dependency comes.
    passing: Vec<Conflict>,
    /// What is there in too low a version, with the one that would do and whether that stays so whatever else comes.
    low: BTreeMap<(ArtifactName, u64), (Version, bool)>,
    absent: Absent<'c>,
    needed: Lowest,
    left_to_host: Vec<(Dependency, ArtifactName)>,
}

impl<'c> State<'c> {
    pub(super) fn new(chosen: &'c [Chosen]) -> Self {
        Self::above(chosen, Lowest::new())
    }

    /// What the desired state asks for, where what comes is to come in these versions at least.
    pub(super) fn above(chosen: &'c [Chosen], raised: Lowest) -> Self {
        let mut members = Members::new();
        for chosen in chosen.iter().filter(|chosen| matches!(chosen.asked_by, AskedBy::DesiredState(_))) {
            members.entry(chosen.name.as_str()).or_insert(Member { chosen, came_for: None });
        }
        Self { members, raised, pending: Vec::new() }
    }

    /// What tells this combination from others.
    pub(super) fn key(&self) -> (Vec<(&'c str, Option<&'c Version>)>, Lowest) {
        let at_least = |member: &Member<'c>| member.chosen.asked_by.need().map(|need| &need.at_least);
        (self.members.iter().map(|(name, member)| (*name, at_least(member))).collect(), self.raised.clone())
    }

    pub(super) fn names(&self) -> Vec<&'c str> {
        self.members.keys().copied().collect()
    }

    /// Adds what is pending, and returns what of it is not known.
    pub(super) fn add_pending(&mut self, chosen: &'c [Chosen]) -> Vec<Need> {
        let mut missing = Vec::new();
        for Coming { name, at_least, reason } in core::mem::take(&mut self.pending) {
            let answers = |chosen: &&Chosen| {
                let need = chosen.asked_by.need();
                need.is_some_and(|need| need.name == name && need.at_least.cmp_precedence(&at_least) == Ordering::Equal)
            };
            match chosen.iter().find(answers) {
                None => missing.push(Need { name, at_least, needed_by: reason.chain(&self.members) }),
                Some(chosen) => {
                    self.members.insert(reason.name, Member { chosen, came_for: Some(reason) });
                }
            }
        }
        missing
    }

    /// Where this combination leads. What can only be put right by a higher version from the beginning comes first,
    /// because that may take conflicts away. All that must come in any case comes before anything else, because it could
    /// be what decides; then what could come; then each thing alone, because what comes first may keep others away.
    pub(super) fn step(&self, mode: Mode, floor: &BTreeMap<ArtifactName, Version>, brings: Brings) -> Step<'c> {
        let wrong = wrong_answers(&self.members);
        if !wrong.is_empty() {
            return Step::Conflicts(wrong);
        }
        let View { mut lasting, mut passing, low, absent, needed, left_to_host } = self.view(mode);
        let raises = || low.iter().map(|(name, (version, _))| self.raise(name, version));
        if low.values().any(|(_, lasts)| *lasts) {
            return Step::Branch(raises().collect());
        }
        let alternatives = if brings == Brings::Alternatives { absent.alternatives() } else { Vec::new() };
        let (firm, soft) = absent.coming(&mut lasting, &mut passing);
        let with = |coming: &[Coming<'c>]| self.with(coming, floor);
        let mut states: Vec<Self> = (!firm.is_empty()).then(|| with(&firm)).into_iter().collect();
        states.extend(raises());
        if lasting.is_empty() {
            states.extend(soft.chunks(1).map(with));
            states.extend(alternatives.chunks(1).map(with));
            if firm.len() > 1 {
                states.extend(firm.chunks(1).map(with));
            }
        }
        lasting.append(&mut passing);
        match (states.is_empty(), lasting.is_empty()) {
            (false, _) => Step::Branch(states),
            (true, false) => Step::Conflicts(lasting),
            (true, true) => Step::Done { left_to_host, needed },
        }
    }

    /// Looks at every dependency of every member.
    fn view(&self, mode: Mode) -> View<'c> {
        let mut view = View::default();
        for member in self.members.values() {
            let needer = member.chosen;
            for dependency in &needer.dependencies {
                match (deciding(&self.members, dependency), mode) {
                    (Some((place, name, at_least)), _) => {
                        self.check(Reason { needer, name, at_least }, place == 0, &mut view);
                    }
                    (None, Mode::Check) => view.left_to_host.push((dependency.clone(), needer.name.clone())),
                    (None, Mode::Install) => {
                        let conflict = view.absent.add(needer, dependency, &self.members);
                        let lasts = dependency.alternatives.is_empty();
                        if lasts { &mut view.lasting } else { &mut view.passing }.extend(conflict);
                    }
                }
            }
        }
        view
    }

    /// Looks at what decides a dependency.
    fn check(&self, reason: Reason<'c>, lasts: bool, view: &mut View<'c>) {
        let conflicts = if lasts { &mut view.lasting } else { &mut view.passing };
        let Some(at_least) = version::tolerant(reason.at_least) else {
            conflicts.push(Conflict { chain: reason.chain(&self.members), clash: Clash::NoVersion });
            return;
        };
        let Some(present) = self.members.get(reason.name) else { return };
        if present.chosen.name == reason.needer.name {
            // Another version of it may come for somebody else, but never for this.
            let link = Link::new(reason.needer, reason.name, reason.at_least);
            let chain = Chain { links: alloc::vec![link], at: present.place(&self.members) };
            conflicts.push(Conflict { chain, clash: Clash::Circle });
            return;
        }
        let key = (present.chosen.name.clone(), at_least.major);
        match present.fits(&at_least) {
            Fit::Meets => {
                let lowest = view.needed.entry(key).or_insert_with(|| at_least.clone());
                *lowest = version::higher(lowest, &at_least).clone();
            }
            Fit::CanBeRaised => {
                let (lowest, stays) = view.low.entry(key).or_insert_with(|| (at_least.clone(), lasts));
                *lowest = version::higher(lowest, &at_least).clone();
                *stays |= lasts;
            }
            Fit::Clashes => {
                let clash = present.clash(&self.members);
                conflicts.push(Conflict { chain: reason.chain(&self.members), clash });
            }
        }
    }

    /// Starts again, with a higher version of one name from the beginning, so that nothing stays that only the lower
    /// version needed.
    fn raise(&self, name: &(ArtifactName, u64), at_least: &Version) -> Self {
        let mut raised = self.raised.clone();
        raised.insert(name.clone(), at_least.clone());
        let mut members = self.members.clone();
        members.retain(|_, member| member.came_for.is_none());
        Self { members, raised, pending: Vec::new() }
    }

    /// This, once these have come.
    fn with(&self, coming: &[Coming<'c>], floor: &BTreeMap<ArtifactName, Version>) -> Self {
        let pending = coming.iter().cloned().map(|mut coming| {
            let raised = self.raised.get(&(coming.name.clone(), coming.at_least.major));
            let floor = floor.get(&coming.name).filter(|floor| floor.major == coming.at_least.major);
            for other in raised.into_iter().chain(floor) {
                coming.at_least = version::higher(&coming.at_least, other).clone();
            }
            coming
        });
        Self { pending: pending.collect(), ..self.clone() }
    }

    /// Whether something that came is not needed, or stands higher than `needed` and the floor have it.
    pub(super) fn stands_high(&self, needed: &Lowest, floor: &BTreeMap<ArtifactName, Version>) -> bool {
        let needs = self.members.values().filter_map(|member| member.chosen.asked_by.need());
        needs.into_iter().any(|need| {
            let Some(lowest) = needed.get(&(need.name.clone(), need.at_least.major)) else { return true };
            let floor = floor.get(&need.name).filter(|floor| floor.major == need.at_least.major);
            [lowest].into_iter().chain(floor).all(|other| other.cmp_precedence(&need.at_least) == Ordering::Less)
        })
    }
}
