//! What a fleet costs the Git servers that it polls and reports to. `make bench` runs it.
//!
//! Hosts are simulated in one process by falconer's own Git room; the server is `git http-backend`, a process for each
//! request, behind an HTTP server of ours that counts. Requests and bytes do not depend on the machine; times do.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use falconer::git::{Access, Expected, Remote, RemoteUrl, Report, Repository};
use falconer::transfer;
use falconer_manifests::digest::Digest;
use falconer_manifests::host_lock;
use falconer_manifests::name::{BranchName, HostName};
use falconer_manifests::report::{Intent, Pace, Reporting, spacing};
use falconer_manifests::schedule::Schedule;
use falconer_tests::fleet;
use falconer_tests::git_server::GitServer;
use falconer_tests::git_server::fixture::Fixture;
use futures_util::StreamExt as _;

/// Hosts that push at the same moment.
const AT_ONCE: usize = 256;
/// Hosts that poll.
const POLLING: usize = 10_000;
/// How many of their polls are on the way at the same time.
const POLLS: usize = 64;
/// References of hosts in a crowded repository.
const CROWD: usize = 10_000;
/// A drift report of a host with a few artifacts, in bytes.
const REPORT: usize = 4_000;

fn main() {
    let polling = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(POLLING);
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("srv");
    let fleet = Fixture::create(&root.join("fleet.git")).unwrap();
    fleet.commit_file("main", "fleet.yaml", b"version: 1\n").unwrap();
    let reports = Fixture::create(&root.join("reports.git")).unwrap();
    reports.git(&["config", "http.receivepack", "true"]).unwrap();
    let server = GitServer::start(&root).unwrap();
    let stage = Stage { server, client: transfer::client().unwrap(), scratch: directory.path().join("scratch") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        stage.pushes("pushes at once", AT_ONCE).await;
        stage.pushes("heartbeats at once", AT_ONCE).await;
        stage.collect().await;
        let commit = reports.commit_file("main", "host.lock", &report(0)).unwrap();
        reports.crowd(&commit, CROWD).unwrap();
        reports.git(&["pack-refs", "--all"]).unwrap();
        stage.pushes("push among 10,000 references", 1).await;
        stage.collect().await;
        stage.polls(polling).await;
    });
    budget();
    outages();
}

struct Stage {
    server: GitServer,
    client: reqwest::Client,
    scratch: PathBuf,
}

impl Stage {
    fn remote(&self, repository: &str) -> Remote {
        let url = RemoteUrl::parse(&self.server.url(repository), Path::new("/")).unwrap();
        let mut access = Access::default();
        access.limits.deadline = Duration::from_secs(600);
        Remote::new(&url, access, self.client.clone()).unwrap()
    }

    async fn pushes(&self, what: &str, hosts: usize) {
        let _before = self.server.exchanges();
        let begun = Instant::now();
        let push = |number: usize| async move {
            let name = HostName::parse(&format!("bench-{number}")).unwrap();
            let report = Report {
                reference: &host_lock::reference(&name),
                files: &[(host_lock::path(), report(number))],
                message: "a report\n",
                author: name.as_str(),
                email: "falconer@bench",
                time: i64::try_from(begun.elapsed().as_nanos()).unwrap(),
                expected: Expected::Anything,
                signing_key: None,
            };
            self.remote("reports.git").push_report(&report).await.is_ok_and(|pushed| pushed.changed)
        };
        let landed = futures_util::future::join_all((0..hosts).map(push)).await;
        let landed = landed.into_iter().filter(|landed| *landed).count();
        self.tell(&format!("{what}: {landed} of {hosts} landed"), begun.elapsed(), hosts);
    }

    async fn collect(&self) {
        let _before = self.server.exchanges();
        let begun = Instant::now();
        let ours = Repository::create_anew(&self.scratch).unwrap();
        let mut remote = self.remote("reports.git");
        let found = remote.collect("refs/falconer/hosts/", &host_lock::path(), &ours).await.unwrap();
        self.tell(&format!("collect: {} hosts", found.len()), begun.elapsed(), 1);
    }

    /// Polls of hosts that know their server already.
    async fn polls(&self, hosts: usize) {
        let main = BranchName::parse("main").unwrap();
        let mut remotes: Vec<_> = (0..hosts).map(|_| self.remote("fleet.git")).collect();
        for what in ["first polls", "further polls"] {
            let _before = self.server.exchanges();
            let begun = Instant::now();
            let polls = remotes.iter_mut().map(|remote| remote.poll(&main));
            let polled: Vec<_> = futures_util::stream::iter(polls).buffer_unordered(POLLS).collect().await;
            let well = polled.iter().filter(|polled| polled.is_ok()).count();
            self.tell(&format!("{what}: {well} of {hosts} answered"), begun.elapsed(), hosts);
        }
    }

    fn tell(&self, what: &str, took: Duration, each: usize) {
        let exchanges = self.server.exchanges();
        let sum = |of: fn(&falconer_tests::git_server::Exchange) -> u64| exchanges.iter().map(of).sum::<u64>();
        let (received, sent, each) = (sum(|it| it.received), sum(|it| it.sent), each as u64);
        say(&format!(
            "{what} in {:.1} s; each {:.2} requests, {} bytes up, {} bytes down",
            took.as_secs_f64(),
            exchanges.len() as f64 / each as f64,
            received / each,
            sent / each,
        ));
    }
}

/// Bytes that do not compress well, as digests do not.
fn report(number: usize) -> Vec<u8> {
    (0..REPORT / 64)
        .flat_map(|line| Digest::of(&[number, line].map(usize::to_le_bytes).concat()).hex().to_owned().into_bytes())
        .collect()
}

/// 10,000 hosts on 16 repositories at 6 pushes a minute: a day of heartbeats in which all of them change at once at noon.
fn budget() {
    let day = 86_400_000_u64;
    let pace = Pace { heartbeat: day, coalesce: 10_000, spacing: spacing(10_000, 6, 16) };
    let (place, old, new) = (Digest::of(b"place"), Digest::of(b"old"), Digest::of(b"new"));
    let noon = 20_000 * day + day / 2;
    let (mut steady, mut burst) = (vec![0_u32; 24 * 60], vec![0_u32; 24 * 60]);
    for number in 0..10_000 {
        let host = HostName::parse(&format!("bench-{number}")).unwrap();
        let intent = Intent { text: old.clone(), content: old.clone(), number: 1, at: noon - day };
        let sent = Reporting { intent: Some(intent), ..Reporting::new("a".to_owned()) }.arrived(&place, None);
        for (content, minutes) in [(&old, &mut steady), (&new, &mut burst)] {
            let due = pace.due(&host, &sent, &place, content, noon - day / 2);
            let minute = (due.at - (noon - day / 2)) / 60_000;
            if let Some(minute) = usize::try_from(minute).ok().and_then(|minute| minutes.get_mut(minute)) {
                *minute += 1;
            }
        }
    }
    let worst = |minutes: &[u32]| minutes.iter().copied().max().unwrap_or_default();
    say(&format!(
        "budget of 96 pushes a minute, 10,000 hosts: worst minute {} of heartbeats alone, {} when all change at once; the \
         last of them waits {} minutes",
        worst(&steady),
        worst(&burst),
        burst.iter().rposition(|count| *count > 0).unwrap_or_default(),
    ));
}

/// 10,000 hosts in virtual time, and a server that is away for an hour; they report to it too.
fn outages() {
    let (utc, budget) = (jiff::tz::TimeZone::UTC, spacing(10_000, 6, 16));
    for (what, schedule, spacing) in [
        ("every 5 minutes", Schedule::Every(Duration::from_secs(300)), budget),
        ("every 5 minutes, no budget for reports", Schedule::Every(Duration::from_secs(300)), 0),
        ("every minute", Schedule::Every(Duration::from_secs(60)), budget),
        ("@hourly", Schedule::cron("@hourly", &utc, &|_| None).unwrap(), budget),
    ] {
        let seen = fleet::outage(10_000, &schedule, spacing);
        let (steady, after) = (fleet::rate(&seen.before), fleet::worst(&seen.after));
        say(&format!(
            "outage of an hour, 10,000 hosts {what}: {steady:.1} requests a second before ({} in the worst), {} in the worst \
             second of the outage, {after} after it: {:.2} times the steady rate",
            fleet::worst(&seen.before),
            fleet::worst(&seen.outage),
            f64::from(after) / steady,
        ));
    }
}

fn say(line: &str) {
    // Nobody may be listening.
    let _unheard = writeln!(std::io::stdout(), "{line}");
}
