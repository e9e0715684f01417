//! Power cuts, at every moment of every story, on a disk in memory that keeps no more than it promised.

pub(super) mod stories;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use falconer_tests::crash::recording::record;
use falconer_tests::crash::replay::Replay;
use falconer_tests::crash::states::Random;
use falconer_tests::crash::story::{Found, Look, Recorded};
use falconer_tests::crash::view::View;
use falconer_tests::trace;

use super::*;
use stories::Story;

/// What is looked at of a host's directory.
const NAMES: [&str; 3] = ["state", "etc", "var"];
/// How many states of a story are put on the real disk where not more are, for the real falconer to recover from.
const RECOVERIES: usize = 2;
/// The same in a full run.
const RECOVERIES_FULL: usize = 100;

/// What came of one story.
struct Told {
    name: &'static str,
    events: usize,
    found: Found,
    recoveries: usize,
}

/// The classes of fsync that are known, each with a promise that breaks without it once one was found.
type Syncs = Mutex<BTreeMap<String, Option<String>>>;

/// Makes the passes of a story for real and under strace.
fn recorded(story: &Story) -> Recorded {
    let root = story.host.path("");
    let mut begin = Replay::begin(&root, &NAMES, story.state);
    if let Some(somebody) = &story.somebody {
        let (run, acts) = record(somebody, &[]);
        let _done = run.ended_with(0);
        acts.iter().for_each(|act| drop(begin.step(act, &BTreeSet::new())));
    }
    let mut events = Vec::new();
    for pass in &story.passes {
        let (run, more) = record(&pass.command, &pass.tampering);
        assert!(pass.codes.contains(&run.code), "{}: {run:?}", story.name);
        events.extend(more);
    }
    let recorded = Recorded { begin, events, state: story.state, excused: story.excused };
    let (real, end) = (Replay::begin(&root, &NAMES, story.state), recorded.end());
    let (real, model) = (View::now(&real.disk).listing(), View::now(&end.disk).listing());
    assert_eq!(model, real, "{}: the model is not what is on the disk", story.name);
    recorded
}

/// Looks at every state of a story, and lets the real falconer recover from some.
fn tell(story: &Story, syncs: &Syncs) -> Told {
    let recorded = recorded(story);
    let moments = recorded.events.len();
    let wanted = if is_full() { RECOVERIES_FULL } else { RECOVERIES };
    let mut random = Random(0x9e37_79b9);
    let mut due: Vec<usize> = (0..wanted).map(|_| random.below(moments)).collect();
    due.sort_unstable();
    let mut recoveries = 0;
    let found = recorded.look(Look {
        without: &BTreeSet::new(),
        until_broken: false,
        each: &mut |moment, view| {
            if due.first().is_some_and(|due| *due <= moment) && random.below(3) == 0 {
                due.remove(0);
                recoveries += 1;
                view.materialise(&story.host.path(""), &NAMES);
                (story.recovers)(&story.host);
            }
        },
    });
    let name = story.name;
    for class in found.syncs.keys() {
        let known = syncs.lock().unwrap().entry(class.clone()).or_default().is_some();
        let broken = if known { None } else { broken_without(&recorded, class) };
        if let Some(broken) = broken {
            syncs.lock().unwrap().insert(class.clone(), Some(format!("{name}: {broken}")));
        }
    }
    Told { name, events: moments, found, recoveries }
}

/// A promise that breaks when fsyncs of this class are left out.
fn broken_without(recorded: &Recorded, class: &str) -> Option<String> {
    let look = Look { without: &BTreeSet::from([class.to_owned()]), until_broken: true, each: &mut |_, _| {} };
    recorded.look(look).broken.into_iter().next()
}

/// Every story, two at a time.
fn all(syncs: &Syncs) -> Vec<Told> {
    let left = Mutex::new(stories::all());
    let told = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = left.lock().unwrap().pop();
                    let Some(make) = next else { break };
                    let story = tell(&make(), syncs);
                    told.lock().unwrap().push(story);
                }
            });
        }
    });
    told.into_inner().unwrap()
}

/// Whatever is lost, torn or reordered by a power cut, what is live is whole and known, and the next pass converges.
#[test]
fn every_power_cut_leaves_a_whole_host() {
    if !trace::is_permitted() {
        say("NOT CHECKED: power cuts, because strace may not trace here");
        return;
    }
    let started = std::time::Instant::now();
    let syncs = Syncs::default();
    let told = all(&syncs);
    let mut broken = Vec::new();
    for story in &told {
        let Told { name, events, found, recoveries, .. } = story;
        say(&format!(
            "{name}: {} states at {} moments of {events} events, {} promises broken, {recoveries} recoveries",
            found.states,
            found.moments,
            found.broken.len()
        ));
        broken.extend(found.broken.iter().map(|problem| format!("{name}: {problem}")));
    }
    let states: usize = told.iter().map(|story| story.found.states).sum();
    say(&format!("power cuts: {states} states in {:.1?}", started.elapsed()));
    assert!(broken.is_empty(), "{broken:#?}");

    assert!(states >= 100_000, "only {states} states");

    let syncs = syncs.into_inner().unwrap();
    for (class, broken) in &syncs {
        println!("without the fsync of {class}: {}", broken.as_deref().unwrap_or("NOTHING BREAKS"));
    }
    let unneeded: Vec<_> = (syncs.iter()).filter(|(_, broken)| broken.is_none()).map(|(class, _)| class).collect();
    say(&format!("power cuts: {} kinds of fsync left out one by one, {} without harm", syncs.len(), unneeded.len()));
    assert!(unneeded.is_empty(), "{unneeded:#?}");
}
