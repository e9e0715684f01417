//! What a host would be after each step, for tests of the planner: a host that does what it is told.

use alloc::collections::BTreeSet;

use super::*;
use crate::artifact::ArtifactType;
use crate::composition::{Origin, PlacedFile, RulesFile};
use crate::falco_answers::Loaded;
use crate::generation::{DIRECTORY_MODE, FILE_MODE, MANIFEST, StagedFile};
use crate::ledger::Ledger;
use crate::lockfile::{LockedArtifact, LockedContent, LockedFile, Lockfile};
use crate::name::AbsolutePath;
use crate::next::next;
use crate::observed::{
    ConfigMode, Entry, Inclusion, ObservedFalco, ObservedGeneration, ObservedPlugin, Permissions, Pointer, RunningFalco,
};
use crate::outcome::{Evidence, Outcome, Validation};

/// How the simulated Falco takes what it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    Obeys,
    Refuses,
    NeverLoads,
}

/// A composition whose single artifact and repository file have this content.
pub(super) fn composition(revision: u8, rules: &str, own: Option<&str>) -> Composition {
    let name = ArtifactName::parse("falco-rules").unwrap();
    let entry = RelativePath::parse("falco_rules.yaml").unwrap();
    let (sha256, layer) = (Digest::of(rules.as_bytes()), Digest::of(alloc::format!("layer {rules}").as_bytes()));
    let size = rules.len() as u64;
    let content = LockedContent {
        platform: None,
        manifest: Digest::of(alloc::format!("manifest {rules}").as_bytes()),
        layer: layer.clone(),
        layer_size: 100,
        files: alloc::vec![LockedFile { path: entry.clone(), sha256: sha256.clone(), size }],
    };
    let artifact = LockedArtifact {
        name: name.clone(),
        kind: ArtifactType::Rulesfile,
        source: Source::parse("localhost:5000/falco-rules").unwrap(),
        requested: "1".into(),
        tag: None,
        version: rules.into(),
        digest: content.manifest.clone(),
        needed_by: Vec::new(),
        requirements: Vec::new(),
        dependencies: Vec::new(),
        contents: alloc::vec![content],
    };
    let placed = |path: &str, sha256: Digest, size: u64, origin: Origin| {
        RulesFile::Placed(PlacedFile { path: RelativePath::parse(path).unwrap(), sha256, size, origin })
    };
    let mut rules_files =
        alloc::vec![placed("rules/10-falco-rules.yaml", sha256, size, Origin::Artifact { name, entry, layer })];
    rules_files.extend(own.map(|own| {
        let path = RelativePath::parse("rules/own.yaml").unwrap();
        placed("rules/20-own.yaml", Digest::of(own.as_bytes()), own.len() as u64, Origin::Repository { path })
    }));
    Composition {
        revision: Revision::parse(&alloc::format!("{revision:02x}").repeat(20)).unwrap(),
        lockfile: Lockfile::new(Digest::of(rules.as_bytes()), Vec::new(), alloc::vec![artifact]),
        rules_files,
        plugins: Vec::new(),
        assets: Vec::new(),
        settings: BTreeMap::new(),
    }
}

/// The same with a plugin whose archive has this content.
pub(super) fn with_plugin(mut wanted: Composition, content: &str) -> Composition {
    let mut artifact = wanted.lockfile.artifacts.first().unwrap().clone();
    artifact.name = ArtifactName::parse("container").unwrap();
    artifact.kind = ArtifactType::Plugin;
    let locked = artifact.contents.first_mut().unwrap();
    locked.layer = Digest::of(content.as_bytes());
    let directory = RelativePath::parse(&alloc::format!("plugins/container-{}", locked.layer.short())).unwrap();
    let library = RelativePath::parse("libcontainer.so").unwrap();
    let mut file = locked.files.first().unwrap().clone();
    (file.path, file.sha256) = (library.clone(), Digest::of(b"library"));
    let plugin = PlacedPlugin {
        name: artifact.name.clone(),
        layer: locked.layer.clone(),
        directory: directory.clone(),
        library,
        files: alloc::vec![file],
    };
    wanted.settings.insert("plugins".into(), directory.as_str().into());
    wanted.lockfile.artifacts.push(artifact);
    wanted.plugins.push(plugin);
    wanted
}

/// A host on which nothing was ever placed, with a Falco that runs and tells what it has loaded.
pub(super) fn fresh_host() -> Observed {
    Observed {
        state: AbsolutePath::parse("/state").unwrap(),
        current: Pointer::Missing,
        generations: BTreeMap::new(),
        plugins: BTreeMap::new(),
        strays: BTreeMap::new(),
        blobs: BTreeSet::new(),
        ledger: Ledger::default(),
        falco: ObservedFalco {
            version: Some("0.44.1".into()),
            config_file: "/etc/falco/falco.yaml".into(),
            mode: ConfigMode::Include,
            names: BTreeSet::new(),
            edited: BTreeMap::new(),
            inclusion: Some(Inclusion::Included),
            running: Some(RunningFalco { pid: 7, started: 1 }),
            reloads: true,
            loaded: Some(Loaded::default()),
            restart: None,
            engine: None,
        },
    }
}

/// Carries the first `budget` steps out, as apply does; `None` is a crash before the outcome was written down.
pub(super) fn apply(host: &mut Observed, plan: &Plan, temper: Temper, budget: usize) -> Option<Outcome> {
    let mut validation = None;
    let mut outcome = Outcome::Unchanged;
    let (mut asked, mut restarted) = (false, false);
    for (done, step) in plan.steps.iter().enumerate() {
        if done >= budget {
            return None;
        }
        match step {
            Step::Fetch(fetch) => drop(host.blobs.insert(fetch.layer.clone())),
            Step::Copy(copy) => drop(host.blobs.insert(copy.sha256.clone())),
            Step::Place(plugin) => {
                assert!(host.blobs.contains(&plugin.layer));
                let file = |file: &LockedFile| {
                    let entry = Entry::File {
                        sha256: Some(file.sha256.clone()),
                        size: file.size,
                        permissions: Permissions::ours(FILE_MODE),
                    };
                    (file.path.clone(), entry)
                };
                let entries = Some(plugin.files.iter().map(file).collect());
                let root = Some(Entry::Directory { permissions: Permissions::ours(DIRECTORY_MODE) });
                host.plugins.insert(plugin.directory.clone(), ObservedPlugin { root, entries });
            }
            Step::Stage(draft) => stage(host, draft),
            Step::Validate { generation } if temper == Temper::Refuses => {
                return Some(Outcome::Refused { generation: *generation, reason: "no".into() });
            }
            Step::Validate { .. } => validation = Some(Validation::DryRun),
            Step::Activate { generation, record } => {
                host.ledger = host.ledger.with_trial(*generation, record.clone());
                recall(host);
                host.current = Pointer::Generation(*generation);
                look_at_falco_yaml(host);
            }
            Step::Edit { generation } => {
                assert_eq!(host.current, Pointer::Generation(*generation), "falco.yaml never names what is not live");
                host.falco.names = BTreeSet::from([*generation]);
                look_at_falco_yaml(host);
            }
            Step::Reload { .. } => {
                asked = true;
                if temper == Temper::Obeys {
                    load(host);
                }
            }
            Step::Restart { pid, .. } => {
                (asked, restarted) = (true, true);
                host.falco.running = Some(RunningFalco { pid: pid + 1, started: 3 });
                if temper != Temper::NeverLoads {
                    load(host);
                }
            }
            Step::Confirm(confirm) => {
                let generation = confirm.generation;
                let falco = host.falco.running.clone();
                let tells = falco.is_some() && host.falco.loaded.is_some();
                let has_loaded = host.has_loaded_keys(host.live_record().unwrap());
                if asked && tells && !has_loaded {
                    return Some(Outcome::NotConfirmed { generation, reason: "deaf".into(), falco, restarted });
                }
                let included = host.falco.inclusion == Some(Inclusion::Included);
                // By falco.yaml it goes on with what it had.
                let goes_on = host.edits() && host.ledger.good == Some(generation) && host.falco.loaded.is_none();
                let unasked = falco.filter(|_| included && !asked && !has_loaded && !goes_on);
                let evidence = if has_loaded { Evidence::Sha256 } else { Evidence::None };
                outcome = Outcome::Confirmed { generation, evidence, validation, unasked };
            }
            Step::Prune { generations, plugins, blobs, strays } => {
                host.strays.retain(|path, _| !strays.contains(path));
                host.plugins.retain(|directory, _| !plugins.contains(directory));
                generations.iter().for_each(|number| drop(host.generations.remove(number)));
                host.blobs.retain(|blob| !blobs.contains(blob));
                host.ledger = host.ledger.without_records(generations);
            }
        }
    }
    Some(outcome)
}

/// One pass as the agent runs it: plan, apply, remember. Gives the plan.
pub(super) fn pass(host: &mut Observed, wanted: &Composition, temper: Temper, budget: usize) -> Plan {
    look_at_falco_yaml(host);
    let version = host.falco.version.clone();
    let held = host.ledger.held(&wanted.content_digest(), version.as_deref()).cloned();
    let held = held.filter(|_| !host.has_taken_up(wanted));
    let (target, wanted) = match held.as_ref().map(|held| host.instead_of(held).cloned()) {
        None => (Target::Desired, wanted.clone()),
        Some(Some(good)) => (Target::LastGood, good.composition),
        Some(None) => {
            return Plan {
                revision: wanted.revision.clone(),
                changes: Vec::new(),
                drift: Vec::new(),
                steps: Vec::new(),
            };
        }
    };
    let plan = plan(&wanted, target, host, DriftMode::Heal).unwrap();
    assert_eq!(breaches(&plan, host), [], "{plan:#?}");
    if let Some(outcome) = apply(host, &plan, temper, budget) {
        host.ledger = next(&host.ledger, &wanted, target, version.as_deref(), &outcome);
    }
    plan
}

fn stage(host: &mut Observed, draft: &Draft) {
    for StagedFile { bytes, file } in &draft.files {
        match bytes {
            crate::generation::Bytes::Archive { layer, .. } => assert!(host.blobs.contains(layer)),
            crate::generation::Bytes::Blob => assert!(host.blobs.contains(&file.sha256)),
            crate::generation::Bytes::Text(text) => assert_eq!(Digest::of(text.as_bytes()), file.sha256),
        }
    }
    let whole = |sha256: &Digest, size| Entry::File {
        sha256: Some(sha256.clone()),
        size,
        permissions: Permissions::ours(FILE_MODE),
    };
    let mut entries: BTreeMap<_, _> = draft
        .files
        .iter()
        .map(|staged| (staged.file.path.clone(), whole(&staged.file.sha256, staged.file.size)))
        .collect();
    entries.insert(RelativePath::parse(MANIFEST).unwrap(), whole(&draft.digest(), draft.manifest.len() as u64));
    let directory = Entry::Directory { permissions: Permissions::ours(DIRECTORY_MODE) };
    entries.insert(RelativePath::parse("rules").unwrap(), directory.clone());
    let generation =
        ObservedGeneration { root: Some(directory), record: Some(draft.record.clone()), entries: Some(entries) };
    host.generations.insert(draft.record.generation, generation);
}

/// A record is only believed when the ledger remembers its digest.
pub(super) fn recall(host: &mut Observed) {
    let ledger = host.ledger.clone();
    for (number, generation) in &mut host.generations {
        if ledger.record_digest(*number).is_none() {
            generation.record = None;
        }
    }
}

/// What Falco has been told to load.
fn named(host: &Observed) -> Option<&ObservedGeneration> {
    match host.edits() {
        true => host.generations.get(host.falco.names.first()?),
        false => host.live().map(|(_, generation)| generation),
    }
}

/// A falco.yaml with our keys is right when they are those of what is live.
fn look_at_falco_yaml(host: &mut Observed) {
    if host.edits() {
        let placed = host.placed_record().map(|record| BTreeSet::from([record.generation])).unwrap_or_default();
        let is_right = placed == host.falco.names;
        host.falco.edited = host.generations.keys().map(|number| (*number, with_keys_of(*number))).collect();
        host.falco.inclusion = Some(if is_right { Inclusion::Included } else { Inclusion::Not("other keys".into()) });
    }
}

/// The digest of falco.yaml with the keys of a generation in it.
fn with_keys_of(number: GenerationNumber) -> Digest {
    Digest::of(alloc::format!("keys of {number}").as_bytes())
}

/// What a process has loaded that starts now, or reloads; a Falco that does not tell goes on not telling.
pub(super) fn load(host: &mut Observed) {
    let Some(generation) = named(host) else { return };
    if host.falco.loaded.is_none() {
        return;
    }
    let mut rules_files: BTreeMap<String, Vec<Digest>> = BTreeMap::new();
    for (path, entry) in generation.entries.iter().flatten() {
        if let (true, Entry::File { sha256: Some(sha256), .. }) = (path.as_str().starts_with("rules/"), entry) {
            rules_files.entry(path.base_name().into()).or_default().push(sha256.clone());
        }
    }
    let mut loaded = Loaded::of_rules(rules_files);
    if let (true, Some(number)) = (host.edits(), host.falco.names.first()) {
        loaded = loaded.with_config("falco.yaml", with_keys_of(*number));
    }
    host.falco.loaded = Some(loaded);
}
