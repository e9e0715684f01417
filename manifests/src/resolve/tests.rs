use crate::artifact::{ArtifactConfig, ArtifactType};
use crate::catalog::{At, Blob, IndexAnswer, ManifestAnswer, Published};
use crate::digest::Digest;
use crate::index;
use crate::lockfile::LockedFile;
use crate::name::RelativePath;
use crate::reference::{Source, Tag};

use super::*;

mod needs;

const FLEET: &str = "
version: 1
indexes: [{name: official, url: \"https://example.org/index.yaml\"}]
artifacts:
  falco-rules: \"5\"
  custom-rules: {ref: localhost:5000/acme/custom, version: \"~1.4\"}
rules_files: [{artifact: falco-rules}, {artifact: custom-rules}]
";

const INDEX: &str = "[{name: falco-rules, type: rulesfile, registry: localhost:5000, repository: rules/falco-rules}]";

/// A world that answers every lookup, and counts them.
struct World {
    manifests: BTreeMap<(String, String), ManifestAnswer>,
    asked: Vec<Lookup>,
    /// What was known before archives were to be looked into.
    unlisted: Vec<Lockfile>,
}

impl World {
    fn new(published: &[(&str, &str)]) -> Self {
        let manifests = published.iter().map(|(source, tag)| {
            let text = format!("{source}:{tag}");
            let blob = |what: &str| Blob { digest: Digest::of(format!("{what} {text}").as_bytes()), size: 1 };
            let answer = Published {
                manifest: Digest::of(text.as_bytes()),
                kind: ArtifactType::Rulesfile,
                config: blob("config"),
                layer: blob("layer"),
            };
            ((source.to_string(), tag.to_string()), ManifestAnswer::Artifact(answer))
        });
        Self { manifests: manifests.collect(), asked: Vec::new(), unlisted: Vec::new() }
    }

    fn answer(&mut self, lookup: Lookup, catalog: &mut Catalog) {
        match lookup.clone() {
            Lookup::Index { url, .. } => {
                let index = index::parse("index.yaml", INDEX).unwrap();
                catalog.indexes.insert(url, IndexAnswer { digest: Digest::of(INDEX.as_bytes()), index });
            }
            Lookup::Tags { source } => {
                let place = source.to_string();
                let all = self.manifests.keys().filter(|(other, _)| *other == place);
                catalog.tags.insert(source, all.map(|(_, tag)| Tag::parse(tag).unwrap()).collect());
            }
            Lookup::Manifest { source, at } => {
                let At::Tag(tag) = &at else { panic!("asked for a digest") };
                let answer = self.manifests.get(&(source.to_string(), tag.to_string()));
                let answer = answer.cloned().unwrap_or(ManifestAnswer::Missing);
                catalog.manifests.insert((source, at), answer);
            }
            Lookup::Config { published, .. } => {
                let config = ArtifactConfig { version: "1.4.2".into(), ..ArtifactConfig::default() };
                catalog.configs.insert(published.config.digest, config);
            }
            Lookup::Files { published, .. } => {
                let path = RelativePath::parse("rules.yaml").unwrap();
                let files = alloc::vec![LockedFile { path, sha256: Digest::of(b"rules"), size: 5 }];
                catalog.files.insert(published.layer.digest, files);
            }
        }
        self.asked.push(lookup);
    }

    fn resolve(&mut self, fleet: &str) -> Result<Lockfile, Findings> {
        self.resolve_after(fleet, None)
    }

    fn resolve_after(&mut self, fleet: &str, previous: Option<Previous<'_>>) -> Result<Lockfile, Findings> {
        let desired = fleet::parse("fleet.yaml", fleet).unwrap();
        let mut catalog = Catalog::default();
        loop {
            let terms = Terms { platforms: Platforms::All, previous, installed: None };
            match resolve(&desired, &catalog, &terms)? {
                Resolution::Locked { lockfile, .. } => {
                    assert_eq!(staleness(&desired, &lockfile), None);
                    return Ok(lockfile);
                }
                Resolution::Unknown(lookups) => {
                    assert!(!lookups.is_empty());
                    lookups.into_iter().for_each(|lookup| self.answer(lookup, &mut catalog));
                }
                Resolution::Unlisted { lockfile, archives } => {
                    assert!(!archives.is_empty());
                    self.unlisted.push(lockfile);
                    archives.into_iter().for_each(|lookup| self.answer(lookup, &mut catalog));
                }
            }
        }
    }
}

fn world() -> World {
    World::new(&[
        ("localhost:5000/rules/falco-rules", "5"),
        ("localhost:5000/acme/custom", "1.3.9"),
        ("localhost:5000/acme/custom", "1.4.0"),
        ("localhost:5000/acme/custom", "1.4.2"),
        ("localhost:5000/acme/custom", "1.5.0"),
        ("localhost:5000/acme/custom", "1.4.3-rc1"),
        ("localhost:5000/acme/custom", "latest"),
    ])
}

#[test]
fn names_ranges_and_tags_are_pinned_and_nothing_is_asked_twice() {
    let mut world = world();
    let lockfile = world.resolve(FLEET).unwrap();
    let custom = lockfile.artifact(&ArtifactName::parse("custom-rules").unwrap()).unwrap();
    assert_eq!(custom.tag.as_ref().unwrap().as_str(), "1.4.2");
    assert_eq!(custom.requested, "~1.4");
    let falco = lockfile.artifact(&ArtifactName::parse("falco-rules").unwrap()).unwrap();
    assert_eq!(falco.source.to_string(), "localhost:5000/rules/falco-rules");
    assert_eq!(falco.digest, Digest::of(b"localhost:5000/rules/falco-rules:5"));
    assert_eq!(lockfile.indexes.len(), 1);
    let mut asked = world.asked.clone();
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), world.asked.len());
}

#[test]
fn what_is_pinned_is_known_before_any_archive_is_looked_into() {
    let mut world = world();
    // The same archive under two names is one.
    let same = world.manifests[&("localhost:5000/rules/falco-rules".into(), "5".into())].clone();
    world.manifests.insert(("localhost:5000/acme/custom".into(), "1.4.2".into()), same);
    let lockfile = world.resolve(FLEET).unwrap();
    let archives = |lookup: &&Lookup| matches!(lookup, Lookup::Files { .. });
    assert_eq!(world.asked.iter().rev().take_while(archives).count(), 1, "{:?}", world.asked);
    assert_eq!(world.asked.iter().filter(archives).count(), 1);
    let mut without = lockfile.clone();
    let contents = without.artifacts.iter_mut().flat_map(|artifact| &mut artifact.contents);
    contents.for_each(|content| content.files.clear());
    assert_eq!(world.unlisted, [without]);
    assert!(lockfile.artifacts.iter().all(|artifact| !artifact.contents[0].files.is_empty()));
}

#[test]
fn what_cannot_be_is_said_at_its_place() {
    let fleet = FLEET.replace("falco-rules: \"5\"", "falco-rules: \"9\"").replace("~1.4", "~7");
    let findings = world().resolve(&fleet).unwrap_err();
    let lines: Vec<_> =
        findings.as_slice().iter().map(|finding| (finding.location.line, finding.message.clone())).collect();
    assert_eq!(lines.len(), 1, "{findings}");
    assert_eq!(lines[0].0, 6, "{findings}");
    let findings = world().resolve(&FLEET.replace("falco-rules", "no-such-rules")).unwrap_err();
    assert!(findings.to_string().contains("in none of the indexes (official)"), "{findings}");
}

#[test]
fn what_was_pinned_stays_until_it_is_to_be_updated_and_never_gets_lower() {
    let before = world().resolve(FLEET).unwrap();
    let mut moved = world();
    moved.manifests.insert(
        ("localhost:5000/acme/custom".into(), "1.4.9".into()),
        moved.manifests[&("localhost:5000/acme/custom".into(), "1.4.2".into())].clone(),
    );
    let after = |world: &mut World, lockfile: &Lockfile, update, may_lower| {
        world.resolve_after(FLEET, Some(Previous { lockfile, update, may_lower }))
    };
    assert_eq!(after(&mut moved, &before, Update::Nothing, false).unwrap(), before);
    assert!(moved.asked.is_empty(), "nothing is asked for what is pinned: {:?}", moved.asked);
    let names = BTreeSet::from([ArtifactName::parse("custom-rules").unwrap()]);
    let updated = after(&mut moved, &before, Update::Only(&names), false).unwrap();
    let tag = |lockfile: &Lockfile| lockfile.artifacts[0].tag.clone().unwrap().to_string();
    assert_eq!((tag(&before), tag(&updated)), ("1.4.2".to_string(), "1.4.9".to_string()));
    assert_eq!(updated.artifacts[1], before.artifacts[1]);
    assert_eq!(updated.indexes, before.indexes);
    let mut higher = before.clone();
    higher.artifacts[1].version = "9.0.0".into();
    let findings = after(&mut world(), &higher, Update::All, false).unwrap_err();
    assert!(findings.to_string().contains("lower than 9.0.0, which is locked"), "{findings}");
    assert!(after(&mut world(), &higher, Update::All, true).is_ok());
}
