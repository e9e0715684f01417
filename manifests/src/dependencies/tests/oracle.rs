//! A second answer to the same question, found by trying everything.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::version::{higher, meets, tolerant};

const NAMES: [&str; 4] = ["n0", "n1", "n2", "n3"];
const ROOTS: [&str; 2] = ["r0", "r1"];
const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "1.2.0", "2.0.0"];

type Floor = BTreeMap<ArtifactName, Version>;

/// Versions by name.
type Assignment<'w> = BTreeMap<&'w str, (Version, &'w [Dependency])>;

fn needs(dependency: &Dependency) -> Vec<(&str, Version)> {
    let alternatives = dependency.alternatives.iter().map(|other| (other.name.as_str(), other.version.as_str()));
    let all = core::iter::once((dependency.name.as_str(), dependency.version.as_str())).chain(alternatives);
    all.map(|(name, version)| (name, tolerant(version).unwrap())).collect()
}

/// Every need of every member with the name that decides it; `None` when nothing does.
fn decided<'a>(all: &'a Assignment<'_>) -> Vec<(&'a str, Option<(&'a str, Version)>)> {
    let of = |name: &'a str, dependency: &'a Dependency| {
        (name, needs(dependency).into_iter().find(|(name, _)| all.contains_key(name)))
    };
    all.iter().flat_map(|(name, (_, dependencies))| dependencies.iter().map(move |one| of(name, one))).collect()
}

fn is_met(all: &Assignment<'_>) -> bool {
    decided(all).iter().all(|(_, decider)| decider.as_ref().is_some_and(|(name, need)| meets(&all[name].0, need)))
}

fn has_no_circle(all: &Assignment<'_>) -> bool {
    let edges: Vec<_> = decided(all).into_iter().filter_map(|(from, to)| Some((from, to?.0))).collect();
    let mut left: BTreeSet<&str> = all.keys().copied().collect();
    while let Some(leaf) =
        left.iter().copied().find(|name| !edges.iter().any(|(from, to)| from == name && left.contains(to)))
    {
        left.remove(leaf);
    }
    left.is_empty()
}

/// Whether the members can have come one after the other, each for a dependency for which nothing was there yet and which
/// it meets: as its first name, or as any.
fn can_have_come(all: &Assignment<'_>, there: &BTreeSet<&str>, as_any: bool) -> bool {
    if there.len() == all.len() {
        return true;
    }
    let open = there.iter().flat_map(|name| all[name].1).map(needs);
    let open = open.filter(|needs| !needs.iter().any(|(name, _)| there.contains(name)));
    let bring = open.flat_map(|needs| needs.into_iter().take(if as_any { usize::MAX } else { 1 }));
    let bring = bring.filter_map(|(name, need)| all.get_key_value(name).filter(|(_, (have, _))| meets(have, &need)));
    let next: BTreeSet<&str> = bring.map(|(name, _)| *name).collect();
    next.into_iter().any(|name| {
        let mut there = there.clone();
        there.insert(name);
        can_have_come(all, &there, as_any)
    })
}

/// Whether nothing that came has a higher version than somebody needs or the floor has.
fn is_lowest(all: &Assignment<'_>, floor: &Floor) -> bool {
    let decided = decided(all);
    all.iter().filter(|(name, _)| !ROOTS.contains(name)).all(|(own, (version, _))| {
        let floor = floor.get(&name(own)).filter(|floor| floor.major == version.major);
        let needs = decided.iter().filter_map(|(_, decider)| decider.as_ref().filter(|(name, _)| name == own));
        let lowest = needs.map(|(_, need)| need).chain(floor).reduce(|a, b| higher(a, b));
        lowest == Some(version)
    })
}

fn assignments<'w>(world: &'w World, roots: &'w [Chosen]) -> Vec<Assignment<'w>> {
    let roots = roots.iter().map(|root| (root.name.as_str(), (root.version.clone().unwrap(), &root.dependencies[..])));
    let mut all = vec![roots.collect::<Assignment<'_>>()];
    for name in NAMES {
        for with_fewer in all.clone() {
            for version in VERSIONS {
                let dependencies = &world.0[&(name.to_string(), version.to_string())][..];
                let mut with_it = with_fewer.clone();
                with_it.insert(name, (tolerant(version).unwrap(), dependencies));
                all.push(with_it);
            }
        }
    }
    all
}

fn any_dependencies(on: Vec<&'static str>, most: usize, alternatives: usize) -> BoxedStrategy<Vec<Dependency>> {
    if on.is_empty() {
        return Just(Vec::new()).boxed();
    }
    let need = (prop::sample::select(on), prop::sample::select(VERSIONS.to_vec()))
        .prop_map(|(name, version)| Requirement { name: name.into(), version: version.into() });
    let dependency = (need.clone(), prop::collection::vec(need, 0..=alternatives))
        .prop_map(|(first, alternatives)| Dependency { name: first.name, version: first.version, alternatives });
    prop::collection::vec(dependency, 0..=most).boxed()
}

/// Names that may need each other in circles, or each only those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Needs {
    Anything,
    Earlier,
}

impl Needs {
    fn of(self, own: &str) -> Vec<&'static str> {
        let all = NAMES.into_iter().chain(ROOTS);
        all.filter(|other| self == Self::Anything || *other < own).collect()
    }
}

fn any_world() -> impl Strategy<Value = (Needs, World, Vec<Chosen>, Floor)> {
    (prop::sample::select(vec![Needs::Anything, Needs::Earlier]), 0..3_usize)
        .prop_flat_map(|(needs, alternatives)| any_world_with(needs, alternatives))
}

fn any_world_with(needs: Needs, alternatives: usize) -> impl Strategy<Value = (Needs, World, Vec<Chosen>, Floor)> {
    let published = NAMES.map(|name| VERSIONS.map(|_| any_dependencies(needs.of(name), 2, alternatives)));
    let published: Vec<_> = published.into_iter().flatten().collect();
    let roots = ROOTS
        .map(|name| (prop::sample::select(VERSIONS.to_vec()), any_dependencies(needs.of(name), 3, alternatives)))
        .to_vec();
    let floor = prop::collection::btree_map(
        prop::sample::select(NAMES.to_vec()),
        prop::sample::select(VERSIONS.to_vec()),
        0..3,
    );
    (published, roots, floor).prop_map(move |(published, roots, floor)| {
        let keys = NAMES.iter().flat_map(|name| VERSIONS.map(|version| (name.to_string(), version.to_string())));
        let roots = roots.into_iter().zip(ROOTS).map(|((version, dependencies), name)| Chosen {
            dependencies,
            ..root(&format!("{name} {version}"), 1, &[])
        });
        let floor = floor.into_iter().map(|(one, version)| (name(one), tolerant(version).unwrap()));
        (needs, World(keys.zip(published).collect()), roots.collect(), floor.collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// `World::settle` also asserts that no question comes twice, so that every run ends.
    #[test]
    fn trying_everything_finds_no_other_answer((_, world, roots, floor) in any_world()) {
        let there: BTreeSet<&str> = ROOTS.into_iter().collect();
        let all = assignments(&world, &roots);
        let sound: Vec<_> = all.iter().filter(|all| is_met(all) && has_no_circle(all)).collect();
        let (came, by_alternative): (Vec<_>, Vec<_>) = sound
            .into_iter()
            .filter(|all| can_have_come(all, &there, true))
            .partition(|all| can_have_come(all, &there, false));
        match world.settle_with(&roots, &floor) {
            Ok((order, instead)) => {
                let found: Assignment<'_> = order
                    .iter()
                    .map(|chosen| (chosen.name.as_str(), (chosen.version.clone().unwrap(), &chosen.dependencies[..])))
                    .collect();
                let possible: Vec<_> = came.iter().chain(by_alternative.iter().filter(|_| !instead.is_empty())).collect();
                prop_assert!(possible.contains(&&&found), "{found:?}");
                let place = |name: &str| order.iter().position(|chosen| chosen.name.as_str() == name);
                for (own, decider) in decided(&found) {
                    prop_assert!(place(decider.unwrap().0) < place(own));
                }
                if !is_lowest(&found, &floor) {
                    let same = |other: &&&&Assignment<'_>| other.keys().eq(found.keys()) && is_lowest(other, &floor);
                    prop_assert_eq!(possible.iter().find(same), None, "although {:?}", found);
                }
                if !instead.is_empty() {
                    let plain = came.iter().find(|all| is_lowest(all, &floor));
                    prop_assert_eq!(plain, None, "and {:?} for {:?}", found, instead);
                }
            }
            Err(conflicts) => {
                prop_assert!(!conflicts.is_empty());
                let answer = came.iter().chain(&by_alternative).find(|all| is_lowest(all, &floor));
                prop_assert_eq!(answer, None, "{:?}", conflicts.iter().map(ToString::to_string).collect::<Vec<_>>());
            }
        }
    }
}
