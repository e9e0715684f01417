//! Dependencies, indexes that contradict each other, and lockfiles that do not answer.

use crate::admit::admit;
use crate::dependencies::tests::dependency;
use crate::fleet::DesiredState;

use super::*;

/// Published artifacts: `name version`, the type, and what it needs as `name version|alternative version`.
struct Shelf(&'static [(&'static str, ArtifactType, &'static [&'static str])]);

const R: ArtifactType = ArtifactType::Rulesfile;
const P: ArtifactType = ArtifactType::Plugin;

const OFFICIAL: Shelf = Shelf(&[
    ("falco-rules 5.1.0", R, &["container 0.4.0"]),
    ("k8saudit-rules 0.16.0", R, &["k8saudit 0.16.0|k8saudit-eks 0.12.0", "json 0.7.2"]),
    ("k8saudit 0.16.0", P, &["json 0.7.3"]),
    ("k8saudit-eks 0.12.0", P, &[]),
    ("container 0.4.1", P, &[]),
    ("container 0.6.0", P, &[]),
    ("json 0.7.2", P, &[]),
    ("json 0.7.3", P, &[]),
    ("json 0.8.0", P, &[]),
    ("old-rules 1.0.0", R, &["container 1.0.0"]),
    ("needs-rules 1.0.0", R, &["falco-rules 5.1.0"]),
    ("circle 1.0.0", R, &["round 1.0.0"]),
    ("round 1.0.0", P, &["circle 1.0.0"]),
    ("lost-rules 1.0.0", R, &["nowhere 1.0.0"]),
    ("some-rules 1.0.0", R, &["nowhere 1.0.0|container 1.0.0|json 0.7.2"]),
]);

impl Shelf {
    fn parts(&self) -> impl Iterator<Item = (&'static str, &'static str, ArtifactType, &'static [&'static str])> {
        self.0.iter().map(|(text, kind, needs)| {
            let (name, version) = text.split_once(' ').unwrap();
            (name, version, *kind, *needs)
        })
    }

    fn answer(&self, lookup: Lookup, catalog: &mut Catalog) {
        let of = |source: &Source, name: &str| source.to_string().ends_with(&format!("/{name}"));
        match lookup {
            Lookup::Index { url, .. } => {
                let mut names: Vec<_> = self.parts().map(|(name, ..)| name).collect();
                names.dedup();
                let place = if url.contains("second") { "second" } else { "first" };
                let known = names.iter().filter(|name| place == "first" || **name == "json");
                let text: String = known
                    .map(|name| format!("- {{name: {name}, registry: localhost, repository: {place}/{name}}}\n"))
                    .collect();
                let index = index::parse("index.yaml", &text).unwrap();
                catalog.indexes.insert(url, IndexAnswer { digest: Digest::of(text.as_bytes()), index });
            }
            Lookup::Tags { source } => {
                let own = self.parts().filter(|(name, ..)| of(&source, name));
                let tags = own.map(|(_, version, ..)| Tag::parse(version).unwrap()).collect();
                catalog.tags.insert(source, tags);
            }
            Lookup::Manifest { source, at } => {
                let At::Tag(tag) = &at else { panic!("asked for a digest") };
                let found = self.parts().find(|(name, version, ..)| *version == tag.as_str() && of(&source, name));
                let answer = found.map_or(ManifestAnswer::Missing, |(name, version, kind, _)| {
                    let blob = |what: &str| Blob {
                        digest: Digest::of(format!("{what} {name} {version}").as_bytes()),
                        size: 1,
                    };
                    let manifest = Digest::of(format!("{name} {version}").as_bytes());
                    ManifestAnswer::Artifact(Published { manifest, kind, config: blob("config"), layer: blob("layer") })
                });
                catalog.manifests.insert((source, at), answer);
            }
            Lookup::Config { published, .. } => {
                let (_, version, _, needs) = self
                    .parts()
                    .find(|(name, version, ..)| {
                        published.manifest == Digest::of(format!("{name} {version}").as_bytes())
                    })
                    .unwrap();
                let dependencies = needs.iter().map(|need| dependency(need)).collect();
                let config = ArtifactConfig { version: version.into(), dependencies, ..ArtifactConfig::default() };
                catalog.configs.insert(published.config.digest, config);
            }
            Lookup::Files { published, .. } => {
                let path = RelativePath::parse("file.yaml").unwrap();
                let files = alloc::vec![LockedFile { path, sha256: Digest::of(b"f"), size: 1 }];
                catalog.files.insert(published.layer.digest, files);
            }
        }
    }

    fn resolve(&self, desired: &DesiredState, terms: &Terms<'_>) -> Result<(Lockfile, Vec<Note>), Findings> {
        let mut catalog = Catalog::default();
        loop {
            match resolve(desired, &catalog, terms)? {
                Resolution::Locked { lockfile, notes } => {
                    assert_eq!(staleness(desired, &lockfile), None);
                    return Ok((lockfile, notes));
                }
                Resolution::Unknown(lookups) | Resolution::Unlisted { archives: lookups, .. } => {
                    lookups.into_iter().for_each(|lookup| self.answer(lookup, &mut catalog));
                }
            }
        }
    }

    fn lock(&self, desired: &DesiredState) -> Result<(Lockfile, Vec<Note>), Findings> {
        self.resolve(desired, &FROM_NOTHING)
    }
}

const FROM_NOTHING: Terms<'static> = Terms { platforms: Platforms::All, previous: None, installed: None };

fn fleet(artifacts: &[&str], more: &str) -> DesiredState {
    let artifacts: String = artifacts.iter().map(|text| format!("  {}\n", text.replace(' ', ": "))).collect();
    let text = format!(
        "version: 1\nindexes:\n  - {{name: one, url: 'https://first/i'}}\n  - {{name: two, url: 'https://second/i'}}\n\
         artifacts:\n{artifacts}rules_files: [{{file: a.yaml}}]\n{more}"
    );
    fleet::parse("fleet.yaml", &text).unwrap()
}

const INSTALL: &str = "dependencies: install\n";

/// `name version <needer,needer` of each artifact that came.
fn came(lockfile: &Lockfile) -> Vec<String> {
    let came = lockfile.artifacts.iter().filter(|artifact| !artifact.needed_by.is_empty());
    let text = |artifact: &LockedArtifact| {
        let needers: Vec<_> = artifact.needed_by.iter().map(ArtifactName::as_str).collect();
        format!("{} {} <{}", artifact.name, artifact.version, needers.join(","))
    };
    came.map(text).collect()
}

fn said(notes: &[Note]) -> Vec<String> {
    notes.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_needed_comes_in_the_lowest_version_that_there_is() {
    // 0.4.0 of container is not published, and 0.7.3 of json is what k8saudit raises it to.
    let desired = fleet(&["falco-rules 5.1.0", "k8saudit-rules 0.16.0"], INSTALL);
    let (lockfile, notes) = OFFICIAL.lock(&desired).unwrap();
    assert_eq!(
        came(&lockfile),
        ["container 0.4.1 <falco-rules", "json 0.7.3 <k8saudit,k8saudit-rules", "k8saudit 0.16.0 <k8saudit-rules"]
    );
    let json = lockfile.artifact(&ArtifactName::parse("json").unwrap()).unwrap();
    assert_eq!((json.source.to_string(), json.requested.as_str()), ("localhost/second/json".into(), "0.7.3"));
    assert_eq!(
        said(&notes),
        ["json is localhost/second/json, as index two has it, and not localhost/first/json, as index one has it"]
    );
    assert_eq!(lockfile.indexes.len(), 2);
    assert_eq!(Lockfile::parse("falconer.lock", &lockfile.render().unwrap()).unwrap(), lockfile);

    // An alternative that the desired state asks for does instead.
    let desired = fleet(&["k8saudit-rules 0.16.0", "k8saudit-eks 0.12.0"], INSTALL);
    assert_eq!(came(&OFFICIAL.lock(&desired).unwrap().0), ["json 0.7.2 <k8saudit-rules"]);
}

#[test]
fn what_comes_as_an_alternative_is_said() {
    let (lockfile, notes) = OFFICIAL.lock(&fleet(&["some-rules 1.0.0"], INSTALL)).unwrap();
    assert_eq!(came(&lockfile), ["json 0.7.2 <some-rules"]);
    assert_eq!(
        said(&notes)[0],
        "json comes as an alternative, because some-rules 1.0.0 needs nowhere >= 1.0.0: artifact `nowhere` is in none of \
         the indexes (one, two)"
    );
}

#[test]
fn without_installing_it_is_left_to_the_hosts() {
    let desired = fleet(&["falco-rules 5.1.0", "k8saudit-rules 0.16.0", "json 0.7.3"], "");
    let (lockfile, notes) = OFFICIAL.lock(&desired).unwrap();
    assert_eq!(came(&lockfile), Vec::<String>::new());
    let left: Vec<_> = said(&notes).into_iter().filter(|note| note.contains("left to the hosts")).collect();
    assert!(left[0].starts_with("falco-rules needs container 0.4.0, which"), "{left:?}");
    assert!(left[1].starts_with("k8saudit-rules needs k8saudit 0.16.0 or k8saudit-eks 0.12.0, which"), "{left:?}");
    let artifacts = &["falco-rules 5.1.0"];
    assert_ne!(fleet::inputs_digest(&fleet(artifacts, INSTALL)), fleet::inputs_digest(&fleet(artifacts, "")));
}

#[test]
fn what_came_is_what_admission_asks_for() {
    let desired = fleet(&["falco-rules 5.1.0"], &format!("{INSTALL}falco: '0.44'\n"));
    let (lockfile, _) = OFFICIAL.lock(&desired).unwrap();
    assert_eq!(admit(&lockfile, &desired.falco.unwrap(), &BTreeSet::new()).unwrap().unchecked(), []);
}

#[test]
fn nothing_that_is_locked_or_installed_is_lowered() {
    let desired = fleet(&["k8saudit-rules 0.16.0"], INSTALL);
    let (mut before, _) = OFFICIAL.lock(&desired).unwrap();
    let higher = OFFICIAL.lock(&fleet(&["json 0.8.0"], "")).unwrap().0.artifacts.remove(0);
    let json = before.artifacts.iter_mut().find(|artifact| artifact.name.as_str() == "json").unwrap();
    *json = LockedArtifact { needed_by: json.needed_by.clone(), ..higher };
    assert_eq!(staleness(&desired, &before), None);
    let again = |update, may_lower| {
        let previous = Some(Previous { lockfile: &before, update, may_lower });
        let (lockfile, _) = OFFICIAL.resolve(&desired, &Terms { previous, ..FROM_NOTHING }).unwrap();
        lockfile.artifact(&ArtifactName::parse("json").unwrap()).unwrap().version.clone()
    };
    let other = BTreeSet::from([ArtifactName::parse("k8saudit-rules").unwrap()]);
    for (update, may_lower) in
        [(Update::Nothing, false), (Update::All, false), (Update::Nothing, true), (Update::Only(&other), true)]
    {
        assert_eq!(again(update, may_lower), "0.8.0", "{update:?} {may_lower}");
    }
    assert_eq!(again(Update::All, true), "0.7.3");

    let versions = [("json", Version::new(0, 7, 9)), ("No Name", Version::new(9, 0, 0))];
    let installed = versions.map(|(name, version)| (name.to_string(), version)).into();
    let (lockfile, _) = OFFICIAL.resolve(&desired, &Terms { installed: Some(&installed), ..FROM_NOTHING }).unwrap();
    assert_eq!(came(&lockfile)[0], "json 0.8.0 <k8saudit,k8saudit-rules");
}

#[test]
fn what_cannot_be_had_is_said_with_who_needs_it() {
    let cases: [(&[&str], &str, &str); 7] = [
        (
            &["falco-rules 5.1.0", "old-rules 1.0.0"],
            INSTALL,
            "old-rules 1.0.0 needs container >= 1.0.0, and falco-rules 5.1.0 needs container >= 0.4.0",
        ),
        (
            &["container 0.6.0", "old-rules 1.0.0"],
            "",
            "old-rules 1.0.0 needs container >= 1.0.0, and fleet.yaml asks for 0.6.0",
        ),
        (
            &["old-rules 1.0.0"],
            INSTALL,
            "old-rules 1.0.0 needs container >= 1.0.0: localhost/first/container has no version 1.x that is 1.0.0 or later",
        ),
        (
            &["lost-rules 1.0.0"],
            INSTALL,
            "lost-rules 1.0.0 needs nowhere >= 1.0.0: artifact `nowhere` is in none of the indexes (one, two)",
        ),
        (
            &["circle 1.0.0", "round 1.0.0"],
            "",
            "circle 1.0.0 needs round >= 1.0.0, round 1.0.0 needs circle >= 1.0.0, which is a circle",
        ),
        (&["circle 1.0.0"], INSTALL, "which is a circle"),
        (
            &["needs-rules 1.0.0"],
            INSTALL,
            "needs-rules 1.0.0 needs falco-rules >= 5.1.0: `falco-rules` are rules, and only the desired state says",
        ),
    ];
    for (artifacts, more, message) in cases {
        let findings = OFFICIAL.lock(&fleet(artifacts, more)).unwrap_err();
        let finding = &findings.as_slice()[0];
        assert!(finding.message.contains(message), "{findings}");
        assert!(finding.location.line > 5 && !finding.hint.is_empty(), "{findings}");
    }
    let findings = OFFICIAL.lock(&fleet(&["falco-ruls 5.1.0"], "")).unwrap_err();
    assert!(findings.as_slice()[0].hint.starts_with("`falco-rules` is; "), "{findings}");
}

#[test]
fn a_lockfile_that_was_edited_does_not_answer() {
    let desired = fleet(&["falco-rules 5.1.0", "json 0.7.2"], INSTALL);
    let (lockfile, _) = OFFICIAL.lock(&desired).unwrap();
    let stale = |edit: fn(&mut Lockfile)| {
        let mut edited = lockfile.clone();
        edit(&mut edited);
        staleness(&desired, &edited).unwrap_or_default()
    };
    assert_eq!(stale(|_| {}), "");
    assert_eq!(stale(|lock| lock.inputs = Digest::of(b"")), "it was made for other indexes or artifacts");
    assert_eq!(stale(|lock| drop(lock.artifacts.remove(2))), "it lacks artifact `json`");
    assert_eq!(stale(|lock| drop(lock.artifacts.remove(0))), "falco-rules needs container 0.4.0, which it lacks");
    let other = stale(|lock| lock.artifacts[1].requested = "5".into());
    assert_eq!(other, "it has artifact `falco-rules` for another request");
    assert_eq!(
        stale(|lock| lock.artifacts[0].version = "0.3.0".into()),
        "falco-rules 5.1.0 needs container >= 0.4.0, and falconer.lock asks for 0.3.0"
    );
    assert_eq!(stale(|lock| lock.artifacts.insert(0, lock.artifacts[0].clone())), "it has artifact `container` twice");
    let unneeded = "it has artifact `container`, which nobody asks for";
    assert_eq!(stale(|lock| lock.artifacts[0].needed_by.clear()), unneeded);
    let more = stale(|lock| {
        let name = ArtifactName::parse("zzz").unwrap();
        lock.artifacts.push(LockedArtifact { name, ..lock.artifacts[0].clone() });
    });
    assert_eq!(more, "it has artifact `zzz`, which nobody asks for");
}
