use super::simulation::{Temper, composition, fresh_host, pass};
use super::tests::{kinds, names, tamper};
use super::*;
use crate::diff::Cause;
use crate::generation::{DIRECTORY_MODE, FILE_MODE};
use crate::observed::{Entry, Permissions};

const ALL: usize = usize::MAX;

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

fn placed() -> (Observed, Composition) {
    let (mut host, wanted) = (fresh_host(), composition(1, "a", None));
    pass(&mut host, &wanted, Temper::Obeys, ALL);
    (host, wanted)
}

fn stray(host: &mut Observed, at: &str) {
    host.strays.insert(path(at), Entry::Other("somebody's".into()));
}

#[test]
fn a_kind_that_is_only_reported_is_healed_with_others_and_not_alone() {
    let (mut host, wanted) = placed();
    let generation = host.generations.get_mut(&GenerationNumber(1)).unwrap();
    generation.root = Some(Entry::Directory { permissions: Permissions::ours(0o777) });
    let policy =
        DriftPolicy { kinds: [(DriftKind::Mode, DriftMode::Report)].into(), ..DriftPolicy::from(DriftMode::Heal) };
    let left = plan(&wanted, Target::Desired, &host, &policy).unwrap();
    assert_eq!((left.steps.len(), left.changes.len(), left.drift.len()), (0, 0, 1));
    tamper(&mut host, 1);
    let healed = plan(&wanted, Target::Desired, &host, &policy).unwrap();
    assert_eq!(kinds(&healed), [ChangeKind::Heal, ChangeKind::Heal], "a new generation is whole");
}

#[test]
fn what_was_never_ours_goes_without_a_reload_or_stays_as_drift() {
    let (mut host, wanted) = placed();
    stray(&mut host, "generations/backup");
    stray(&mut host, "generations/9");
    let healed = plan(&wanted, Target::Desired, &host, DriftMode::Heal).unwrap();
    assert_eq!((names(&healed), kinds(&healed)), (alloc::vec!["prune"], alloc::vec![ChangeKind::Heal; 2]));
    assert!(healed.changes.iter().all(|change| change.kind.cause() == Cause::Corrective));
    let left = plan(&wanted, Target::Desired, &host, DriftMode::Report).unwrap();
    assert_eq!((left.steps.len(), left.drift.len()), (0, 2));
    // An update prunes what is ours, and leaves what was only to be reported.
    host.generations.insert(GenerationNumber(9), crate::observed::ObservedGeneration::default());
    let update = plan(&composition(2, "b", None), Target::Desired, &host, DriftMode::Report).unwrap();
    assert!(!names(&update).contains(&"prune"), "{:?}", update.steps);
    assert_eq!(update.changes.iter().map(|change| change.kind.cause()).collect::<Vec<_>>(), [Cause::Intended]);
}

#[test]
fn what_current_names_is_not_removed_under_it() {
    let (mut host, wanted) = placed();
    host.generations.insert(GenerationNumber(9), crate::observed::ObservedGeneration::default());
    host.current = crate::observed::Pointer::Generation(GenerationNumber(9));
    stray(&mut host, "generations/9");
    let policy =
        DriftPolicy { kinds: [(DriftKind::Modified, DriftMode::Report)].into(), ..DriftPolicy::from(DriftMode::Heal) };
    assert_eq!(plan(&wanted, Target::Desired, &host, &policy).unwrap().steps, Vec::new());
    let healed = plan(&wanted, Target::Desired, &host, DriftMode::Heal).unwrap();
    assert_eq!(names(&healed).last(), Some(&"prune"));
}

#[test]
fn permissions_and_their_owner_are_told_apart() {
    let (mut host, wanted) = placed();
    let generation = host.generations.get_mut(&GenerationNumber(1)).unwrap();
    let permissions = Permissions { mode: 0o666, stranger: Some(1000) };
    let include = Entry::File { sha256: Some(Digest::of(b"x")), size: 1, permissions };
    generation.entries.as_mut().unwrap().insert(path(INCLUDE), include);
    let plan = plan(&wanted, Target::Desired, &host, DriftMode::Report).unwrap();
    let found: Vec<_> = plan.drift.iter().map(|drift| (drift.kind, &*drift.observed)).collect();
    assert_eq!(found[1..], [(DriftKind::Mode, "0666"), (DriftKind::Owner, "user 1000")]);
    assert_eq!((found[0].0, FILE_MODE, DIRECTORY_MODE), (DriftKind::Modified, 0o644, 0o755));
}

/// Somebody goes back; the commit that asked for what was live does not bring it back, and the next one is taken.
#[test]
fn what_was_rolled_back_stays_away_until_the_desired_state_changes() {
    let (old, new) = (composition(1, "a", None), composition(2, "b", None));
    for crash_after in [0, 1, 2, ALL] {
        let mut host = fresh_host();
        pass(&mut host, &old, Temper::Obeys, ALL);
        pass(&mut host, &new, Temper::Obeys, ALL);
        let ledger = host.ledger.with_rollback(
            new.revision.clone(),
            new.content_digest(),
            old.content_digest(),
            "rolled back".into(),
        );
        host.ledger = ledger;
        pass(&mut host, &new, Temper::Obeys, crash_after);
        for _ in 0..2 {
            pass(&mut host, &new, Temper::Obeys, ALL);
            assert_eq!(host.current, crate::observed::Pointer::Generation(GenerationNumber(1)), "{crash_after}");
            assert_eq!(host.ledger.good, Some(GenerationNumber(1)));
        }
        let kept = host.generations.contains_key(&GenerationNumber(2));
        assert!(kept, "the way forth stays");
        // Another Falco changes nothing about what somebody wanted.
        host.falco.version = Some("0.45.0".into());
        assert!(pass(&mut host, &new, Temper::Obeys, ALL).steps.is_empty());
        pass(&mut host, &composition(3, "c", None), Temper::Obeys, ALL);
        assert_eq!(host.ledger.held, Vec::new());
        pass(&mut host, &new, Temper::Obeys, ALL);
        assert_eq!(host.live_record().unwrap().composition.content_digest(), new.content_digest());
    }
}

#[test]
fn a_rollback_that_fails_is_forgotten() {
    let (old, new) = (composition(1, "a", None), composition(2, "b", None));
    let mut host = fresh_host();
    pass(&mut host, &old, Temper::Obeys, ALL);
    pass(&mut host, &new, Temper::Obeys, ALL);
    let (content, instead) = (new.content_digest(), old.content_digest());
    host.ledger = host.ledger.with_rollback(new.revision.clone(), content, instead.clone(), "rolled back".into());
    pass(&mut host, &new, Temper::Refuses, ALL);
    assert!(host.ledger.held.iter().all(|held| held.instead.is_none() && held.content == instead));
    pass(&mut host, &new, Temper::Obeys, ALL);
    assert_eq!(host.current, crate::observed::Pointer::Generation(GenerationNumber(2)));
    assert_eq!(host.ledger.good, Some(GenerationNumber(2)));
}
