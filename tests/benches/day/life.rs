//! The hours of one host: commits, tampering, and nothing at all.

use std::path::Path;
use std::time::{Duration, Instant};

use falconer_tests::git_server::GitServer;
use falconer_tests::git_server::fixture::Fixture;
use falconer_tests::host::{Daemon, Host, HostWithFalco, RULES, fleet_yaml};

use super::say;

/// Commits, every fourth of which changes nothing on the host: more than the host keeps packs of.
const COMMITS: u64 = 36;
/// How often somebody changes what is live.
const TAMPERINGS: u64 = 5;
/// The hours in which all that happens. Nothing follows, so that the heartbeat of the reports comes.
const BUSY: u64 = 12;
const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
/// How long a daemon may take to start or stop.
const SOON: Duration = Duration::from_secs(60);

/// What one host has and does at a moment.
struct Look {
    passes: usize,
    cpu: Duration,
    resident: u64,
    descriptors: usize,
    threads: usize,
    state: (usize, u64),
    bare: (usize, u64),
    packs: usize,
    loose: usize,
    reports: (usize, u64),
}

/// Lives for `hours`.
pub(super) fn live(hours: u64) {
    let mut host = HostWithFalco::start_as("0.44.1", "validate_as = \"self\"\n", falco_yaml, &[]);
    let (fleet, reports) = (bare(&host, "fleet"), bare(&host, "reports"));
    let server = GitServer::start(&host.path("srv")).unwrap();
    push(&host);
    let agent = host.read("agent.toml").replace("url = \"fleet\"", &format!("url = \"{}\"", server.url("fleet.git")));
    host.write("agent.toml", &format!("{agent}[report]\nurl = \"{}\"\n", server.url("reports.git")));
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() >= 1);
    let begun = Instant::now();
    let mut acts = Acts::default();
    let mut quiet = Quiet::default();
    say(
        "hour passes commits tamperings  rss-KiB fds threads  state-files state-bytes  bare-files packs loose bare-bytes  \
         requests bytes  cpu-ms  reports",
    );
    for hour in 1..=hours {
        let before = look(&host, &daemon, &reports);
        let (commits, tamperings) = (acts.commits, acts.tamperings);
        let state = host.snapshot("state");
        let _earlier = server.exchanges();
        while begun.elapsed() < HOUR * u32::try_from(hour).unwrap() {
            acts.act(&host, begun.elapsed());
            std::thread::sleep(MINUTE);
        }
        let after = look(&host, &daemon, &reports);
        let exchanges = server.exchanges();
        let bytes: u64 = exchanges.iter().map(|exchange| exchange.received + exchange.sent).sum();
        let passes = after.passes - before.passes;
        let cpu = after.cpu.saturating_sub(before.cpu);
        say(&format!(
            "{hour:4} {passes:6} {:7} {:10} {:8} {:3} {:7} {:12} {:11} {:11} {:5} {:5} {:10} {:9} {bytes:5} {:7.1} {:8}",
            acts.commits - commits,
            acts.tamperings - tamperings,
            after.resident,
            after.descriptors,
            after.threads,
            after.state.0,
            after.state.1,
            after.bare.0,
            after.packs,
            after.loose,
            after.bare.1,
            exchanges.len(),
            cpu.as_secs_f64() * 1000.0,
            after.reports.0,
        ));
        // A report is a write, of what is remembered of it.
        if acts.commits == commits && acts.tamperings == tamperings && !exchanges.iter().any(is_push) {
            quiet.passes += passes;
            quiet.cpu += cpu;
            quiet.requests += exchanges.len();
            quiet.bytes += bytes;
            quiet.written += state.differences(&host.snapshot("state")).len();
        }
    }
    quiet.tell();
    let sighups = host.sighups();
    let falco = look_at(host.falco().pid(), "VmRSS");
    say(&format!(
        "commits {}, tamperings {}, signals to Falco {sighups} (its stand-in has {falco} KiB), desired state {}",
        acts.commits,
        acts.tamperings,
        fleet.git(&["rev-parse", "--short", "main"]).unwrap(),
    ));
    let log = daemon.log();
    say(&format!(
        "log: {} passes done, {} reported, {} warnings, {} errors",
        daemon.passes(),
        log.matches("reported place").count(),
        log.matches(" WARN ").count(),
        log.matches(" ERROR ").count(),
    ));
    log.lines().filter(|line| line.contains(" WARN ") || line.contains(" ERROR ")).take(5).for_each(say);
    let live = std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap();
    say(&format!("live at the end is what was committed last: {}", live == acts.rules()));
    say(&format!("condition at the end: {}", host.status().json()["condition"]));
    say(&format!("asked to stop, the daemon ended with {}", daemon.stop(SOON)));
}

fn falco_yaml(host: &Host) -> String {
    format!(
        "rules_files:\n  - {}\nwebserver:\n  enabled: true\n  prometheus_metrics_enabled: true\nmetrics:\n  enabled: true\n",
        host.path("etc/own_rules.yaml").display()
    )
}

fn bare(host: &Host, name: &str) -> Fixture {
    let fixture = Fixture::create(&host.path(format!("srv/{name}.git"))).unwrap();
    fixture.git(&["config", "http.receivepack", "true"]).unwrap();
    fixture
}

fn push(host: &Host) {
    host.git(&["-C", "fleet", "push", "-q", "../srv/fleet.git", "main"]);
}

fn is_push(exchange: &falconer_tests::git_server::Exchange) -> bool {
    exchange.request.contains("git-receive-pack")
}

/// What was done to the host so far.
#[derive(Default)]
struct Acts {
    commits: u64,
    tamperings: u64,
}

impl Acts {
    /// Does what is due after this time.
    fn act(&mut self, host: &Host, after: Duration) {
        let due = |count: u64| count * after.as_secs().min(BUSY * 3600) / (BUSY * 3600);
        while self.commits < due(COMMITS) {
            self.commits += 1;
            match self.commits % 4 {
                0 => drop(host.commit(&[("README.md", &self.commits.to_string())])),
                _ => {
                    let version = format!("1.0.{}", self.commits);
                    host.publish(&self.rules(), &version);
                    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml(&version))]);
                }
            }
            push(host);
        }
        while self.tamperings < due(TAMPERINGS) {
            self.tamperings += 1;
            std::fs::write(host.live("acme-rules.yaml"), "tampered").unwrap();
        }
    }

    /// The rules of the last commit that has any.
    fn rules(&self) -> String {
        let last = if self.commits.is_multiple_of(4) { self.commits - 1 } else { self.commits };
        // Bytes that grow are seen on the disk.
        format!("{RULES}# {last}\n# {}\n", "x".repeat(20_000))
    }
}

/// The hours in which nothing happened.
#[derive(Default)]
struct Quiet {
    passes: usize,
    cpu: Duration,
    requests: usize,
    bytes: u64,
    written: usize,
}

impl Quiet {
    fn tell(&self) {
        let each = self.passes.max(1) as f64;
        say(&format!(
            "{} passes with nothing to do: each {:.2} requests, {:.0} bytes, {:.2} ms CPU; {} paths of the state directory \
             were written",
            self.passes,
            self.requests as f64 / each,
            self.bytes as f64 / each,
            self.cpu.as_secs_f64() * 1000.0 / each,
            self.written,
        ));
    }
}

fn look(host: &Host, daemon: &Daemon, reports: &Fixture) -> Look {
    let process = format!("/proc/{}", daemon.pid());
    let entries = |path: String| std::fs::read_dir(path).map_or(0, Iterator::count);
    let objects = host.path("state/repository.git/objects");
    let packs = std::fs::read_dir(objects.join("pack")).map_or(0, |found| {
        found.flatten().filter(|entry| entry.path().extension().is_some_and(|extension| extension == "pack")).count()
    });
    let below = std::fs::read_dir(&objects).unwrap().flatten().filter(|entry| entry.file_name().len() == 2);
    Look {
        passes: daemon.passes(),
        cpu: cpu(&process),
        resident: look_at(daemon.pid(), "VmRSS"),
        descriptors: entries(format!("{process}/fd")),
        threads: entries(format!("{process}/task")),
        state: weight(&host.path("state")),
        bare: weight(&host.path("state/repository.git")),
        packs,
        loose: below.map(|entry| weight(&entry.path()).0).sum(),
        reports: weight(reports.path()),
    }
}

/// A number of /proc/PID/status.
fn look_at(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The time that all threads of a process have run (Linux, Documentation/scheduler/sched-stats.rst).
fn cpu(process: &str) -> Duration {
    let tasks = std::fs::read_dir(format!("{process}/task")).unwrap().flatten();
    let run = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(tasks.map(run).sum())
}

/// Files and bytes below a directory.
fn weight(path: &Path) -> (usize, u64) {
    let Ok(entries) = std::fs::read_dir(path) else { return (0, 0) };
    entries.flatten().fold((0, 0), |(files, bytes), entry| {
        let data = entry.path().symlink_metadata();
        match data {
            Ok(data) if data.is_dir() => {
                let (more, larger) = weight(&entry.path());
                (files + more, bytes + larger)
            }
            Ok(data) => (files + 1, bytes + data.len()),
            Err(_) => (files, bytes),
        }
    })
}
