//! One combination of artifacts on the way to all that is needed.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use semver::Version;

use super::conflict::{Chain, Clash, Conflict};
use super::{AskedBy, Chosen, Mode, Need};
use crate::artifact::Dependency;
use crate::name::ArtifactName;
use crate::version;

/// The lowest versions that will do, by name and major.
type Lowest = BTreeMap<(ArtifactName, u64), Version>;

/// A combination of artifacts.
#[derive(Clone)]
pub(super) struct State<'c> {
    /// What is there.
    pub(super) members: BTreeMap<ArtifactName, Member<'c>>,
    /// What the desired state asks for: where all starts again when something is raised.
    roots: BTreeMap<ArtifactName, Member<'c>>,
    /// Versions that turned out to be needed once the name was there in a lower one.
    raised: Lowest,
    /// With which `raised` all was tried again because something stood higher than anybody needs.
    lowered: Vec<Lowest>,
    /// Whether this combination is taken as it is.
    is_final: bool,
    /// What is to be added first.
    pending: Vec<Need>,
}

/// An artifact that is there.
#[derive(Clone)]
pub(super) struct Member<'c> {
    pub(super) chosen: &'c Chosen,
    /// Who needs it; without links for what the desired state asks for.
    pub(super) chain: Chain,
}

/// Where a combination leads.
pub(super) enum Step<'c> {
    /// To these, the best first.
    Branch(Vec<State<'c>>),
    /// Nowhere.
    Conflicts(Vec<Conflict>),
    /// Nothing is missing.
    Done { left_to_host: Vec<(Dependency, ArtifactName)> },
}

/// The name and version that decide whether a dependency is met: those of the first of its names that is there.
pub(super) fn deciding(dependency: &Dependency, is_there: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
    core::iter::once((dependency.name.as_str(), dependency.version.as_str()))
        .chain(dependency.alternatives.iter().map(|other| (other.name.as_str(), other.version.as_str())))
        .find(|(name, _)| is_there(name))
}

/// The member of that name, which need not be well-formed.
pub(super) fn find<'m, 'c>(members: &'m BTreeMap<ArtifactName, Member<'c>>, name: &str) -> Option<&'m Member<'c>> {
    members.get(&ArtifactName::parse(name).ok()?)
}

impl<'c> State<'c> {
    pub(super) fn new(chosen: &'c [Chosen]) -> Self {
        let mut roots = BTreeMap::new();
        for chosen in chosen {
            if let AskedBy::DesiredState(at) = &chosen.asked_by {
                let chain = Chain { links: Vec::new(), at: at.clone() };
                roots.entry(chosen.name.clone()).or_insert(Member { chosen, chain });
            }
        }
        let (raised, lowered) = (BTreeMap::new(), Vec::new());
        Self { members: roots.clone(), roots, raised, lowered, is_final: false, pending: Vec::new() }
    }

    /// Adds what is pending, and returns what of it is not known.
    pub(super) fn add_pending(&mut self, chosen: &'c [Chosen]) -> Vec<Need> {
        let mut missing = Vec::new();
        for need in core::mem::take(&mut self.pending) {
            let answers = |chosen: &&Chosen| match &chosen.asked_by {
                AskedBy::DesiredState(_) => false,
                AskedBy::Dependency(answered) => {
                    answered.name == need.name && answered.at_least.cmp_precedence(&need.at_least) == Ordering::Equal
                }
            };
            match chosen.iter().find(answers) {
                None => missing.push(need),
                Some(chosen) => {
                    self.members.insert(need.name, Member { chosen, chain: need.needed_by });
                }
            }
        }
        missing
    }

    /// Looks at every dependency of every member. What is to be raised comes first, because it may take conflicts away;
    /// what is missing comes next, for the same reason; conflicts come last. An alternative is raised only when nothing
    /// must come in any case, because that could be the name itself.
    pub(super) fn step(&self, mode: Mode, floor: &BTreeMap<ArtifactName, Version>) -> Step<'c> {
        let wrong: Vec<Conflict> = self.members.values().filter_map(wrong_answer).collect();
        if !wrong.is_empty() {
            return Step::Conflicts(wrong);
        }
        let mut conflicts = Vec::new();
        let mut needed = Lowest::new();
        let mut absent = Absent::default();
        let mut alternative = None;
        let mut left_to_host = Vec::new();
        for (needer, member) in &self.members {
            for dependency in &member.chosen.dependencies {
                let Some((name, at_least)) = deciding(dependency, |name| find(&self.members, name).is_some()) else {
                    match mode {
                        Mode::Check => left_to_host.push((dependency.clone(), needer.clone())),
                        Mode::Install => conflicts.extend(absent.add(member, dependency)),
                    }
                    continue;
                };
                let chain = member.chain.and(member.chosen, name, at_least);
                let Some(at_least) = version::tolerant(at_least) else {
                    conflicts.push(Conflict { chain, clash: Clash::NoVersion });
                    continue;
                };
                let Some(present) = find(&self.members, name) else { continue };
                match present.fits(&at_least) {
                    Fit::Meets => {
                        let lowest =
                            needed.entry((present.chosen.name.clone(), at_least.major)).or_insert(at_least.clone());
                        *lowest = version::higher(lowest, &at_least).clone();
                    }
                    Fit::CanBeRaised if name == dependency.name => return self.raise(&present.chosen.name, at_least),
                    Fit::CanBeRaised => alternative = alternative.or(Some((&present.chosen.name, at_least))),
                    Fit::Clashes => conflicts.push(Conflict { chain, clash: present.clash() }),
                }
            }
        }
        let firm = absent.0.values().any(|wanted| !wanted.has_alternatives && wanted.clash.is_none());
        if let Some((name, at_least)) = alternative.filter(|_| !firm) {
            return self.raise(name, at_least);
        }
        let branches = self.branches(absent, floor, &mut conflicts);
        match (branches.is_empty(), conflicts.is_empty()) {
            (false, _) => Step::Branch(branches),
            (true, false) => Step::Conflicts(conflicts),
            (true, true) => match self.lower(&needed, floor) {
                Some(lower) => Step::Branch(alloc::vec![lower, Self { is_final: true, ..self.clone() }]),
                None => Step::Done { left_to_host },
            },
        }
    }

    /// Starts again, with a higher version of one name from the beginning, so that nothing stays that only the lower
    /// version needed.
    fn raise(&self, name: &ArtifactName, at_least: Version) -> Step<'c> {
        let mut raised = self.raised.clone();
        raised.insert((name.clone(), at_least.major), at_least);
        let roots = self.roots.clone();
        let lowered = self.lowered.clone();
        Step::Branch(alloc::vec![Self {
            members: roots.clone(),
            roots,
            raised,
            lowered,
            is_final: false,
            pending: Vec::new()
        }])
    }

    /// A combination without what only a replaced version raised, when something stands higher than `needed` and the floor
    /// have it.
    fn lower(&self, needed: &Lowest, floor: &BTreeMap<ArtifactName, Version>) -> Option<Self> {
        let stands_high = self.members.values().any(|member| match &member.chosen.asked_by {
            AskedBy::DesiredState(_) => false,
            AskedBy::Dependency(need) => {
                let lowest = needed.get(&(need.name.clone(), need.at_least.major));
                let floor = floor.get(&need.name).filter(|floor| floor.major == need.at_least.major);
                lowest.into_iter().chain(floor).all(|other| other.cmp_precedence(&need.at_least) == Ordering::Less)
            }
        });
        if self.is_final || !stands_high || self.lowered.contains(needed) {
            return None;
        }
        let mut lowered = self.lowered.clone();
        lowered.push(needed.clone());
        let roots = self.roots.clone();
        Some(Self {
            members: roots.clone(),
            roots,
            raised: needed.clone(),
            lowered,
            is_final: false,
            pending: Vec::new(),
        })
    }

    /// The ways to go on: with all that must come in any case, then with each of those for which an alternative could
    /// still come.
    fn branches(
        &self,
        absent: Absent,
        floor: &BTreeMap<ArtifactName, Version>,
        conflicts: &mut Vec<Conflict>,
    ) -> Vec<Self> {
        let mut firm = Vec::new();
        let mut soft = Vec::new();
        for (_, Wanted { mut need, has_alternatives, clash }) in absent.0 {
            if let Some(clash) = clash {
                conflicts.push(clash);
                continue;
            }
            let raised = self.raised.get(&(need.name.clone(), need.at_least.major));
            let floor = floor.get(&need.name).filter(|floor| floor.major == need.at_least.major);
            for other in raised.into_iter().chain(floor) {
                need.at_least = version::higher(&need.at_least, other).clone();
            }
            if has_alternatives { soft.push(alloc::vec![need]) } else { firm.push(need) }
        }
        let firm = (!firm.is_empty()).then_some(firm);
        firm.into_iter().chain(soft).map(|pending| Self { pending, ..self.clone() }).collect()
    }
}

/// Whether a member will do for a dependency.
enum Fit {
    Meets,
    CanBeRaised,
    Clashes,
}

impl Member<'_> {
    fn is_asked_for(&self) -> bool {
        matches!(self.chosen.asked_by, AskedBy::DesiredState(_))
    }

    fn fits(&self, at_least: &Version) -> Fit {
        match &self.chosen.version {
            Some(version) if version::meets(version, at_least) => Fit::Meets,
            Some(version) if version.major == at_least.major && !self.is_asked_for() => Fit::CanBeRaised,
            _ => Fit::Clashes,
        }
    }

    fn clash(&self) -> Clash {
        let version = self.chosen.version.clone();
        match self.is_asked_for() {
            true => Clash::DesiredState { version, at: self.chain.at.clone() },
            false => Clash::Other(self.chain.clone()),
        }
    }
}

/// An answer that is not what was looked up.
fn wrong_answer(member: &Member<'_>) -> Option<Conflict> {
    let AskedBy::Dependency(need) = &member.chosen.asked_by else { return None };
    let version = member.chosen.version.as_ref();
    if version.is_some_and(|version| version::meets(version, &need.at_least)) {
        return None;
    }
    let clash = Clash::Answer { asked: need.at_least.clone(), version: version.cloned() };
    Some(Conflict { chain: member.chain.clone(), clash })
}

/// What is not there, by name: the name itself comes, never an alternative, as with falcoctl.
#[derive(Default)]
struct Absent(BTreeMap<ArtifactName, Wanted>);

struct Wanted {
    need: Need,
    /// Whether an alternative would do for all who need it.
    has_alternatives: bool,
    clash: Option<Conflict>,
}

impl Absent {
    /// Adds what a dependency wants; returns why it cannot come, when its name or version is none.
    fn add(&mut self, member: &Member<'_>, dependency: &Dependency) -> Option<Conflict> {
        let chain = member.chain.and(member.chosen, &dependency.name, &dependency.version);
        let Ok(name) = ArtifactName::parse(&dependency.name) else {
            return Some(Conflict { chain, clash: Clash::NoName });
        };
        let Some(at_least) = version::tolerant(&dependency.version) else {
            return Some(Conflict { chain, clash: Clash::NoVersion });
        };
        let has_alternatives = !dependency.alternatives.is_empty();
        let Some(wanted) = self.0.get_mut(&name) else {
            let need = Need { name: name.clone(), at_least, needed_by: chain };
            self.0.insert(name, Wanted { need, has_alternatives, clash: None });
            return None;
        };
        wanted.has_alternatives &= has_alternatives;
        if wanted.need.at_least.major != at_least.major {
            wanted.clash.get_or_insert(Conflict { chain, clash: Clash::Other(wanted.need.needed_by.clone()) });
        } else if !version::meets(&wanted.need.at_least, &at_least) {
            wanted.need = Need { name, at_least, needed_by: chain };
        }
        None
    }
}
