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

/// Whether the members can have come one after the other, each as the first name of a dependency for which nothing was
/// there yet.
fn can_have_come(all: &Assignment<'_>, there: &BTreeSet<&str>) -> bool {
    if there.len() == all.len() {
        return true;
    }
    let open = there.iter().flat_map(|name| all[name].1).map(needs);
    let open = open.filter(|needs| !needs.iter().any(|(name, _)| there.contains(name)));
    let next: BTreeSet<&str> = open.filter_map(|needs| all.get_key_value(needs[0].0)).map(|(name, _)| *name).collect();
    next.into_iter().any(|name| {
        let mut there = there.clone();
        there.insert(name);
        can_have_come(all, &there)
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

/// Whether some dependency has alternatives. With a choice to go back on, a version may stay raised.
fn has_choice(world: &World, roots: &[Chosen]) -> bool {
    let published = world.0.values().flatten();
    let mut all = published.chain(roots.iter().flat_map(|root| &root.dependencies));
    all.any(|dependency| !dependency.alternatives.is_empty())
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
    fn trying_everything_finds_no_other_answer((needs, world, roots, floor) in any_world()) {
        let there: BTreeSet<&str> = ROOTS.into_iter().collect();
        let sound = |all: &Assignment<'_>| is_met(all) && has_no_circle(all) && can_have_come(all, &there);
        let settled = world.settle(&roots, &floor);
        let possible = assignments(&world, &roots).into_iter().filter(sound);
        match &settled {
            Ok(order) => {
                let all: Assignment<'_> = order
                    .iter()
                    .map(|chosen| (chosen.name.as_str(), (chosen.version.clone().unwrap(), &chosen.dependencies[..])))
                    .collect();
                prop_assert!(sound(&all), "{:?}", all);
                let mut placed = BTreeSet::new();
                for (own, decider) in decided(&all) {
                    let place = |name: &str| order.iter().position(|chosen| chosen.name.as_str() == name);
                    prop_assert!(place(decider.unwrap().0) < place(own));
                    placed.insert(own);
                }
                if !is_lowest(&all, &floor) && !has_choice(&world, &roots) {
                    let names = |all: &Assignment<'_>| all.keys().map(|name| name.to_string()).collect::<Vec<_>>();
                    let lower: Vec<_> = possible.filter(|other| names(other) == names(&all) && is_lowest(other, &floor)).collect();
                    prop_assert!(lower.is_empty(), "NOTLOWEST {:?} although {:?}", all, lower);
                }
            }
            Err(conflicts) => {
                prop_assert!(!conflicts.is_empty());
                // With alternatives not every order in which artifacts could have come is tried.
                if needs == Needs::Anything || has_choice(&world, &roots) {
                    return Ok(());
                }
                let lowest: Vec<_> = possible.filter(|all| is_lowest(all, &floor)).collect();
                prop_assert!(lowest.is_empty(), "FLOOR {:?} {:?} although {:?}", floor, conflicts.iter().map(ToString::to_string).collect::<Vec<_>>(), lowest);
            }
        }
    }
}
