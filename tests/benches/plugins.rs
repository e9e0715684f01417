//! What ten plugins of 20 MB cost a host that has none of them: time and memory. `make bench` runs it on the release build.
//!
//! falconer resolves, fetches, verifies, unpacks and makes them live, durably. Where there is a falcoctl in PATH, it installs
//! the same plugins: no signature to check, and nothing waited for on the disk.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use falconer_tests::heavy::Plugins;
use falconer_tests::host::Host;
use falconer_tests::memory::measured;

const PLUGINS: usize = 10;
const SIZE: usize = 20_000_000;
/// How often each is timed, by turns; the median counts.
const RUNS: usize = 9;

fn main() {
    // Cargo adds `--bench`.
    let program = std::env::args_os().skip(1).find(|argument| argument != "--bench");
    let program = program.map_or_else(falconer_tests::host::falconer, PathBuf::from).canonicalize().unwrap();
    let plugins = Plugins::serve(PLUGINS, SIZE);
    let host = plugins.host();
    let mut rows = vec![Row::new("falconer once"), Row::new("falcoctl install")];
    let falcoctl = in_path("falcoctl");
    if falcoctl.is_none() {
        rows.truncate(1);
    }
    for _ in 0..RUNS {
        for (row, falcoctl) in rows.iter_mut().zip([None, falcoctl.as_deref()]) {
            row.run(&mut match falcoctl {
                None => once(&program, &host),
                Some(falcoctl) => install(falcoctl, &host, &plugins),
            });
        }
    }
    for row in &mut rows {
        row.print();
    }
}

/// What the runs of one program have cost.
struct Row {
    name: &'static str,
    times: Vec<Duration>,
    /// Of processors, its children's included.
    work: Vec<Duration>,
    /// In KiB.
    peak: u64,
}

impl Row {
    const fn new(name: &'static str) -> Self {
        Self { name, times: Vec::new(), work: Vec::new(), peak: 0 }
    }

    fn run(&mut self, command: &mut Command) {
        let (before, started) = (work_of_children(), Instant::now());
        let (run, memory) = measured(command);
        self.times.push(started.elapsed());
        self.work.push(work_of_children().saturating_sub(before));
        self.peak = memory.max(self.peak);
        let _well = run.ended_with(0);
    }

    fn print(&mut self) {
        self.times.sort_unstable();
        self.work.sort_unstable();
        let [time, least, work] = [self.times.get(RUNS / 2), self.times.first(), self.work.get(RUNS / 2)]
            .map(|time| time.map_or(0, Duration::as_millis));
        let (name, peak) = (self.name, self.peak);
        // Nobody may be listening.
        let _unheard = writeln!(
            std::io::stdout(),
            "{name:<17} {time:>6} ms (at least {least:>5}) {work:>6} ms of processors {peak:>8} KiB"
        );
    }
}

/// The time of processors that ended children have had, user and system (proc(5), fields 16 and 17 of stat,
/// in hundredths of a second).
fn work_of_children() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn once(program: &Path, host: &Host) -> Command {
    let _none = std::fs::remove_dir_all(host.path("state"));
    let mut command = host.command_of(program);
    command.args(["once", "--output", "json"]);
    command
}

fn install(falcoctl: &Path, host: &Host, plugins: &Plugins) -> Command {
    let directory = host.path("falcoctl");
    let _none = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).unwrap();
    host.write("falcoctl.yaml", "indexes: []\n");
    let mut command = host.command_of(falcoctl);
    command.args(["artifact", "install"]).args(&plugins.references);
    command.args(["--plain-http", "--no-verify", "--resolve-deps=false", "--config"]);
    command.arg(host.path("falcoctl.yaml")).arg("--plugins-dir").arg(&directory).arg("--state-dir").arg(&directory);
    command
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}
