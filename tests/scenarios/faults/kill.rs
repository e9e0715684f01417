//! kill -9 before every system call that changes the disk: a crash is a prefix, and the next pass converges.

use falconer_tests::trace::{self, CHANGES, Call};

use super::*;

/// How many points of a run are tried where not all are.
const SAMPLE: usize = 12;

/// A host, and a pass on it that is to be killed.
pub(super) struct Story<'a> {
    pub(super) name: &'a str,
    pub(super) host: &'a Host,
    /// The exit code of the pass, and of the one after a kill.
    pub(super) code: i32,
    /// The version that is live in the end.
    pub(super) version: u32,
}

/// The `nth` call of that name in a run.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) call: Call,
    pub(super) nth: usize,
}

/// A command on a host, to be killed.
pub(super) struct Killed<'a> {
    pub(super) name: &'a str,
    pub(super) host: &'a Host,
    pub(super) command: &'a Command,
    /// Its exit code where nobody kills it.
    pub(super) code: i32,
    /// What is done after a kill, and what is wrong then.
    pub(super) settles: &'a dyn Fn() -> Option<String>,
}

/// Every call of a pass that changes something below the host's directory.
pub(super) fn points(story: &Story<'_>) -> Vec<Point> {
    let points = points_of(story.host, &once(story.host), story.code);
    assert!(points.len() > 20, "{}: {points:#?}", story.name);
    points
}

fn points_of(host: &Host, command: &Command, code: i32) -> Vec<Point> {
    let (run, calls) = trace::record(command, CHANGES, false);
    let _as_wanted = run.ended_with(code);
    let mut points = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        if call.changes(&host.path("")) && call.is_repeatable() {
            let before = calls.iter().take(at + 1);
            let nth = before.filter(|other| other.name == call.name && call.place_matches(other)).count();
            points.push(Point { nth, call: call.clone() });
        }
    }
    assert!(points.len() > 4, "{points:#?}");
    points
}

pub(super) fn kill_everywhere(story: &Story<'_>) {
    let settles = || {
        let after = falconer_tests::host::run(&mut once(story.host));
        let live = Live::on(story.host).map(|live| live.rules("acme-rules.yaml"));
        let is_well = after.code == Some(story.code) && live == Some(rules(story.version));
        (!is_well).then(|| format!("{after:?}"))
    };
    kill_at_every_call(&Killed {
        name: story.name,
        host: story.host,
        command: &once(story.host),
        code: story.code,
        settles: &settles,
    });
}

pub(super) fn kill_at_every_call(killed: &Killed<'_>) {
    if !trace::is_permitted() {
        return;
    }
    let host = killed.host;
    let saved = Saved::of(host);
    let all = points_of(host, killed.command, killed.code);
    saved.restore();
    let before = Live::on(host);
    let (total, chosen) = (all.len(), sample(all, SAMPLE));
    let (mut missed, mut violations) = (Vec::new(), Vec::new());
    for point in &chosen {
        saved.restore();
        let run = trace::inject(killed.command, &point.call, &format!("signal=KILL:when={}", point.nth));
        if run.code.is_some() {
            missed.push(point);
        }
        // What somebody had tampered with before is what it was, until it is healed.
        if Live::on(host) != before
            && let Some(broken) = broken_promise(host)
        {
            violations.push(format!("{point:?}: {broken}"));
        }
        if let Some(problem) = (killed.settles)().or_else(|| broken_promise(host)) {
            violations.push(format!("{point:?}: does not converge: {problem}"));
        }
    }
    let kills = chosen.len() - missed.len();
    say(&format!(
        "{}: {kills} kills at {} of {total} points, {} violations",
        killed.name,
        chosen.len(),
        violations.len()
    ));
    assert!(violations.is_empty(), "{violations:#?}");
    assert!(missed.is_empty(), "not every point is reached: {missed:#?}");
}

#[test]
fn a_first_pass_is_killed() {
    let host = Host::new();
    commit(&host, 1);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    kill_everywhere(&Story { name: "install", host: &host, code: 0, version: 1 });
}

#[test]
fn an_update_is_killed() {
    let host = installed();
    commit(&host, 2);
    kill_everywhere(&Story { name: "update", host: &host, code: 0, version: 2 });
}

#[test]
fn a_healing_pass_is_killed() {
    let host = installed();
    std::fs::write(host.live("acme-rules.yaml"), "- list: somebody_elses\n  items: []\n").unwrap();
    kill_everywhere(&Story { name: "heal", host: &host, code: 0, version: 1 });
}

#[test]
fn a_pruning_pass_is_killed() {
    let host = installed();
    for n in 2..=3 {
        commit(&host, n);
        converges(&host, n);
    }
    commit(&host, 4);
    kill_everywhere(&Story { name: "prune", host: &host, code: 0, version: 4 });
    converges(&host, 4);
    assert!(!host.path("state/generations/1").exists(), "the oldest is gone");
}

#[test]
fn a_pass_that_places_a_plugin_is_killed() {
    let host = installed();
    super::crash::stories::wish_for_plugin(&host, 1);
    kill_everywhere(&Story { name: "plugin", host: &host, code: 0, version: 1 });
}

#[test]
fn a_pass_that_removes_a_file_is_killed() {
    let host = installed();
    host.commit(&[("fleet.yaml", &falconer_tests::host::fleet_yaml("1.0.0"))]);
    kill_everywhere(&Story { name: "remove", host: &host, code: 0, version: 1 });
}
