use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::artifact::{ArtifactType, Dependency, Requirement};
use crate::digest::Digest;
use crate::falco_answers;
use crate::lockfile::LockedContent;
use crate::reference::Source;

fn needs(pairs: &[(&str, &str)]) -> Vec<Requirement> {
    pairs.iter().map(|(name, version)| Requirement { name: (*name).into(), version: (*version).into() }).collect()
}

fn dependency(all: &[(&str, &str)]) -> Dependency {
    let mut all = needs(all);
    let Requirement { name, version } = all.remove(0);
    Dependency { name, version, alternatives: all }
}

fn artifact(name: &str, version: &str, requirements: &[(&str, &str)], dependencies: Vec<Dependency>) -> LockedArtifact {
    LockedArtifact {
        name: ArtifactName::parse(name).unwrap(),
        kind: ArtifactType::Rulesfile,
        source: Source::parse("localhost:5000/x").unwrap(),
        requested: "1".into(),
        tag: None,
        version: version.into(),
        digest: Digest::of(b"m"),
        needed_by: Vec::new(),
        requirements: needs(requirements),
        dependencies,
        contents: vec![content(None)],
    }
}

fn content(platform: Option<&str>) -> LockedContent {
    LockedContent {
        platform: platform.map(Into::into),
        manifest: Digest::of(b"m"),
        layer: Digest::of(b"l"),
        layer_size: 1,
        files: Vec::new(),
    }
}

fn lock(artifacts: Vec<LockedArtifact>) -> Lockfile {
    Lockfile::new(Digest::of(b"in"), Vec::new(), artifacts)
}

fn host(falco: &str, engine: &str, plugins: &[(&str, &str)]) -> Facts {
    let plugins: BTreeMap<_, _> =
        plugins.iter().map(|(name, version)| ((*name).into(), version.parse().unwrap())).collect();
    Facts {
        falco: Some(falco.into()),
        engine: Some(engine.parse().unwrap()),
        plugin_api: Some("3.12.0".parse().unwrap()),
        plugins: Some(plugins),
        platform: Some("linux/amd64".into()),
    }
}

/// Misfits and what is unchecked, as text.
fn told(artifacts: Vec<LockedArtifact>, facts: &Facts, managed: &[&str]) -> (Vec<String>, Vec<String>) {
    let managed = managed.iter().map(|name| ArtifactName::parse(name).unwrap()).collect();
    let lockfile = lock(artifacts);
    match admit(&lockfile, facts, &managed) {
        Ok(admitted) => {
            assert_eq!(admitted.lockfile(), &lockfile);
            (Vec::new(), admitted.unchecked().iter().map(ToString::to_string).collect())
        }
        Err(misfits) => {
            assert!(misfits.iter().all(|misfit| !misfit.hint.is_empty()) && !misfits.is_empty());
            (misfits.iter().map(ToString::to_string).collect(), Vec::new())
        }
    }
}

#[test]
fn official_rules_on_each_falco() {
    let container = |version| vec![dependency(&[("container", version)])];
    let rules = |major| match major {
        5 => artifact("falco-rules", "5.1.0", &[("engine_version_semver", "0.57.0")], container("0.4.0")),
        4 => artifact("falco-rules", "4.0.0", &[("engine_version_semver", "0.50.0")], container("0.2.2")),
        3 => artifact("falco-rules", "3.2.0", &[("engine_version_semver", "0.31.0")], Vec::new()),
        _ => artifact("falco-rules", "2.0.0", &[("engine_version", "26")], Vec::new()),
    };
    for (release, newest) in [
        ("0.34", 0),
        ("0.35", 0),
        ("0.36", 2),
        ("0.37", 3),
        ("0.38", 3),
        ("0.39", 3),
        ("0.40", 3),
        ("0.41", 4),
        ("0.42", 5),
        ("0.43", 5),
        ("0.44", 5),
    ] {
        let facts = Facts {
            plugins: Some([("container".into(), "0.7.1".parse().unwrap())].into()),
            ..Facts::of_release(release).unwrap()
        };
        for major in 2..=5 {
            let (misfits, unchecked) = told(vec![rules(major)], &facts, &[]);
            assert_eq!(misfits.is_empty(), major <= newest, "rules {major} on {release}: {misfits:?}");
            assert!(unchecked.is_empty());
        }
        let lockfile = lock(vec![rules(5)]);
        if let Err(misfits) = admit(&lockfile, &facts, &BTreeSet::new()) {
            let advice = match newest {
                0 => "update Falco to 0.42 or later, or ask for an earlier falco-rules".to_string(),
                major => format!("update Falco to 0.42 or later, or ask for falco-rules {major}"),
            };
            assert_eq!(misfits[0].hint, advice);
        }
    }
    let (misfits, _) = told(vec![rules(5)], &host("0.40.0", "0.46.0", &[("container", "0.7.1")]), &[]);
    assert_eq!(misfits, ["falco-rules 5.1.0 needs engine 0.57.0, and Falco 0.40.0 has 0.46.0"]);
    let (misfits, _) = told(vec![rules(5)], &host("0.44.1", "0.62.0", &[("container", "0.3.0")]), &[]);
    assert_eq!(misfits, ["falco-rules 5.1.0 needs container 0.4.0, and Falco 0.44.1 has loaded 0.3.0"]);
}

#[test]
fn requirements() {
    let facts = host("0.44.1", "0.62.0", &[]);
    for (name, version, misfit) in [
        ("engine_version_semver", "0.62.0", None),
        ("engine_version_semver", "62", None),
        ("engine_version", "26", None),
        ("engine_version", "63", Some("engine 0.63.0, and Falco 0.44.1 has 0.62.0")),
        ("engine_version_semver", "0.62.1", Some("engine 0.62.1, and Falco 0.44.1 has 0.62.0")),
        ("engine_version_semver", "1.0.0", Some("engine 1.0.0, and Falco 0.44.1 has 0.62.0")),
        ("engine_version_semver", "new", Some("engine new, and that is no version")),
        ("plugin_api_version", "3.0.0", None),
        ("plugin_api_version", "v3.12", None),
        ("plugin_api_version", "2.0.0", Some("plugin interface 2.0.0, and Falco 0.44.1 has 3.12.0")),
        ("plugin_api_version", "3.13.0", Some("plugin interface 3.13.0, and Falco 0.44.1 has 3.12.0")),
        ("falco_version", "0.44.0", None),
        ("falco_version", "0.45.0", Some("Falco 0.45.0, and this is Falco 0.44.1")),
        ("libs_version", "0.25.0", Some("libs_version 0.25.0, and this falconer does not know what that is")),
    ] {
        let (misfits, _) = told(vec![artifact("x", "", &[(name, version)], Vec::new())], &facts, &[]);
        let expected: Vec<_> = misfit.iter().map(|misfit| format!("x needs {misfit}")).collect();
        assert_eq!(misfits, expected, "{name} {version}");
    }
}

#[test]
fn hints_name_the_next_act() {
    let hint = |requirement: (&str, &str)| {
        let lockfile = lock(vec![artifact("x", "1.0.0", &[requirement], Vec::new())]);
        admit(&lockfile, &host("0.40.0", "0.46.0", &[]), &BTreeSet::new()).unwrap_err().remove(0).hint
    };
    assert_eq!(hint(("engine_version_semver", "0.58.0")), "update Falco to 0.43 or later, or ask for an earlier x");
    assert_eq!(hint(("engine_version_semver", "0.99.0")), "update Falco, or ask for an earlier x");
    assert_eq!(hint(("falco_version", "0.41.0")), "update Falco to 0.41.0 or later, or ask for an earlier x");
    assert_eq!(hint(("plugin_api_version", "3.99.0")), "update Falco, or ask for an earlier x");
    assert_eq!(hint(("plugin_api_version", "2.0.0")), "ask for a later x, made for plugin interface 3");
}

#[test]
fn plugins_come_from_the_lockfile_or_the_host() {
    let rules = || artifact("rules", "1.0.0", &[], vec![dependency(&[("k8saudit", "0.7.0"), ("eks", "0.4.0")])]);
    let plugin = |name: &str, version: &str| artifact(name, version, &[], Vec::new());
    let with = |plugins: &[(&str, &str)]| host("0.44.1", "0.62.0", plugins);
    for (artifacts, facts, managed, misfit) in [
        (vec![], with(&[("k8saudit", "0.7.0")]), &[][..], None),
        (vec![], with(&[("eks", "0.4.1")]), &[], None),
        (
            vec![],
            with(&[("eks", "0.4.1"), ("k8saudit", "0.6.0")]),
            &[],
            Some("k8saudit 0.7.0, and Falco 0.44.1 has loaded 0.6.0"),
        ),
        (
            vec![],
            with(&[("other", "1.0.0")]),
            &[],
            Some("k8saudit 0.7.0 or eks 0.4.0, and Falco 0.44.1 loads none of them"),
        ),
        (vec![], with(&[]), &[], Some("k8saudit 0.7.0 or eks 0.4.0, and Falco 0.44.1 loads none of them")),
        (
            vec![],
            with(&[("k8saudit", "0.7.0")]),
            &["k8saudit"],
            Some("k8saudit 0.7.0 or eks 0.4.0, and Falco 0.44.1 loads none of them"),
        ),
        (vec![plugin("k8saudit", "0.7.1")], with(&[("k8saudit", "0.6.0")]), &[], None),
        (vec![plugin("k8saudit", "0.7.1")], with(&[("k8saudit", "0.6.0")]), &["k8saudit"], None),
        (
            vec![plugin("k8saudit", "0.6.0")],
            with(&[("k8saudit", "0.7.0")]),
            &[],
            Some("k8saudit 0.7.0, and the lockfile has 0.6.0"),
        ),
        (vec![plugin("k8saudit", "1.0.0")], with(&[]), &[], Some("k8saudit 0.7.0, and the lockfile has 1.0.0")),
        (
            vec![plugin("k8saudit", "main")],
            with(&[]),
            &[],
            Some("k8saudit 0.7.0, and the lockfile has one without a version"),
        ),
        (vec![plugin("eks", "0.5.0")], with(&[]), &[], None),
        (vec![plugin("eks", "0.5.0")], Facts::without_falco("linux/amd64"), &[], None),
    ] {
        let (misfits, unchecked) = told(artifacts.into_iter().chain([rules()]).collect(), &facts, managed);
        let expected: Vec<_> = misfit.iter().map(|misfit| format!("rules 1.0.0 needs {misfit}")).collect();
        assert_eq!((misfits, unchecked), (expected, Vec::new()));
    }
    let lockfile = lock(vec![rules()]);
    let misfit = admit(&lockfile, &with(&[]), &BTreeSet::new()).unwrap_err().remove(0);
    assert_eq!(misfit.hint, "add `k8saudit: \">=0.7.0, <1\"` to `artifacts`");
}

#[test]
fn what_is_not_known_is_said_and_no_misfit() {
    let rules = || {
        let requirements = [("engine_version_semver", "0.57.0"), ("plugin_api_version", "3.0.0")];
        artifact("falco-rules", "5.1.0", &requirements, vec![dependency(&[("container", "0.4.0")])])
    };
    let unknown = |what: &str| format!("falco-rules 5.1.0 needs {what}, which is not known here");
    let nothing = Facts::without_falco("linux/amd64");
    let all = vec![unknown("engine 0.57.0"), unknown("plugin interface 3.0.0"), unknown("container 0.4.0")];
    assert_eq!(told(vec![rules()], &nothing, &[]), (Vec::new(), all));
    let release = Facts::of_release("0.42").unwrap();
    let some = vec![unknown("plugin interface 3.0.0"), unknown("container 0.4.0")];
    assert_eq!(told(vec![rules()], &release, &[]), (Vec::new(), some));
    let old = falco_answers::versions("Falco version: 0.36.2\nPlugin API: 3.1.0\nEngine: 26\n").unwrap();
    let (misfits, _) = told(vec![rules()], &Facts::of_host(&old, "linux/amd64"), &[]);
    assert_eq!(misfits, ["falco-rules 5.1.0 needs engine 0.57.0, and Falco 0.36.2 has 0.26.0"]);
}

#[test]
fn a_plugin_must_be_published_for_the_platform() {
    let plugin = |platforms: &[&str]| LockedArtifact {
        contents: platforms.iter().map(|platform| content(Some(platform))).collect(),
        ..artifact("k8saudit", "0.7.0", &[], Vec::new())
    };
    let facts = host("0.44.1", "0.62.0", &[]);
    assert_eq!(told(vec![plugin(&["linux/arm64", "linux/amd64"])], &facts, &[]).0, Vec::<String>::new());
    assert_eq!(
        told(vec![plugin(&["linux/arm64", "darwin/arm64"])], &facts, &[]).0,
        ["k8saudit 0.7.0 needs linux/arm64 or darwin/arm64, and this host is linux/amd64"]
    );
    let any = Facts::of_release("0.44").unwrap();
    assert_eq!(told(vec![plugin(&["linux/arm64"])], &any, &[]).0, Vec::<String>::new());
}
