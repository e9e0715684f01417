use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use semver::Version;

use super::*;
use crate::artifact::Requirement;

mod oracle;

/// What is published: dependencies by name and version.
#[derive(Debug, Clone, Default)]
pub(super) struct World(pub(super) BTreeMap<(String, String), Vec<Dependency>>);

pub(super) fn name(text: &str) -> ArtifactName {
    ArtifactName::parse(text).unwrap()
}

fn version(text: &str) -> Version {
    crate::version::tolerant(text).unwrap()
}

/// `container 0.7.0 | other 1.0.0`
pub(crate) fn dependency(text: &str) -> Dependency {
    let mut all = text.split('|').map(|one| {
        let (name, version) = one.trim().split_once(' ').unwrap();
        Requirement { name: name.into(), version: version.into() }
    });
    let Requirement { name, version } = all.next().unwrap();
    Dependency { name, version, alternatives: all.collect() }
}

pub(super) fn root(text: &str, line: usize, dependencies: &[&str]) -> Chosen {
    let (name_text, version_text) = text.split_once(' ').unwrap();
    let at = Location { file: "fleet.yaml".into(), line, column: 3 };
    Chosen {
        name: name(name_text),
        version: crate::version::tolerant(version_text),
        dependencies: dependencies.iter().map(|text| dependency(text)).collect(),
        asked_by: AskedBy::DesiredState(at),
    }
}

impl World {
    fn of(published: &[(&str, &[&str])]) -> Self {
        let entry = |(text, dependencies): &(&str, &[&str])| {
            let (name, version) = text.split_once(' ').unwrap();
            let dependencies = dependencies.iter().map(|text| dependency(text)).collect();
            ((name.to_string(), version.to_string()), dependencies)
        };
        Self(published.iter().map(entry).collect())
    }

    pub(super) fn settle(
        &self,
        roots: &[Chosen],
        floor: &BTreeMap<ArtifactName, Version>,
    ) -> Result<Vec<Chosen>, Vec<Conflict>> {
        self.settle_with(roots, floor).map(|(order, _)| order)
    }

    /// Answers needs until all is settled, and tells why alternatives came; asserts that no question comes twice. What is
    /// not published is nowhere.
    pub(super) fn settle_with(
        &self,
        roots: &[Chosen],
        floor: &BTreeMap<ArtifactName, Version>,
    ) -> Result<(Vec<Chosen>, Vec<Conflict>), Vec<Conflict>> {
        let mut chosen = roots.to_vec();
        loop {
            let needs = match settle(&chosen, Mode::Install, floor)? {
                Settled::Complete { order, left_to_host, instead } => {
                    assert!(left_to_host.is_empty());
                    return Ok((order.into_iter().cloned().collect(), instead));
                }
                Settled::Needs(needs) => needs,
            };
            assert!(!needs.is_empty());
            for need in needs {
                let key = (need.name.to_string(), need.at_least.to_string());
                let is_known = |chosen: &Chosen| {
                    chosen.asked_by.need().is_some_and(|one| (&one.name, &one.at_least) == (&need.name, &need.at_least))
                };
                assert!(!chosen.iter().any(is_known), "asked twice: {need}");
                let (name, version) = (need.name.clone(), Some(need.at_least.clone()));
                chosen.push(match self.0.get(&key).cloned() {
                    Some(dependencies) => Chosen { name, version, dependencies, asked_by: AskedBy::Dependency(need) },
                    None => {
                        let message = "is not published".to_string();
                        let why = Finding { location: need.needed_by.at.clone(), message, hint: String::new() };
                        let asked_by = AskedBy::Nowhere { need, why };
                        Chosen { name, version: None, dependencies: Vec::new(), asked_by }
                    }
                });
            }
        }
    }

    fn names(&self, roots: &[Chosen]) -> Result<Vec<String>, Vec<String>> {
        self.names_above(roots, &[])
    }

    fn names_above(&self, roots: &[Chosen], floor: &[&str]) -> Result<Vec<String>, Vec<String>> {
        let floor = floor.iter().map(|text| text.split_once(' ').unwrap());
        let floor = floor.map(|(floor, text)| (name(floor), version(text))).collect();
        let settled = self.settle(roots, &floor);
        let text = |chosen: Chosen| format!("{} {}", chosen.name, chosen.version.unwrap());
        settled
            .map(|order| order.into_iter().map(text).collect())
            .map_err(|conflicts| conflicts.iter().map(ToString::to_string).collect())
    }
}

#[test]
fn what_is_needed_comes_in_its_lowest_version_and_first() {
    let world = World::of(&[
        ("container 0.4.0", &[]),
        ("container 0.4.1", &[]),
        ("container 0.6.0", &[]),
        ("k8smeta 0.2.0", &["json 0.7.0"]),
        ("json 0.7.0", &[]),
    ]);
    let rules = root("falco-rules 5.1.0", 5, &["container 0.4.0"]);
    let custom = root("acme-rules 1.0.0", 6, &["container 0.4.1", "k8smeta 0.2.0"]);
    let both = [rules, custom];
    assert_eq!(
        world.names(&both).unwrap(),
        ["container 0.4.1", "falco-rules 5.1.0", "json 0.7.0", "k8smeta 0.2.0", "acme-rules 1.0.0"].map(String::from)
    );
    let reversed: Vec<_> = both.iter().rev().cloned().collect();
    assert_eq!(world.names(&reversed), world.names(&both));
    let above = world.names_above(&both, &["container 0.6.0", "json 0.6.0", "k8smeta 1.0.0"]).unwrap();
    assert_eq!(above.first().unwrap(), "container 0.6.0");
    assert!(above.contains(&"json 0.7.0".into()) && above.contains(&"k8smeta 0.2.0".into()), "{above:?}");
}

#[test]
fn alternatives_count_when_they_are_there() {
    let world = World::of(&[("k8saudit 0.7.0", &["json 0.7.0"]), ("json 0.7.0", &[]), ("eks 0.4.0", &[])]);
    let rules = root("audit-rules 0.7.0", 5, &["k8saudit 0.7.0 | eks 0.4.0 | gke 0.1.0"]);
    assert_eq!(
        world.names(core::slice::from_ref(&rules)).unwrap(),
        ["json 0.7.0", "k8saudit 0.7.0", "audit-rules 0.7.0"].map(String::from)
    );
    let eks = root("eks 0.5.0", 6, &[]);
    assert_eq!(world.names(&[rules.clone(), eks]).unwrap(), ["eks 0.5.0", "audit-rules 0.7.0"].map(String::from));
    let old = root("gke 0.0.9", 7, &[]);
    assert_eq!(
        world.names(&[rules.clone(), old]).unwrap_err(),
        ["audit-rules 0.7.0 needs gke >= 0.1.0, and fleet.yaml asks for 0.0.9".to_string()]
    );
    let needs_eks = root("other-rules 1.0.0", 8, &["eks 0.4.0"]);
    assert_eq!(
        world.names(&[rules.clone(), needs_eks]).unwrap(),
        ["eks 0.4.0", "audit-rules 0.7.0", "other-rules 1.0.0"].map(String::from)
    );
    let low = root("k8saudit 0.6.0", 9, &[]);
    let eks = root("eks 0.5.0", 6, &[]);
    assert_eq!(
        world.names(&[rules, low, eks]).unwrap_err(),
        ["audit-rules 0.7.0 needs k8saudit >= 0.7.0, and fleet.yaml asks for 0.6.0".to_string()],
        "Falco looks at the first of them that is loaded"
    );
}

#[test]
fn an_alternative_that_would_fit_is_found_whichever_is_looked_at_first() {
    let world = World::of(&[("p 1.0.0", &["pinned 2.0.0"]), ("q 1.0.0", &[])]);
    let roots = [
        root("a 1.0.0", 1, &["p 1.0.0 | q 1.0.0"]),
        root("b 1.0.0", 2, &["q 1.0.0 | p 1.0.0"]),
        root("pinned 1.0.0", 3, &[]),
    ];
    assert_eq!(world.names(&roots).unwrap(), ["pinned 1.0.0", "q 1.0.0", "a 1.0.0", "b 1.0.0"].map(String::from));
}

#[test]
fn what_comes_first_may_be_what_decides() {
    // Were n there first, it would decide what b needs.
    let world = World::of(&[("m 1.0.0", &[]), ("n 1.0.0", &[])]);
    let roots = [root("a 1.0.0", 1, &["n 1.0.0"]), root("b 1.0.0", 2, &["m 1.0.0 | n 2.0.0"])];
    assert_eq!(world.names(&roots).unwrap(), ["m 1.0.0", "b 1.0.0", "n 1.0.0", "a 1.0.0"].map(String::from));
}

#[test]
fn an_alternative_comes_only_where_the_name_itself_cannot() {
    let world = World::of(&[("p 1.0.0", &["pinned 2.0.0"]), ("q 1.0.0", &[]), ("s 1.0.0", &[]), ("t 1.0.0", &[])]);
    let settled = |needs: &[&str], floor: &[(&str, &str)]| {
        let roots = [root("a 1.0.0", 1, needs), root("pinned 1.0.0", 3, &[])];
        let floor = floor.iter().map(|(floor, text)| (name(floor), version(text))).collect();
        world.settle_with(&roots, &floor)
    };
    let names = |needs: &[&str]| {
        let (order, instead) = settled(needs, &[]).unwrap();
        let came = order.iter().filter(|chosen| !["a", "pinned"].contains(&chosen.name.as_str()));
        (came.map(|chosen| chosen.name.to_string()).collect::<Vec<_>>().join(" "), instead)
    };
    assert_eq!(names(&["s 1.0.0 | q 1.0.0"]), ("s".to_string(), Vec::new()));
    let (came, instead) = names(&["p 1.0.0 | unpublished 1.0.0 | q 1.0.0 | s 1.0.0", "t 1.0.0 | s 1.0.0"]);
    assert_eq!((came.as_str(), instead.len()), ("q t", 1));
    assert_eq!(
        instead[0].to_string(),
        "a 1.0.0 needs p >= 1.0.0, p 1.0.0 needs pinned >= 2.0.0, and fleet.yaml asks for 1.0.0"
    );
    let (came, instead) = names(&["Not/a/name 1.0.0 | q 1.0.0"]);
    assert_eq!((came.as_str(), instead[0].to_string().ends_with("no name of an artifact")), ("q", true));
    // Nothing will do: what is named first tells why.
    let none = settled(&["p 1.0.0 | unpublished 1.0.0"], &[]).unwrap_err();
    assert_eq!(none.len(), 1);
    assert!(none[0].to_string().contains("p 1.0.0 needs pinned >= 2.0.0"), "{}", none[0]);
    // Nor does an alternative come in a lower version than what is installed.
    let unmet = settled(&["p 1.0.0 | q 1.0.0"], &[("q", "1.5.0")]).unwrap_err();
    assert!(unmet[0].to_string().contains("p 1.0.0 needs pinned"), "{}", unmet[0]);
}

/// Graphs that somebody made to keep us busy.
#[test]
fn what_has_no_end_is_given_up() {
    // Each of sixteen could be any of three, and none will do in the end, because the last one that comes does not fit.
    let texts: Vec<String> = (0..16).map(|n| format!("n{n} 1.0.0")).collect();
    let needs: Vec<String> = (0..16)
        .map(|n| format!("n{n} 1.0.0 | n{} 1.0.0 | n{} 1.0.0", (n + 3) % 16, (n + 7) % 16))
        .chain(["last 1.0.0 | last2 1.0.0".to_string()])
        .collect();
    let mut published: Vec<(&str, &[&str])> = texts.iter().map(|text| (text.as_str(), &[][..])).collect();
    published.extend([("last 1.0.0", &["pinned 2.0.0"][..]), ("last2 1.0.0", &["pinned 2.0.0"][..])]);
    let all: Vec<&str> = needs.iter().map(String::as_str).collect();
    let world = World::of(&published);
    let roots = [root("a 1.0.0", 1, &all), root("pinned 1.0.0", 3, &[])];
    let conflicts = world.settle(&roots, &BTreeMap::new()).unwrap_err();
    let said: Vec<_> = conflicts.iter().map(ToString::to_string).collect();
    let chain = "a 1.0.0 needs last >= 1.0.0, last 1.0.0 needs pinned >= 2.0.0, and";
    assert_eq!(said[0], format!("{chain} fleet.yaml asks for 1.0.0"));
    assert_eq!(said[1], format!("{chain} there are more combinations of alternatives than the 2000 that were tried"));
    assert!(conflicts[1].hint().starts_with("name in `artifacts` which"), "{}", conflicts[1].hint());

    // Every version of one needs a higher version of the other.
    let versions: Vec<[String; 3]> =
        (0..1000).map(|n| [format!("x 1.{n}.0"), format!("y 1.{n}.0"), format!("x 1.{}.0", n + 1)]).collect();
    let needs: Vec<[&str; 1]> = versions.iter().flat_map(|[_, y, x]| [[y.as_str()], [x.as_str()]]).collect();
    let names = versions.iter().flat_map(|[x, y, _]| [x.as_str(), y.as_str()]);
    let published: Vec<(&str, &[&str])> = names.zip(&needs).map(|(name, needs)| (name, &needs[..])).collect();
    let conflicts = World::of(&published).names(&[root("a 1.0.0", 1, &["x 1.0.0"])]).unwrap_err();
    assert_eq!(
        conflicts,
        ["a 1.0.0 needs x >= 1.0.0, and there seems to be no end of it: 200 were looked up".to_string()]
    );
}

#[test]
fn what_only_a_replaced_version_needed_does_not_stay() {
    let world = World::of(&[
        ("x 1.0.0", &["y 2.0.0"]),
        ("x 1.1.0", &["y 1.0.0"]),
        ("y 2.0.0", &["z 1.0.0"]),
        ("y 1.0.0", &[]),
        ("z 1.0.0", &[]),
        ("b 1.0.0", &["c 1.0.0"]),
        ("c 1.0.0", &["x 1.1.0"]),
    ]);
    assert_eq!(
        world.names(&[root("a 1.0.0", 1, &["x 1.0.0", "b 1.0.0"])]).unwrap(),
        ["y 1.0.0", "x 1.1.0", "c 1.0.0", "b 1.0.0", "a 1.0.0"].map(String::from)
    );
}

#[test]
fn conflicts_are_told_as_chains_with_place_and_hint() {
    let world = World::of(&[
        ("x 1.0.0", &["pinned 1.2.0"]),
        ("y 1.0.0", &["container 1.0.0"]),
        ("odd 1.0.0", &["Not/a/name 1.0.0", "container main"]),
    ]);
    let conflict = |roots: &[Chosen]| world.settle(roots, &BTreeMap::new()).unwrap_err().remove(0);
    let rules = root("falco-rules 5.1.0", 5, &["container 0.7.0"]);

    let low = conflict(&[rules.clone(), root("container 0.6.3", 6, &[])]);
    assert_eq!(low.to_string(), "falco-rules 5.1.0 needs container >= 0.7.0, and fleet.yaml asks for 0.6.3");
    assert_eq!(low.hint(), "ask for container 0.7.0 or a later 0.x");
    assert_eq!(low.location().line, 6);
    assert_eq!(low.finding().location.line, 6);

    let major = conflict(&[rules.clone(), root("container 1.6.3", 6, &[])]);
    assert_eq!(major.hint(), "ask for container 0.7.0 or a later one of that major, or for another falco-rules");
    let none = conflict(&[rules.clone(), root("container main", 6, &[])]);
    assert!(none.to_string().ends_with(", and what fleet.yaml asks for gives no version"), "{none}");

    let deep = conflict(&[root("a 1.0.0", 3, &["x 1.0.0"]), root("pinned 1.1.0", 4, &[])]);
    assert_eq!(
        deep.to_string(),
        "a 1.0.0 needs x >= 1.0.0, x 1.0.0 needs pinned >= 1.2.0, and fleet.yaml asks for 1.1.0"
    );
    let majors = conflict(&[rules.clone(), root("b-rules 1.0.0", 7, &["container 1.0.0"])]);
    assert_eq!(
        majors.to_string(),
        "falco-rules 5.1.0 needs container >= 0.7.0, and b-rules 1.0.0 needs container >= 1.0.0"
    );
    assert_eq!((majors.location().line, majors.hint().contains("the same major version of container")), (5, true));

    let odd = world.settle(&[root("a 1.0.0", 3, &["odd 1.0.0"])], &BTreeMap::new()).unwrap_err();
    let texts: Vec<_> = odd.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "a 1.0.0 needs odd >= 1.0.0, odd 1.0.0 needs Not/a/name >= 1.0.0, and that is no name of an artifact",
            "a 1.0.0 needs odd >= 1.0.0, odd 1.0.0 needs container >= main, and that is no version",
        ]
    );
}

#[test]
fn a_circle_is_spelled_out() {
    let world = World::of(&[
        ("x 1.0.0", &["y 1.0.0"]),
        ("y 1.0.0", &["z 1.0.0"]),
        ("z 1.0.0", &["x 1.0.0"]),
        ("self 1.0.0", &["self 1.0.0"]),
    ]);
    assert_eq!(
        world.names(&[root("a 1.0.0", 1, &["x 1.0.0"])]).unwrap_err(),
        ["x 1.0.0 needs y >= 1.0.0, y 1.0.0 needs z >= 1.0.0, z 1.0.0 needs x >= 1.0.0, which is a circle".to_string()]
    );
    assert_eq!(
        world.names(&[root("a 1.0.0", 1, &["self 1.0.0"])]).unwrap_err(),
        ["self 1.0.0 needs self >= 1.0.0, which is a circle".to_string()]
    );
    let world = World::of(&[("x 1.0.0", &["x 1.1.0"]), ("x 1.1.0", &[])]);
    assert_eq!(
        world.names(&[root("a 1.0.0", 1, &["x 1.0.0"])]).unwrap_err(),
        ["x 1.0.0 needs x >= 1.1.0, which is a circle".to_string()],
        "what needs itself is no reason for a higher version of it"
    );
    let world = World::of(&[("x 1.0.0", &["y 1.0.0"]), ("y 1.0.0", &["x 1.1.0"]), ("x 1.1.0", &[])]);
    assert_eq!(
        world.names(&[root("a 1.0.0", 1, &["x 1.0.0"])]).unwrap(),
        ["x 1.1.0", "a 1.0.0"].map(String::from),
        "a raised version may end the circle"
    );
}

#[test]
fn what_is_not_chosen_is_left_to_the_host_in_check() {
    let rules = root("falco-rules 5.1.0", 5, &["container 0.4.0 | other 1.0.0", "json 0.1.0"]);
    let roots = [root("json 0.2.0", 6, &[]), rules];
    let settled = settle(&roots, Mode::Check, &BTreeMap::new()).unwrap();
    let Settled::Complete { order, left_to_host, .. } = settled else { panic!("asks for something") };
    let names: Vec<_> = order.iter().map(|chosen| chosen.name.as_str()).collect();
    assert_eq!(names, ["json", "falco-rules"]);
    assert_eq!(left_to_host, [(dependency("container 0.4.0 | other 1.0.0"), name("falco-rules"))]);
    let roots = [root("json 0.0.2", 6, &[]), roots.last().unwrap().clone()];
    assert!(settle(&roots, Mode::Check, &BTreeMap::new()).is_err());
}

#[test]
fn an_answer_that_is_something_else_is_a_conflict() {
    let rules = root("falco-rules 5.1.0", 5, &["container 0.4.0"]);
    let Ok(Settled::Needs(needs)) = settle(core::slice::from_ref(&rules), Mode::Install, &BTreeMap::new()) else {
        panic!("needs nothing")
    };
    assert_eq!(needs.first().unwrap().to_string(), "container 0.4.0 (falco-rules 5.1.0 needs container >= 0.4.0)");
    let answer =
        |text: &str| Chosen { asked_by: AskedBy::Dependency(needs.first().unwrap().clone()), ..root(text, 0, &[]) };
    for (answered, told) in [("container 0.3.0", Some("really 0.3.0")), ("container x", Some("gives no version"))] {
        let conflicts = settle(&[rules.clone(), answer(answered)], Mode::Install, &BTreeMap::new()).unwrap_err();
        assert!(conflicts.first().unwrap().to_string().contains(told.unwrap()), "{}", conflicts.first().unwrap());
        assert_eq!(conflicts.first().unwrap().location().line, 5);
    }
    assert!(settle(&[rules, answer("container 0.4.1")], Mode::Install, &BTreeMap::new()).is_ok());
}
