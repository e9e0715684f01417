//! Good revisions, one after the other, while somebody tampers with what falconer has placed: each is confirmed by Falco's own
//! sha256, and none is held for what it did not do.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;

use falconer_tests::crash::states::Random;
use falconer_tests::say;

use super::*;

/// How many revisions are committed where not all time may be taken.
const SAMPLE: usize = 3;
/// The same in a full run.
const FULL: usize = 100;
/// How many passes a revision may take.
const PASSES: usize = 3;

/// Somebody who changes one thing at a random moment of a pass; gives what.
fn tamper(state: PathBuf, mut random: Random) -> String {
    std::thread::sleep(Duration::from_millis(random.below(700) as u64));
    // Nobody says that it is still there: falconer may remove it meanwhile.
    let mut files = vec![state.join("current")];
    let mut left = vec![state.join("generations"), state.join("plugins")];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => left.push(path),
                path => files.push(path),
            }
        }
    }
    files.sort();
    let path = files[random.below(files.len())].clone();
    let (said, done) = match random.below(7) {
        0 => ("overwritten", std::fs::write(&path, "- list: somebody_elses\n  items: []\n")),
        1 => ("broken", std::fs::write(&path, "- rule: [no\n")),
        2 => ("emptied", std::fs::write(&path, "")),
        3 => ("removed", std::fs::remove_file(&path)),
        4 => ("made writable", std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666))),
        5 => ("replaced", std::fs::remove_file(&path).and_then(|()| symlink("/dev/null", &path))),
        _ => ("joined by another", std::fs::write(path.with_file_name("99-evil.yaml"), "- list: evil\n  items: []\n")),
    };
    format!("{} is {said}: {}", path.strip_prefix(&state).unwrap().display(), done.is_ok())
}

/// Falco may end of what was done to its files while it loads them, and whoever looks after it starts it again when they are in
/// order. A signal that kills it would be ours.
fn started_again(host: &mut HostWithFalco) -> Result<bool, String> {
    let Ok(status) = host.falco().wait_ended(Duration::ZERO) else { return Ok(false) };
    let said = host.falco().output();
    let last = said.lines().last().unwrap_or_default();
    if status.signal().is_some() {
        return Err(format!("Falco was killed: {status}, {last}"));
    }
    say(&format!("Falco has ended by itself, and is started again: {last}"));
    host.start_falco(&[]);
    Ok(true)
}

/// Commits revision `n`, and makes passes until it is confirmed: tampered with in the first, and in peace after it. Gives what is
/// wrong then.
fn update(host: &mut HostWithFalco, n: usize, random: &mut Random) -> Result<usize, String> {
    let commit = commit_rules(host, &rules(&n.to_string()));
    let digest = Digest::of(rules(&n.to_string()).as_bytes());
    let mut told = Vec::new();
    for pass in 1..=PASSES {
        let acts = if pass == 1 { 1 + random.below(2) } else { 0 };
        let somebody: Vec<_> = (0..acts)
            .map(|_| {
                let (state, random) = (host.path("state"), Random(random.draw()));
                std::thread::spawn(move || tamper(state, random))
            })
            .collect();
        let run = host.once();
        told.extend(somebody.into_iter().map(|somebody| somebody.join().unwrap()));
        told.push(format!("{run:?}"));
        if pass > 1 && started_again(host).map_err(|killed| format!("revision {n}: {killed} {told:#?}"))? {
            continue;
        }
        let status = run.json();
        let held = host.read("state/ledger").contains("[[held]]");
        if held || matches!(status["condition"].as_str(), Some("RolledBack")) {
            return Err(format!("revision {n} is held: {told:#?}"));
        }
        let is_proven = (&status["condition"], &status["evidence"]) == (&json!("InSync"), &json!("sha256"));
        if is_proven && status["revision"] == json!(commit) {
            let metrics = host.falco().page("/metrics").unwrap();
            return match metrics.contains(digest.hex()) {
                true => Ok(pass),
                false => Err(format!("revision {n} is said to be loaded: {told:#?}\n{metrics}")),
            };
        }
    }
    Err(format!("revision {n} is not confirmed: {told:#?}"))
}

fn good_revisions_under_tampering(edit: bool) {
    let is_full = std::env::var_os("FALCONER_FAULTS").is_some_and(|value| value == "full");
    let count = if is_full { FULL } else { SAMPLE };
    let mut host = match edit {
        true => crate::falco_edited::edited("0.44.1"),
        false => HostWithFalco::start(true, &[]),
    };
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let _first = host.once().ended_with(0);
    let mut random = Random(if edit { 0xd1b5_4a32_d192_ed03 } else { 0x9e37_79b9_7f4a_7c15 });
    let (mut confirmed, mut passes, mut wrong) = (0, [0; PASSES], Vec::new());
    for n in 1..=count {
        match update(&mut host, n, &mut random) {
            Ok(pass) => (confirmed, passes[pass - 1]) = (confirmed + 1, passes[pass - 1] + 1),
            Err(problem) => wrong.push(problem),
        }
    }
    let mode = if edit { "edit" } else { "include" };
    say(&format!(
        "{mode}: {confirmed} of {count} good revisions confirmed under tampering, after 1, 2, 3 passes: {passes:?}"
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn good_revisions_are_confirmed_whatever_somebody_tampers_with() {
    good_revisions_under_tampering(false);
}

#[test]
fn good_revisions_are_confirmed_in_edit_mode_too() {
    good_revisions_under_tampering(true);
}
