use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::drift::DriftKind;
use crate::name::HostName;
use crate::next::Next;
use crate::outcome::Validation;
use crate::remedy::Remedy;

fn status(condition: Condition, revision: char) -> Status {
    let revision = Revision::parse(&revision.to_string().repeat(40)).unwrap();
    Status {
        host: HostName::parse("web-1").unwrap(),
        revision: Some(revision.clone()),
        wanted: Some(revision),
        generation: Some(GenerationNumber(1)),
        condition,
        reason: String::new(),
        evidence: Evidence::None,
        validation: Validation::Unvalidated,
        falco: "absent".to_string(),
        artifacts: vec![],
        files: vec![],
        changes: vec![],
        drift: vec![],
        error: None,
        notes: vec![],
        opens: None,
        report: None,
        next: Next { who: "agent".to_string(), hint: String::new() },
    }
}

fn change(kind: ChangeKind) -> Change {
    Change { kind, name: "rules".to_string(), because: "commit".to_string() }
}

fn drift(path: &str) -> Drift {
    let text = |text: &str| text.to_string();
    Drift { kind: DriftKind::Modified, path: text(path), expected: text("a"), observed: text("b") }
}

fn failing(message: &str) -> Status {
    let error = StatusError { message: message.to_string(), remedy: Remedy::Time, hint: None };
    Status { error: Some(error), reason: message.to_string(), ..status(Condition::Failed, 'a') }
}

/// The kinds of the events that passes with these statuses were.
fn told(passes: impl IntoIterator<Item = Status>) -> Vec<&'static str> {
    let mut last = None;
    let mut kinds = Vec::new();
    for (at, status) in passes.into_iter().enumerate() {
        if let Some(event) = Event::of(&status, last.as_ref(), at as u64) {
            kinds.push(event.kind.as_str());
            last = Some(event);
        }
    }
    kinds
}

#[test]
fn a_pass_that_says_nothing_new_is_no_event() {
    let well = || status(Condition::InSync, 'a');
    let with = |kind, condition| Status { changes: vec![change(kind)], ..status(condition, 'a') };
    let drifted = |path| Status { drift: vec![drift(path)], ..status(Condition::Drifted, 'a') };
    assert_eq!(told([well(), well()]), [""; 0]);
    assert_eq!(told([with(ChangeKind::Add, Condition::InSync), well(), well()]), ["changed"]);
    assert_eq!(told([well(), status(Condition::InSync, 'b')]), [""; 0], "nothing is known of what was before");
    let added = || with(ChangeKind::Add, Condition::InSync);
    assert_eq!(
        told([added(), status(Condition::InSync, 'b'), status(Condition::InSync, 'b')]),
        ["changed", "advanced"]
    );
    let healed = || Status { drift: vec![drift("/x")], ..with(ChangeKind::Heal, Condition::InSync) };
    assert_eq!(told([added(), healed(), well(), healed()]), ["changed", "healed", "healed"]);
    assert_eq!(told([drifted("/x"), drifted("/x"), drifted("/y"), well()]), ["drifted", "drifted", "recovered"]);
    assert_eq!(told([failing("a"), failing("a"), failing("b"), well(), well()]), ["failed", "failed", "recovered"]);
    let failing_at_work = || Status { changes: vec![change(ChangeKind::Update)], ..failing("a") };
    assert_eq!(told([failing_at_work(), failing_at_work(), well()]), ["failed", "recovered"]);
    let rolled_back = with(ChangeKind::Restore, Condition::RolledBack);
    assert_eq!(told([rolled_back, status(Condition::RolledBack, 'a'), well()]), ["rolled-back", "recovered"]);
}

#[test]
fn events_survive_as_lines_and_a_torn_line_costs_one_event() {
    let mut file = Vec::new();
    for at in 0..3 {
        let event = Event::of(&failing("no route"), None, at).unwrap();
        let line = line(&event, &file).unwrap();
        file.extend_from_slice(line.as_bytes());
    }
    assert_eq!(parse(&file).iter().map(|event| event.at).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(last(&file), Some(parse(&file)[2].clone()));
    file.truncate(file.len() - 20);
    assert_eq!(last(&file).unwrap().at, 1);
    let event = Event::of(&failing("no route"), None, 9).unwrap();
    let line = line(&event, &file).unwrap();
    file.extend_from_slice(line.as_bytes());
    assert_eq!(parse(&file).iter().map(|event| event.at).collect::<Vec<_>>(), [0, 1, 9]);
}

#[test]
fn what_is_kept_is_bounded_whatever_the_events_are() {
    let long = Status {
        changes: vec![Change { because: "é".repeat(100_000), ..change(ChangeKind::Add) }; 1000],
        drift: vec![drift("/x"); 60],
        ..failing(&"m".repeat(1 << 20))
    };
    let event = Event::of(&long, None, 1).unwrap();
    assert_eq!((event.changes.len(), event.drift.len(), event.omitted), (50, 50, 960));
    for (status, rounds) in [(long, 8), (failing("short"), 800)] {
        let mut file: Vec<u8> = Vec::new();
        for at in 0..rounds {
            let line = line(&Event::of(&status, None, at).unwrap(), &file).unwrap();
            file = kept(&file, &line).unwrap_or(file);
            file.extend_from_slice(line.as_bytes());
            assert!(
                file.len() <= BYTES_AT_MOST && file.iter().filter(|byte| **byte == b'\n').count() <= EVENTS_AT_MOST
            );
            assert_eq!(last(&file).unwrap().at, at);
        }
        let events = parse(&file);
        assert!(events.windows(2).all(|pair| pair[0].at + 1 == pair[1].at), "the newest, without a gap");
        assert!(events.len() >= 3, "{}", events.len());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), torn in 0..400_usize) {
        let event = Event::of(&failing("x"), None, 1).unwrap();
        let mut file = line(&event, &bytes).unwrap().into_bytes();
        file.truncate(torn);
        let _any = (parse(&file), last(&file), kept(&file, &format!("{torn}")));
    }
}
