use alloc::collections::BTreeSet;

use super::simulation::{Temper, apply, composition, fresh_host, load, pass, recall, with_plugin};
use super::*;
use crate::drift::is_intact;
use crate::falco_answers::Loaded;
use crate::generation::{DIRECTORY_MODE, FILE_MODE};
use crate::ledger::Attachment;
use crate::observed::{ConfigMode, Entry, Inclusion, ObservedPlugin, Permissions, Pointer};

mod histories;

const ALL: usize = usize::MAX;

pub(super) fn names(plan: &Plan) -> Vec<&'static str> {
    let name = |step: &Step| match step {
        Step::Fetch(_) => "fetch",
        Step::Copy(_) => "copy",
        Step::Place(_) => "place",
        Step::Stage(_) => "stage",
        Step::Validate { .. } => "validate",
        Step::Activate { .. } => "activate",
        Step::Edit { .. } => "edit",
        Step::Reload { .. } => "reload",
        Step::Restart { .. } => "restart",
        Step::Confirm(_) => "confirm",
        Step::Prune { .. } => "prune",
    };
    plan.steps.iter().map(name).collect()
}

pub(super) fn kinds(plan: &Plan) -> Vec<ChangeKind> {
    plan.changes.iter().map(|change| change.kind).collect()
}

fn live_rules(host: &mut Observed, number: u64) -> &mut Entry {
    let generation = host.generations.get_mut(&GenerationNumber(number)).unwrap();
    generation.entries.as_mut().unwrap().get_mut(&RelativePath::parse("rules/10-falco-rules.yaml").unwrap()).unwrap()
}

pub(super) fn tamper(host: &mut Observed, number: u64) {
    *live_rules(host, number) =
        Entry::File { sha256: Some(Digest::of(b"evil")), size: 4, permissions: Permissions::ours(FILE_MODE) };
}

#[test]
fn first_pass_places_everything_and_the_second_has_nothing_to_do() {
    let (mut host, wanted) = (fresh_host(), composition(1, "a", Some("own")));
    let first = pass(&mut host, &wanted, Temper::Obeys, ALL);
    assert_eq!(names(&first), ["fetch", "copy", "stage", "validate", "activate", "reload", "confirm"]);
    assert_eq!(kinds(&first), [ChangeKind::Add, ChangeKind::Add]);
    assert_eq!(host.ledger.good, Some(GenerationNumber(1)));
    let second = pass(&mut host, &wanted, Temper::Obeys, ALL);
    assert!(second.steps.is_empty() && second.changes.is_empty() && second.drift.is_empty(), "{second:?}");
}

#[test]
fn a_commit_that_changes_nothing_loaded_is_no_change() {
    let mut host = fresh_host();
    pass(&mut host, &composition(1, "a", None), Temper::Obeys, ALL);
    let plan = pass(&mut host, &composition(2, "a", None), Temper::Obeys, ALL);
    assert!(plan.steps.is_empty());
    assert_eq!(host.ledger.applied.as_ref().unwrap().as_str(), "02".repeat(20));
}

#[test]
fn the_same_rules_under_another_version_are_an_update() {
    let mut host = fresh_host();
    pass(&mut host, &composition(1, "a", None), Temper::Obeys, ALL);
    let mut wanted = composition(2, "a", None);
    wanted.lockfile.artifacts[0].version = "published again".into();
    let plan = pass(&mut host, &wanted, Temper::Obeys, ALL);
    assert_eq!(kinds(&plan), [ChangeKind::Update]);
    assert_eq!(host.live_record().unwrap().composition.lockfile, wanted.lockfile);
    assert!(pass(&mut host, &wanted, Temper::Obeys, ALL).steps.is_empty());
}

#[test]
fn an_update_is_a_new_generation_and_old_ones_are_pruned() {
    let mut host = fresh_host();
    for (revision, rules) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        pass(&mut host, &composition(revision as u8, rules, None), Temper::Obeys, ALL);
    }
    assert_eq!(host.current, Pointer::Generation(GenerationNumber(5)));
    assert_eq!(host.generations.keys().map(|number| number.0).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(host.blobs.len(), KEEP_GENERATIONS);
}

#[test]
fn tampering_is_healed_by_a_new_generation_that_says_so() {
    let (mut host, wanted) = (fresh_host(), composition(1, "a", None));
    pass(&mut host, &wanted, Temper::Obeys, ALL);
    tamper(&mut host, 1);
    let plan = pass(&mut host, &wanted, Temper::Obeys, ALL);
    assert_eq!(kinds(&plan), [ChangeKind::Heal]);
    assert_eq!(plan.drift.iter().map(|drift| drift.kind).collect::<Vec<_>>(), [DriftKind::Modified]);
    assert_eq!(names(&plan), ["stage", "validate", "activate", "reload", "confirm"]);
    assert_eq!(host.live_record().unwrap().corrects, plan.drift);
    assert!(pass(&mut host, &wanted, Temper::Obeys, ALL).drift.is_empty());
}

#[test]
fn whoever_may_write_into_a_generation_is_drift() {
    let stranger = Permissions { mode: DIRECTORY_MODE, stranger: Some(1000) };
    let open = Permissions::ours(0o775);
    for (permissions, kind, seen) in [(stranger, DriftKind::Owner, "user 1000"), (open, DriftKind::Mode, "0775")] {
        let (mut host, wanted) = (fresh_host(), composition(1, "a", None));
        pass(&mut host, &wanted, Temper::Obeys, ALL);
        let generation = host.generations.get_mut(&GenerationNumber(1)).unwrap();
        generation.root = Some(Entry::Directory { permissions });
        let rules = RelativePath::parse("rules").unwrap();
        generation.entries.as_mut().unwrap().insert(rules, Entry::Directory { permissions });
        assert!(!is_intact(&host, GenerationNumber(1)));
        let plan = pass(&mut host, &wanted, Temper::Obeys, ALL);
        let found: Vec<_> = plan.drift.iter().map(|drift| (drift.kind, &*drift.path, &*drift.observed)).collect();
        let modes = ["/state/generations/1", "/state/generations/1/rules"].map(|path| (kind, path, seen));
        assert_eq!(found, modes);
        assert_eq!(host.current, Pointer::Generation(GenerationNumber(2)));
    }
}

#[test]
fn in_report_mode_drift_is_said_and_left_and_commits_still_come() {
    let (mut host, wanted) = (fresh_host(), composition(1, "a", None));
    pass(&mut host, &wanted, Temper::Obeys, ALL);
    tamper(&mut host, 1);
    let report = plan(&wanted, Target::Desired, &host, DriftMode::Report).unwrap();
    assert!(report.steps.is_empty() && report.drift.len() == 1);
    host.current = Pointer::Missing;
    let report = plan(&wanted, Target::Desired, &host, DriftMode::Report).unwrap();
    assert!(report.steps.is_empty() && report.drift.len() == 2, "the pointer, and what it should name: {report:?}");
    let update = plan(&composition(2, "b", None), Target::Desired, &host, DriftMode::Report).unwrap();
    assert!(names(&update).contains(&"activate"));
}

#[test]
fn a_pointer_that_was_moved_comes_back_to_the_same_generation() {
    let mut host = fresh_host();
    pass(&mut host, &composition(1, "a", None), Temper::Obeys, ALL);
    let wanted = composition(2, "b", None);
    pass(&mut host, &wanted, Temper::Obeys, ALL);
    for pointer in [Pointer::Missing, Pointer::Foreign("a directory".into()), Pointer::Generation(GenerationNumber(1))]
    {
        host.current = pointer;
        let plan = pass(&mut host, &wanted, Temper::Obeys, ALL);
        assert_eq!(kinds(&plan), [ChangeKind::Heal]);
        assert_eq!(names(&plan), ["activate", "reload", "confirm"]);
        assert_eq!(host.current, Pointer::Generation(GenerationNumber(2)));
    }
}

#[test]
fn a_refused_generation_never_becomes_live_and_is_not_tried_again() {
    let (mut host, bad) = (fresh_host(), composition(2, "b", None));
    pass(&mut host, &composition(1, "a", None), Temper::Obeys, ALL);
    let plan = pass(&mut host, &bad, Temper::Refuses, ALL);
    assert!(names(&plan).contains(&"validate"));
    assert_eq!(host.current, Pointer::Generation(GenerationNumber(1)));
    assert!(pass(&mut host, &bad, Temper::Obeys, ALL).steps.is_empty(), "held until something changes");
    host.falco.version = Some("0.45.0".into());
    assert!(!pass(&mut host, &bad, Temper::Obeys, ALL).steps.is_empty(), "another Falco may take it");
}

#[test]
fn what_falco_does_not_take_up_is_rolled_back_by_an_ordinary_plan() {
    let (mut host, bad) = (fresh_host(), composition(2, "b", None));
    pass(&mut host, &composition(1, "a", None), Temper::Obeys, ALL);
    pass(&mut host, &bad, Temper::NeverLoads, ALL);
    assert_eq!(host.current, Pointer::Generation(GenerationNumber(2)), "it was live");
    let plan = pass(&mut host, &bad, Temper::Obeys, ALL);
    assert_eq!(kinds(&plan), [ChangeKind::Restore]);
    assert_eq!(names(&plan).first(), Some(&"activate"), "{plan:?}");
    assert_eq!(host.current, Pointer::Generation(GenerationNumber(1)));
    let plan = pass(&mut host, &bad, Temper::Obeys, ALL);
    assert!(plan.steps.is_empty(), "no flapping: {plan:?}");
}

#[test]
fn a_falco_that_does_not_listen_is_asked_once() {
    let (mut host, wanted) = (fresh_host(), composition(1, "a", None));
    pass(&mut host, &wanted, Temper::Obeys, ALL);
    host.falco.loaded = Some(crate::falco_answers::Loaded::default());
    let plan = pass(&mut host, &wanted, Temper::NeverLoads, ALL);
    assert_eq!(kinds(&plan), [ChangeKind::Reload]);
    let plan = pass(&mut host, &wanted, Temper::NeverLoads, ALL);
    assert!(plan.steps.is_empty() && plan.drift.iter().all(|drift| drift.kind == DriftKind::NotLoaded));
    host.falco.running = Some(crate::observed::RunningFalco { pid: 8, started: 2 });
    assert!(!pass(&mut host, &wanted, Temper::Obeys, ALL).steps.is_empty(), "a new process is asked again");
}

#[test]
fn a_plugin_is_placed_before_what_needs_it_and_healed_and_pruned() {
    let mut host = fresh_host();
    let with_plugin = |revision, content: &str| with_plugin(composition(revision, "a", None), content);
    let wanted = with_plugin(1, "one");
    let plan = pass(&mut host, &wanted, Temper::Obeys, ALL);
    assert_eq!(names(&plan), ["fetch", "fetch", "place", "stage", "validate", "activate", "reload", "confirm"]);
    assert!(pass(&mut host, &wanted, Temper::Obeys, ALL).steps.is_empty());
    let directory = wanted.plugins.first().unwrap().directory.clone();
    let empty = ObservedPlugin { root: None, entries: Some(BTreeMap::new()) };
    host.plugins.insert(directory, empty);
    let plan = pass(&mut host, &wanted, Temper::Obeys, ALL);
    assert_eq!(plan.drift.iter().map(|drift| drift.kind).collect::<Vec<_>>(), [DriftKind::Missing]);
    assert_eq!(names(&plan), ["place", "stage", "validate", "activate", "reload", "confirm"]);
    for (revision, content) in [(2, "two"), (3, "three"), (4, "four"), (5, "five")] {
        pass(&mut host, &with_plugin(revision, content), Temper::Obeys, ALL);
    }
    assert_eq!(host.plugins.len(), KEEP_GENERATIONS, "a plugin stays as long as a generation that needs it");
}

#[test]
fn a_host_whose_falco_does_not_include_us_is_told() {
    let (mut host, wanted) = (fresh_host(), composition(1, "a", None));
    host.falco.inclusion = Some(Inclusion::Not("no entry".into()));
    host.falco.loaded = None;
    let plan = plan(&wanted, Target::Desired, &host, DriftMode::Heal).unwrap();
    assert!(!names(&plan).contains(&"reload"));
}

/// A host whose falco.yaml a pass writes.
fn edited_host() -> Observed {
    let mut host = fresh_host();
    host.falco.mode = ConfigMode::Edit;
    host.ledger.attachment = Attachment::Edit;
    host.falco.inclusion = Some(Inclusion::Not("own keys".into()));
    host
}

#[test]
fn the_keys_in_falco_yaml_follow_what_is_live_and_are_healed() {
    let (mut host, wanted) = (edited_host(), composition(1, "a", None));
    let steps = ["fetch", "stage", "validate", "activate", "edit", "reload", "confirm"];
    assert_eq!(names(&pass(&mut host, &wanted, Temper::Obeys, ALL)), steps);
    assert!(pass(&mut host, &wanted, Temper::Obeys, ALL).steps.is_empty());
    host.falco.names.clear();
    host.falco.inclusion = Some(Inclusion::Not("other keys".into()));
    let report = plan(&wanted, Target::Desired, &host, DriftMode::Report).unwrap();
    assert!(report.steps.is_empty() && report.drift.len() == 1, "{report:?}");
    let healed = pass(&mut host, &wanted, Temper::Obeys, ALL);
    let steps = vec!["edit", "confirm"];
    assert_eq!((kinds(&healed), names(&healed)), (vec![ChangeKind::Heal], steps), "Falco had not read the other keys");
    host.falco.names.clear();
    host.falco.loaded = Some(Loaded::default().with_config("falco.yaml", Digest::of(b"other keys")));
    let healed = pass(&mut host, &wanted, Temper::Obeys, ALL);
    assert_eq!((kinds(&healed), names(&healed)), (vec![ChangeKind::Heal], vec!["edit", "reload", "confirm"]));
    pass(&mut host, &composition(2, "b", None), Temper::NeverLoads, ALL);
    let back = pass(&mut host, &composition(2, "b", None), Temper::Obeys, ALL);
    assert_eq!(names(&back), ["activate", "edit", "confirm"], "rolled back like any other, to what Falco still has");
    assert_eq!(host.falco.names.iter().map(|number| number.0).collect::<Vec<_>>(), [1]);
}

#[test]
fn falco_goes_by_falco_yaml_when_somebody_moves_the_pointer() {
    for tells in [true, false] {
        let (mut host, wanted) = (edited_host(), composition(1, "a", None));
        pass(&mut host, &wanted, Temper::Obeys, ALL);
        if !tells {
            host.falco.loaded = None;
        }
        for pointer in
            [Pointer::Missing, Pointer::Foreign("a directory".into()), Pointer::Generation(GenerationNumber(9))]
        {
            host.current = pointer;
            let healed = pass(&mut host, &wanted, Temper::Obeys, ALL);
            assert_eq!(healed.drift.iter().filter(|drift| drift.kind == DriftKind::Config).count(), 0, "{healed:?}");
            assert_eq!(names(&healed), ["activate", "confirm"]);
            assert_eq!(
                (host.current.clone(), host.ledger.deaf.is_some()),
                (Pointer::Generation(GenerationNumber(1)), false)
            );
            assert!(pass(&mut host, &wanted, Temper::Obeys, ALL).steps.is_empty());
        }
    }
}

#[test]
fn a_falco_yaml_that_cannot_be_edited_is_not_planned_to_be() {
    let (mut host, wanted) = (edited_host(), composition(1, "a", None));
    pass(&mut host, &wanted, Temper::Obeys, ALL);
    host.falco.inclusion = Some(Inclusion::Not("a torn block".into()));
    host.falco.edited.clear();
    let left = plan(&wanted, Target::Desired, &host, DriftMode::Heal).unwrap();
    assert_eq!((left.drift.len(), left.steps.len(), left.changes.len()), (1, 0, 0), "{left:?}");
}

#[test]
fn a_falco_that_did_not_read_falco_yaml_again_is_not_well() {
    let (mut host, wanted) = (edited_host(), composition(1, "a", None));
    pass(&mut host, &wanted, Temper::Obeys, ALL);
    tamper(&mut host, 1);
    // The same rules at another path: only falco.yaml tells that they were not read from there.
    pass(&mut host, &wanted, Temper::NeverLoads, ALL);
    assert!(host.deaf().is_some_and(|deaf| deaf.asked && deaf.generation == GenerationNumber(2)));
    load(&mut host);
    assert!(host.deaf().is_none());
}

#[test]
fn a_generation_that_falco_yaml_names_is_kept_whatever_else_is_live() {
    let mut host = edited_host();
    for (revision, rules) in ["a", "b", "c"].into_iter().enumerate() {
        pass(&mut host, &composition(revision as u8, rules, None), Temper::Obeys, ALL);
    }
    host.falco.names = BTreeSet::from([GenerationNumber(1)]);
    let update = plan(&composition(4, "d", None), Target::Desired, &host, DriftMode::Heal).unwrap();
    let pruned =
        |step: &Step| matches!(step, Step::Prune { generations, .. } if generations.contains(&GenerationNumber(1)));
    assert!(!update.steps.iter().any(pruned), "{:?}", names(&update));
    host.falco.names.clear();
    let update = plan(&composition(4, "d", None), Target::Desired, &host, DriftMode::Heal).unwrap();
    assert!(update.steps.iter().any(pruned), "{:?}", names(&update));
}

#[test]
fn a_falco_yaml_that_was_not_adopted_for_it_is_left_alone() {
    let (mut host, wanted) = (edited_host(), composition(1, "a", None));
    pass(&mut host, &wanted, Temper::Obeys, ALL);
    host.ledger.attachment = Attachment::Include;
    host.falco.inclusion = Some(Inclusion::Not("never adopted".into()));
    let left = plan(&wanted, Target::Desired, &host, DriftMode::Heal).unwrap();
    assert_eq!(left.drift.iter().map(|drift| drift.kind).collect::<Vec<_>>(), [DriftKind::Config]);
    assert!(left.steps.is_empty());
    let update = plan(&composition(2, "b", None), Target::Desired, &host, DriftMode::Heal).unwrap();
    assert_eq!(names(&update), ["fetch", "stage", "validate", "activate", "confirm"]);
}

#[test]
fn a_plan_cut_off_after_any_step_is_finished_by_the_next_pass() {
    let wanted = composition(2, "b", Some("own"));
    for (fresh, budget) in [fresh_host, edited_host].into_iter().flat_map(|fresh| (0..=9).map(move |n| (fresh, n))) {
        let mut host = fresh();
        pass(&mut host, &composition(1, "a", None), Temper::Obeys, ALL);
        let cut = plan(&wanted, Target::Desired, &host, DriftMode::Heal).unwrap();
        let _crashed = apply(&mut host, &cut, Temper::Obeys, budget);
        recall(&mut host);
        let named = host.falco.names.iter().all(|number| is_intact(&host, *number));
        assert!(named, "what falco.yaml names is whole after {budget} steps");
        pass(&mut host, &wanted, Temper::Obeys, ALL);
        assert!(host.live_record().unwrap().composition.loads_same_as(&wanted), "after {budget} steps");
        assert!(host.has_loaded(host.live_record().unwrap()), "after {budget} steps");
        assert!(pass(&mut host, &wanted, Temper::Obeys, ALL).steps.is_empty(), "after {budget} steps");
    }
}
