//! What it takes to make one changed rules file live beside a running Falco, and what a pass with nothing to do takes there.
//! `make bench` runs it on the release build.
//!
//! The time of a change is that between the first call that makes the new generation and the call that sends Falco its SIGHUP,
//! as strace sees them, without Falco's dry run: everything is on the disk by then. falco.yaml is of the size of the stock file.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use falconer_tests::host::{Host, HostWithFalco, run};
use falconer_tests::trace;

/// How many changes are timed; the median and the slowest count.
const CHANGES: usize = 31;
/// How many passes with nothing to do are made; their processor time is divided by it.
const QUIET: u32 = 100;
/// The calls that begin and end a change.
const CALLS: &str = "mkdirat,pidfd_send_signal";
/// Clock ticks of a process's times in a second (proc_pid_stat(5)); 100 on every Linux that falconer runs on.
const TICKS: f64 = 100.0;

fn main() {
    // Cargo adds `--bench`.
    let program = std::env::args_os().skip(1).find(|argument| argument != "--bench");
    let program = program.map_or_else(falconer_tests::host::falconer, PathBuf::from).canonicalize().unwrap();
    let mut table = String::from("mode     change: median, slowest    nothing to do: cpu, writes, fsyncs\n");
    for (mode, more) in [("include", ""), ("edit", "config = \"edit\"\n")] {
        let host = host(&program, more);
        let mut times: Vec<f64> = (0..CHANGES).map(|n| change(&host, &program, n)).collect();
        times.sort_by(f64::total_cmp);
        let (median, slowest) = (times[CHANGES / 2] * 1e3, times[CHANGES - 1] * 1e3);
        let (writes, fsyncs) = calls(&host, &program);
        let cpu = quiet(&host, &program) * 1e3;
        let _written =
            writeln!(table, "{mode:<8} {median:>12.1} ms, {slowest:>5.1} ms {cpu:>20.1} ms, {writes:>6}, {fsyncs:>6}");
    }
    // Nobody may be listening.
    let _unheard = std::io::stdout().write_all(table.as_bytes());
}

/// A host that is in sync, whose Falco is not asked whether it would take a change.
fn host(program: &Path, more: &str) -> HostWithFalco {
    let host = HostWithFalco::start_as("0.44.1", &format!("validate = \"never\"\n{more}"), falco_yaml, &[]);
    let _adopted = run(host.command_of(program).arg("adopt")).ended_with(0);
    commit(&host, CHANGES);
    for _ in 0..2 {
        let _in_sync = run(&mut once(&host, program)).ended_with(0);
    }
    host
}

/// As long as the stock file, most of it comments.
fn falco_yaml(host: &Host) -> String {
    let mut text = format!(
        "rules_files:\n  - {}\nwebserver:\n  enabled: true\n  prometheus_metrics_enabled: true\nmetrics:\n  enabled: true\n",
        host.path("etc/own_rules.yaml").display()
    );
    for section in 0..60 {
        for line in 0..14 {
            let _written =
                writeln!(text, "# Line {line} of what the owner may want to know of section {section} of this file");
        }
        let _written = writeln!(text, "section_{section}:\n  enabled: true\n  rate: {section}\n  names: [one, two]");
    }
    text
}

fn commit(host: &Host, n: usize) {
    let rules = (0..150).fold(String::new(), |mut rules, rule| {
        let _written = writeln!(
            rules,
            "- rule: Rule {rule}\n  desc: The {n}th revision of a rule\n  condition: evt.type = execve and proc.name = tool{rule}\n  \
             output: Tool {rule} was started (user=%user.name command=%proc.cmdline)\n  priority: NOTICE"
        );
        rules
    });
    let fleet = "version: 1\nrules_files:\n  - file: rules/own.yaml\n";
    let _commit = host.commit(&[("fleet.yaml", fleet), ("rules/own.yaml", &rules)]);
}

fn once(host: &Host, program: &Path) -> Command {
    let mut once = host.command_of(program);
    once.args(["once", "--output", "json"]);
    once
}

/// The seconds from the first call that makes the generation to the signal.
fn change(host: &Host, program: &Path, n: usize) -> f64 {
    commit(host, n);
    let log = host.path("calls.log");
    let mut strace = host.command_of(Path::new("strace"));
    strace.args(["-f", "-qq", "--seccomp-bpf", "-ttt", "-e", "signal=none", "-e", &format!("trace={CALLS}"), "-o"]);
    strace.arg(&log).arg(program).args(["once", "--output", "json"]);
    let _done = run(&mut strace).ended_with(0);
    let text = std::fs::read_to_string(&log).unwrap();
    let at = |line: &str| line.split_whitespace().nth(1).and_then(|time| time.parse::<f64>().ok()).unwrap();
    let begun = text.lines().find(|line| line.contains("mkdirat") && line.contains(".tmp\"")).map(at).unwrap();
    let asked = text.lines().find(|line| line.contains("pidfd_send_signal")).map(at).unwrap();
    asked - begun
}

/// How often a pass with nothing to do writes below the host's directory, but for its runtime directory in memory; and how often
/// it waits for the disk.
fn calls(host: &Host, program: &Path) -> (usize, usize) {
    let (ended, calls) = trace::record(&once(host, program), trace::CHANGES, true);
    let _in_sync = ended.ended_with(0);
    let (root, runtime) = (host.path(""), host.path("run"));
    let ours = calls.iter().filter(|call| call.changes(&root) && !call.changes(&runtime));
    let (syncs, others): (Vec<_>, Vec<_>) = ours
        .filter(|call| call.name != "flock")
        .partition(|call| call.name.starts_with('f') && call.name.contains("sync"));
    (others.len(), syncs.len())
}

/// The processor time of a pass with nothing to do and of what it starts, in seconds.
fn quiet(host: &Host, program: &Path) -> f64 {
    let before = spent();
    for _ in 0..QUIET {
        let _in_sync = run(&mut once(host, program)).ended_with(0);
    }
    (spent() - before) / f64::from(QUIET)
}

/// The processor time of this process's children so far, in seconds: user and system (proc_pid_stat(5), fields 16 and 17).
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap();
    let ticks: f64 = fields.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    ticks / TICKS
}
