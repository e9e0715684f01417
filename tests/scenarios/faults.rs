//! What goes wrong around the real falconer. Nothing worse may come of it than a clear error: what is live stays whole,
//! and once the fault is gone an ordinary pass puts everything right.
//!
//! `FALCONER_FAULTS=full` tries every point of a run where otherwise a sample is tried, and waits for long deadlines.

mod busy;
mod crash;
mod damage;
mod disk;
mod falco;
mod git;
mod git_files;
mod kill;
mod kill_commands;
mod registry;
mod unchanged;

use std::path::Path;
use std::process::Command;

use falconer_tests::host::Host;
use falconer_tests::live::{Live, broken_promise};
use falconer_tests::memory::measured;
use falconer_tests::say;
use serde_json::Value;

/// The most memory that a pass may take at its peak, whatever it is sent.
const PEAK_KIB: u64 = 64 * 1024;

/// The rules that the artifact has in its version `n`.
fn rules(n: u32) -> String {
    format!("- list: acme_names\n  items: [version_{n}]\n")
}

/// A fleet.yaml that asks for version `n` of the layout's artifact and for one file of the repository.
fn fleet_yaml(n: u32) -> String {
    format!("{}  - file: rules/own.yaml\n", falconer_tests::host::fleet_yaml(&format!("{n}.0.0")))
}

/// What the repository's own rules file says beside version `n`.
fn own(n: u32) -> String {
    format!("- list: own_names\n  items: [own_{n}]\n")
}

/// Publishes version `n`, and commits the wish for it.
fn commit(host: &Host, n: u32) -> String {
    host.publish(&rules(n), &format!("{n}.0.0"));
    host.commit(&[("fleet.yaml", &fleet_yaml(n)), ("rules/own.yaml", &own(n))])
}

/// An adopted host with version 1 live and in sync.
fn installed() -> Host {
    let host = Host::new();
    commit(&host, 1);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    converges(&host, 1);
    host
}

/// A command line that makes one pass.
fn once(host: &Host) -> Command {
    let mut command = host.command();
    command.args(["once", "--output", "json"]);
    command
}

/// An ordinary pass ends well, and version `n` is live.
#[track_caller]
fn converges(host: &Host, n: u32) {
    let status = falconer_tests::host::run(&mut once(host)).ended_with(0).json();
    assert_eq!(status["condition"], "InSync", "{status:#}");
    assert!(status["error"].is_null(), "{status:#}");
    assert_live(host, n);
}

/// Version `n` is live, whole and known.
#[track_caller]
fn assert_live(host: &Host, n: u32) {
    assert_eq!(broken_promise(host), None);
    let live = Live::on(host).expect("something is live");
    assert_eq!(live.rules("acme-rules.yaml"), rules(n));
    assert_eq!(live.rules("own.yaml"), own(n));
}

/// A pass ends with an error that has all these words, says what to do, changes nothing that is live and stays small.
#[track_caller]
fn fails(host: &Host, words: &[&str]) -> Value {
    let before = Live::on(host);
    let (run, peak) = measured(&mut once(host));
    let answer = run.ended_with(1).json();
    let message = answer["error"]["message"].as_str().unwrap_or_default().to_owned();
    for word in words {
        assert!(message.contains(word), "no `{word}` in: {message}");
    }
    let hint = answer["error"]["hint"].as_str().or(answer["next"]["hint"].as_str()).unwrap_or_default();
    println!("{peak} KiB: {message} [{hint}]");
    assert!(!hint.is_empty() || message.contains("hint: "), "{answer:#}");
    assert_eq!(Live::on(host), before, "{message}");
    assert!(peak > 1024 && peak < PEAK_KIB, "{peak} KiB: {message}");
    answer
}

/// The same where the desired state, Git or a registry is at fault: the host's condition says so too.
#[track_caller]
fn is_refused(host: &Host, words: &[&str]) -> Value {
    let answer = fails(host, words);
    assert_eq!(answer["condition"], "Failed", "{answer:#}");
    let kept: Value = serde_json::from_str(&host.read("state/status.json")).unwrap();
    assert_eq!(kept["condition"], "Failed", "{kept:#}");
    answer
}

/// Points the host at the repository at `url`, with `more` lines in agent.toml.
fn follow(host: &Host, url: &str, repository: &str, more: &str) {
    let toml = falconer_tests::host::agent_toml(url);
    let toml = toml.replacen("[paths]", &format!("{repository}\n[paths]"), 1);
    host.write("agent.toml", &format!("{toml}{more}\n"));
}

/// Whether everything is to be tried.
fn is_full() -> bool {
    std::env::var_os("FALCONER_FAULTS").is_some_and(|value| value == "full")
}

/// All of `points` in a full run, else at most `count` of them, evenly spread and always the same.
fn sample<T>(points: Vec<T>, count: usize) -> Vec<T> {
    let step = if is_full() { 1 } else { points.len().div_ceil(count).max(1) };
    points.into_iter().skip(step / 2).step_by(step).collect()
}

/// A copy of what falconer writes on a host, to go back to. It must come back to the same place: files name it.
struct Saved<'a> {
    host: &'a Host,
}

impl<'a> Saved<'a> {
    fn of(host: &'a Host) -> Self {
        copy(&host.path("etc"), &host.path("saved/etc"));
        if host.path("state").exists() {
            copy(&host.path("state"), &host.path("saved/state"));
        }
        Self { host }
    }

    fn restore(&self) {
        for name in ["etc", "state"] {
            let (saved, place) = (self.host.path(format!("saved/{name}")), self.host.path(name));
            if place.exists() {
                std::fs::remove_dir_all(&place).unwrap();
            }
            if saved.exists() {
                copy(&saved, &place);
            }
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{} to {}", from.display(), to.display());
}
