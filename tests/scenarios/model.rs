//! Hosts that anything may happen to, drawn at random: whatever the history, a host comes to rest on what is wanted or on
//! what was good, and asks Falco at most once for each generation that becomes live on the way.
//!
//! `FALCONER_SEED=n` tells the history of that number again; `FALCONER_FAULTS=full` tells more and longer ones.

use std::time::{SystemTime, UNIX_EPOCH};

use falconer_manifests::digest::Digest;
use falconer_tests::crash::recording::record;
use falconer_tests::crash::states::Random;
use falconer_tests::falco_stand_in::Fault;
use falconer_tests::host::{HostWithFalco, RULES};
use falconer_tests::live::broken_promise;
use falconer_tests::{say, trace};
use serde_json::Value;

/// How many histories are told, and how many acts each has, where not all time may be taken.
const SAMPLE: (u64, usize) = (2, 6);
/// The same in a full run.
const FULL: (u64, usize) = (60, 14);

fn rules(n: usize) -> String {
    format!("{RULES}# {n}\n")
}

/// One history.
struct History {
    host: HostWithFalco,
    random: Random,
    wanted: usize,
    told: Vec<String>,
}

impl History {
    fn begin(seed: u64) -> Self {
        // Numbers that are close together make histories that are not.
        let random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut history = Self {
            host: HostWithFalco::start(true, &[]),
            random,
            wanted: 0,
            told: vec![format!("FALCONER_SEED={seed}")],
        };
        let _adopted = history.host.falconer(["adopt"]).ended_with(0);
        history.commit(1, &rules(1));
        history
    }

    fn commit(&mut self, n: usize, text: &str) {
        let fleet = "version: 1\nrules_files:\n  - file: rules/own.yaml\n";
        self.host.commit(&[("fleet.yaml", fleet), ("rules/own.yaml", text)]);
        self.wanted = n;
    }

    /// Something happens.
    fn act(&mut self) {
        let (kind, n) = (self.random.below(11), 1 + self.random.below(4));
        let said = match kind {
            0..=2 => {
                self.commit(n, &rules(n));
                format!("rules {n} are wanted")
            }
            3 => {
                self.commit(n, "- rule: [no\n");
                "rules are wanted that Falco refuses".to_owned()
            }
            4 => self.tamper("a file is overwritten", |path| std::fs::write(path, "- list: evil\n  items: []\n")),
            5 => self.tamper("a file is removed", |path| std::fs::remove_file(path)),
            6 => {
                let _not_there = std::fs::remove_file(self.host.path("state/current"));
                "the pointer is removed".to_owned()
            }
            7 => {
                let _not_there = std::fs::remove_dir_all(self.host.path("state/store/blobs/sha256"));
                "the blobs are removed".to_owned()
            }
            8 => {
                let faults: &[&[Fault]] = &[&[], &[Fault::DieAtReload], &[Fault::IgnoreSighup]];
                let faults = faults[self.random.below(faults.len())];
                self.host.start_falco(faults);
                format!("Falco is started again: {faults:?}")
            }
            9 => {
                self.host.stop_falco();
                "Falco is stopped".to_owned()
            }
            _ => self.killed_pass(),
        };
        self.told.push(said);
    }

    fn tamper(&self, said: &str, act: impl FnOnce(&std::path::Path) -> std::io::Result<()>) -> String {
        let rules = self.host.path("state/current/rules");
        let found = std::fs::read_dir(rules).ok().and_then(|mut all| all.next()).and_then(Result::ok);
        let done = found.is_some_and(|found| act(&found.path()).is_ok());
        if done { said.to_owned() } else { "nothing is there to tamper with".to_owned() }
    }

    fn killed_pass(&mut self) -> String {
        if !trace::is_permitted() {
            return "no pass can be killed here".to_owned();
        }
        let at = 1 + self.random.below(24);
        let mut command = self.host.command();
        command.args(["once", "--output", "json"]);
        let (run, _) = record(&command, &["-e".into(), format!("inject=fsync:signal=KILL:when={at}")]);
        format!("a pass is killed at fsync {at}: {:?}", run.code)
    }

    /// A pass; gives how often Falco was asked to reload in it.
    fn pass(&mut self) -> (Value, usize) {
        let before = self.host.sighups();
        let run = self.host.once();
        let asked = self.host.sighups() - before;
        assert!(matches!(run.code, Some(0..=2)) && !run.stderr.contains("panicked"), "{:#?}: {run:?}", self.told);
        assert_eq!(broken_promise(&self.host), None, "{:#?}: {run:?}", self.told);
        let status = run.json();
        self.told.push(format!("pass: {} {}, {asked} reloads", status["condition"], status["generation"]));
        (status, asked)
    }

    /// Passes without a new cause: the new generation and the one that it falls back to are loaded once each, and then
    /// nothing is done any more.
    fn comes_to_rest(&mut self) {
        let asked: Vec<usize> = (0..3).map(|_| self.pass().1).collect();
        assert!(asked[0] <= 2 && asked[0] + asked[1] <= 3 && asked[2] == 0, "it flaps: {:#?}", self.told);
        let before = self.host.snapshot("state");
        let _status = self.pass();
        let changed = before.differences(&self.host.snapshot("state")).len();
        assert_eq!(changed, 0, "it does not come to rest: {:#?}", self.told);
    }

    /// With a Falco that obeys and rules that are right, the host is in sync in two passes, and Falco proves it.
    fn ends_well(&mut self) {
        self.host.start_falco(&[]);
        // Never wanted before, so that it is not held.
        self.commit(99, &rules(99));
        let first = self.pass();
        let (status, _) = if first.0["condition"] == "InSync" { first } else { self.pass() };
        assert_eq!(
            (&status["condition"], &status["evidence"]),
            (&"InSync".into(), &"sha256".into()),
            "{:#?}",
            self.told
        );
        let digest = Digest::of(rules(self.wanted).as_bytes());
        let metrics = self.host.falco().page("/metrics").unwrap();
        assert!(metrics.contains(digest.hex()), "Falco has other rules: {:#?}", self.told);
        assert!(self.host.sighups() <= 2, "{:#?}", self.told);
        self.comes_to_rest();
    }
}

#[test]
fn any_history_comes_to_rest() {
    let is_full = std::env::var_os("FALCONER_FAULTS").is_some_and(|value| value == "full");
    let (histories, acts) = if is_full { FULL } else { SAMPLE };
    let given = std::env::var("FALCONER_SEED").ok().and_then(|seed| seed.parse().ok());
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    // The same ones every time where a change is judged by them.
    let first: u64 = given.unwrap_or(if is_full { clock } else { 1 });
    let count = if given.is_some() { 1 } else { histories };
    for seed in first..first + count {
        say(&format!("a history of {acts} acts: FALCONER_SEED={seed}"));
        let mut history = History::begin(seed);
        for _ in 0..acts {
            history.act();
            history.comes_to_rest();
        }
        history.ends_well();
    }
}
