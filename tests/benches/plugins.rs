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
/// How often each is timed; the median counts.
const RUNS: usize = 5;

fn main() {
    // Cargo adds `--bench`.
    let program = std::env::args_os().skip(1).find(|argument| argument != "--bench");
    let program = program.map_or_else(falconer_tests::host::falconer, PathBuf::from).canonicalize().unwrap();
    let plugins = Plugins::serve(PLUGINS, SIZE);
    let host = plugins.host();
    let once = || {
        let _none = std::fs::remove_dir_all(host.path("state"));
        let mut command = host.command_of(&program);
        command.args(["once", "--output", "json"]);
        command
    };
    row("falconer once", once);
    if let Some(falcoctl) = in_path("falcoctl") {
        row("falcoctl install", || install(&falcoctl, &host, &plugins));
    }
}

/// Runs what `command` makes, and prints its median time and its peak of memory.
fn row(name: &str, command: impl Fn() -> Command) {
    let mut peak = 0;
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let mut command = command();
            let started = Instant::now();
            let (run, memory) = measured(&mut command);
            peak = memory.max(peak);
            let _well = run.ended_with(0);
            started.elapsed()
        })
        .collect();
    times.sort_unstable();
    let median = times.get(RUNS / 2).copied().unwrap_or_default();
    // Nobody may be listening.
    let _unheard = writeln!(std::io::stdout(), "{name:<17} {:>8} ms {peak:>8} KiB", median.as_millis());
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
