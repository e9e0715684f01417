//! What `falconer run` costs a host while there is nothing to do, and how soon it acts when there is. `make bench` runs it on
//! the release build, which `FALCONER_PROGRAM` names.
//!
//! The repository is behind `git http-backend` on loopback, beside a Falco stand-in whose reload takes about as long as one of
//! Falco with the stock rules; what such a reload takes by itself is printed too. A tick is asked for by `falconer sync`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use falconer_tests::git_server::GitServer;
use falconer_tests::host::{Daemon, HostWithFalco, RULES, fleet_yaml};
use rustix::process::{Pid, Signal, kill_process};

/// How many ticks are counted; as many go before.
const TICKS: u32 = 100;
/// How long the idle daemon is watched.
const IDLE: Duration = Duration::from_secs(5);
/// How often each act is timed; the median counts.
const RUNS: usize = 5;
/// A webhook is listened to once in this time.
const HINTS: Duration = Duration::from_secs(11);
const SOON: Duration = Duration::from_secs(30);
const SECRET: &str = "a secret of enough length";

fn main() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    let server = GitServer::start(&host.path("")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    host.write("secret", SECRET);
    let agent = host.read("agent.toml").replace("url = \"fleet\"", &format!("url = \"{}\"", server.url("fleet/.git")));
    host.write(
        "agent.toml",
        &format!(
            "{agent}[schedule]\nevery = \"1h\"\n[webhook]\nlisten = \"127.0.0.1:{port}\"\nkind = \"gitlab\"\nsecret_file = \"secret\"\n"
        ),
    );
    let reload = median((0..RUNS).map(|_| reload(&mut host)).collect());
    let mut daemon = Daemon::start_with(&host, "daemon", |command| command.env("FALCONER_LOG", "falconer=debug"));
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);

    ticks(&host);
    let (_until_now, before) = (server.exchanges(), processor_time(daemon.pid()));
    ticks(&host);
    let spent = (processor_time(daemon.pid()) - before) / TICKS;
    let exchanges = server.exchanges();
    let bytes: u64 = exchanges.iter().map(|exchange| exchange.received + exchange.sent).sum();
    std::thread::sleep(Duration::from_secs(1));
    let turned = turns(daemon.pid());
    std::thread::sleep(IDLE);
    let turned = turns(daemon.pid()) - turned;

    let tampered = median((0..RUNS).map(|_| tampered(&host, &mut daemon)).collect());
    let pushed = median((2..2 + RUNS).map(|version| pushed(&host, &mut daemon, version, port)).collect());
    let memory = ["VmRSS", "RssAnon"].map(|key| status(daemon.pid(), key));
    let text = format!(
        "resident memory, anonymous        {:>8} KiB {:>6} KiB\n\
         processor time of a tick          {:>8.1} ms\n\
         requests of a tick, bytes         {:>8.1} {:>10}\n\
         wake-ups in {} s of doing nothing  {turned:>8}\n\
         a reload of the stand-in          {:>8} ms\n\
         from tampering to confirmed       {:>8} ms\n\
         from a push to confirmed          {:>8} ms\n",
        memory[0],
        memory[1],
        spent.as_secs_f64() * 1000.0,
        exchanges.len() as f64 / f64::from(TICKS),
        bytes / u64::from(TICKS),
        IDLE.as_secs(),
        reload.as_millis(),
        tampered.as_millis(),
        pushed.as_millis(),
    );
    // Nobody may be listening.
    let _unheard = std::io::stdout().write_all(text.as_bytes());
}

fn ticks(host: &HostWithFalco) {
    for _ in 0..TICKS {
        let _asked = host.falconer(["sync", "--wait"]).ended_with(0);
    }
}

/// The time from SIGHUP until the stand-in tells of a new load.
fn reload(host: &mut HostWithFalco) -> Duration {
    let falco = host.falco();
    let timestamp = |text: String| text.lines().find(|line| line.contains("reload_timestamp")).map(str::to_owned);
    let before = timestamp(falco.page("/metrics").unwrap());
    let begun = Instant::now();
    kill_process(Pid::from_raw(falco.pid().cast_signed()).unwrap(), Signal::HUP).unwrap();
    falco.wait_for(SOON, |falco| falco.page("/metrics").is_ok_and(|text| timestamp(text) != before)).unwrap();
    begun.elapsed()
}

fn confirmed(daemon: &Daemon) -> usize {
    daemon.log().matches(" confirmed").count()
}

fn tampered(host: &HostWithFalco, daemon: &mut Daemon) -> Duration {
    let (rests, before) = (daemon.rests(), confirmed(daemon));
    let begun = Instant::now();
    fs::write(host.live("acme-rules.yaml"), "- list: evil\n  items: []\n").unwrap();
    daemon.wait_for(SOON, |daemon| confirmed(daemon) > before);
    let took = begun.elapsed();
    daemon.wait_for(SOON, |daemon| daemon.rests() > rests);
    // So many in a row are slowed down.
    std::thread::sleep(Duration::from_secs(5));
    took
}

fn pushed(host: &HostWithFalco, daemon: &mut Daemon, version: usize, port: u16) -> Duration {
    let version = format!("{version}.0.0");
    host.publish(&format!("{RULES}# {version}\n"), &version);
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml(&version))]);
    std::thread::sleep(HINTS);
    let before = confirmed(daemon);
    let begun = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nX-Gitlab-Token: {SECRET}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _broken_off = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    daemon.wait_for(SOON, |daemon| confirmed(daemon) > before);
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The time that the process and its children have spent on a processor (proc(5), `/proc/PID/stat`, in hundredths of a second).
fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// How often any thread of the process was given a processor (proc(5), `/proc/PID/task/TID/schedstat`).
fn turns(pid: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_task = |task: fs::DirEntry| fs::read_to_string(task.path().join("schedstat")).unwrap();
    tasks.map(|task| of_task(task.unwrap()).split_whitespace().nth(2).unwrap().parse::<u64>().unwrap()).sum()
}

fn status(pid: u32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
