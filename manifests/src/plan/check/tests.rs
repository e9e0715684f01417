use alloc::vec;

use super::super::simulation::{Temper, composition, fresh_host, pass, with_plugin};
use super::super::{Copy, DriftMode, Step, Target, plan};
use super::*;
use crate::observed::{Pointer, Restarter};

/// A host with two generations, and the plan for a third with a plugin, after which something is pruned.
fn sound() -> (Plan, Observed) {
    let mut host = fresh_host();
    for (revision, rules) in [(1, "a"), (2, "b"), (3, "c")] {
        pass(&mut host, &composition(revision, rules, Some("own")), Temper::Obeys, usize::MAX);
    }
    let wanted = with_plugin(composition(4, "d", Some("other")), "one");
    let plan = plan(&wanted, Target::Desired, &host, DriftMode::Heal).unwrap();
    assert_eq!(breaches(&plan, &host), []);
    (plan, host)
}

fn at(plan: &Plan, name: &str) -> usize {
    plan.steps.iter().position(|step| rank(step).1 == name).unwrap()
}

/// What the changed plan breaks.
fn broken(change: impl FnOnce(&mut Plan, &mut Observed)) -> Vec<String> {
    let (mut plan, mut host) = sound();
    change(&mut plan, &mut host);
    breaches(&plan, &host).into_iter().map(|breach| breach.to_string()).collect()
}

#[track_caller]
fn breaks(words: &str, change: impl FnOnce(&mut Plan, &mut Observed)) {
    let said = broken(change);
    assert!(said.iter().any(|said| said.contains(words)), "{words}: {said:#?}");
}

#[test]
fn no_step_can_be_left_out() {
    for (name, words) in [
        ("fetch", "is in the store before it is needed"),
        ("copy", "is in the store before it is needed"),
        ("place", "is on disk before what needs it is live"),
        ("stage", "is complete, durable and verified before it is live"),
        ("validate", "is validated before it is live"),
        ("activate", "what is confirmed is what is live"),
        ("confirm", "what becomes live is confirmed"),
    ] {
        breaks(words, |plan, _| drop(plan.steps.remove(at(plan, name))));
    }
    let (sound, _) = sound();
    for name in ["reload", "prune"] {
        let without = |plan: &mut Plan, _: &mut Observed| drop(plan.steps.remove(at(plan, name)));
        assert_eq!(broken(without), Vec::<String>::new(), "{name} may be left out: {sound:?}");
    }
}

#[test]
fn no_two_steps_can_change_places() {
    let (plan, host) = sound();
    for first in 0..plan.steps.len() - 1 {
        let mut other = plan.clone();
        other.steps.swap(first, first + 1);
        let phases = |plan: &Plan| plan.steps.iter().map(|step| rank(step).0).collect::<Vec<_>>();
        let same = phases(&other) == phases(&plan);
        assert_eq!(breaches(&other, &host).is_empty(), same, "{first}: {:?}", phases(&other));
    }
}

#[test]
fn a_change_has_one_commit_point_one_signal_and_one_confirmation() {
    for (name, words) in
        [("activate", "one commit point"), ("reload", "one reload or one restart"), ("confirm", "is confirmed once")]
    {
        breaks(words, |plan, _| {
            let step = at(plan, name);
            plan.steps.insert(step, plan.steps[step].clone());
        });
    }
    breaks("one reload or one restart", |plan, host| {
        host.falco.restart = Some(Restarter::Unit("falco.service".into()));
        let reload = at(plan, "reload");
        let by = Restarter::Unit("falco.service".into());
        plan.steps.insert(reload, Step::Restart { by, pid: 7, started: 1, because: "no reason".into() });
    });
}

#[test]
fn falco_is_asked_only_as_it_can_be() {
    breaks("does nothing with it", |_, host| host.falco.reloads = false);
    breaks("only the Falco that was found", |_, host| host.falco.running = None);
    breaks("does not include us", |_, host| host.falco.inclusion = None);
    breaks("only as its operator allows", |plan, _| {
        let reload = at(plan, "reload");
        let by = Restarter::Command(vec!["reboot".into()]);
        plan.steps[reload] = Step::Restart { by, pid: 7, started: 1, because: "no reason".into() };
    });
    breaks("after a complete generation is durably live", |plan, host| {
        plan.steps.retain(|step| rank(step).0 >= 6);
        host.current = Pointer::Missing;
    });
}

#[test]
fn what_is_live_good_or_needed_is_not_removed() {
    let prune = |generations: &[u64], plugins: &[&str], blobs: &[Digest]| Step::Prune {
        generations: generations.iter().map(|number| GenerationNumber(*number)).collect(),
        plugins: plugins.iter().map(|path| RelativePath::parse(path).unwrap()).collect(),
        blobs: blobs.to_vec(),
        strays: Vec::new(),
    };
    let replaced = |step: Step| move |plan: &mut Plan, _: &mut Observed| *plan.steps.last_mut().unwrap() = step;
    breaks("generation 3 is live, good or named", replaced(prune(&[3], &[], &[])));
    breaks("generation 4 is live, good or named", replaced(prune(&[4], &[], &[])));
    breaks("generation 9 was not found", replaced(prune(&[9], &[], &[])));
    breaks("not ours to remove", replaced(prune(&[], &["plugins/unknown"], &[])));
    breaks("is needed by generation 3", replaced(prune(&[], &[], &[Digest::of(b"layer c")])));
    breaks("is needed by generation 4", replaced(prune(&[], &[], &[Digest::of(b"one")])));
}

#[test]
fn what_is_written_once_is_not_written_again() {
    breaks("no number is used again", |_, host| host.ledger.highest = GenerationNumber(4));
    breaks("has the digest that its record says", |plan, _| {
        let stage = at(plan, "stage");
        let Step::Stage(draft) = &mut plan.steps[stage] else { panic!("no stage") };
        let text = draft.files.iter_mut().find_map(|file| match &mut file.bytes {
            Bytes::Text(text) => Some(text),
            _ => None,
        });
        text.unwrap().push('#');
    });
    breaks("is complete, durable and verified", |plan, _| {
        let activate = at(plan, "activate");
        let Step::Activate { record, .. } = &mut plan.steps[activate] else { panic!("no activate") };
        *record = Digest::of(b"another");
    });
    // A copy that nobody needs is no breach: bytes in the store are named by their digest.
    let spare = |plan: &mut Plan, _: &mut Observed| {
        let copy = Copy {
            revision: plan.revision.clone(),
            path: RelativePath::parse("x.yaml").unwrap(),
            sha256: Digest::of(b"x"),
            size: 1,
        };
        plan.steps.insert(0, Step::Copy(copy));
    };
    assert_eq!(broken(spare), Vec::<String>::new());
}
