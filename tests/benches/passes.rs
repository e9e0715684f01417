//! What a pass of falconer costs: time, memory, requests and bytes. `make bench` runs it on the release build.
//!
//! A cold pass starts with an empty state directory: it reads the repository, resolves a tag, fetches an artifact and makes
//! it live, durably. A quiet pass finds nothing to do. The repository is a directory or, where the row says http, behind
//! `git http-backend` on loopback, whose processes cost time too; it has 300 references besides the branch. The registry is
//! one of ours that takes a connection for each request. Where there is a falcoctl in PATH, it installs the same artifact:
//! no repository, no signature to check, nothing waited for on the disk.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use falconer::pack::{PackInput, pack};
use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::name::ArtifactName;
use falconer_manifests::oci;
use falconer_tests::git_server::GitServer;
use falconer_tests::git_server::fixture::Fixture;
use falconer_tests::host::{Host, agent_toml, run};
use falconer_tests::memory::measured;
use falconer_tests::scripted_registry::{Reply, ScriptedRegistry};

/// How often each pass is timed; the median counts.
const RUNS: usize = 21;
/// How often its memory is looked at; the peak counts.
const LOOKS: usize = 5;
/// References besides the branch: one for the report of each host.
const OTHERS: usize = 300;
/// The settings of a host whose repository is a directory, and of one that reads it over http.
const DIRECTORY: &str = "agent.toml";
const HTTP: &str = "http.toml";

/// The servers, and the host between them.
struct Stage {
    host: Host,
    git: GitServer,
    registry: ScriptedRegistry,
    program: PathBuf,
    _served: tempfile::TempDir,
}

/// What one kind of run cost.
#[derive(Debug, Default)]
struct Cost {
    median: Duration,
    fastest: Duration,
    peak_kib: u64,
    git: (usize, u64),
    registry: (usize, u64),
}

fn main() {
    // Cargo adds `--bench`.
    let program = std::env::args_os().skip(1).find(|argument| argument != "--bench");
    let program = program.map_or_else(falconer_tests::host::falconer, PathBuf::from).canonicalize().unwrap();
    let stage = stage(program);
    let once = |config: &str| {
        let mut command = stage.host.command_of(&stage.program);
        command.args(["once", "--output", "json", "--config"]).arg(stage.host.path(config));
        command
    };
    let forget = || drop(std::fs::remove_dir_all(stage.host.path("state")));
    let mut rows = vec![
        ("cold pass", measure(&stage, || once(DIRECTORY), forget)),
        ("quiet pass", measure(&stage, || once(DIRECTORY), || {})),
        ("cold pass, http", measure(&stage, || once(HTTP), forget)),
        ("quiet pass, http", measure(&stage, || once(HTTP), || {})),
    ];
    if let Some(falcoctl) = in_path("falcoctl") {
        rows.push(("falcoctl install", measure(&stage, || install(&falcoctl, &stage), || {})));
    }
    let size = std::fs::metadata(&stage.program).unwrap().len();
    // Nobody may be listening.
    let _unheard = writeln!(std::io::stdout(), "{}program: {} KiB", table(&rows), size / 1024);
}

fn stage(program: PathBuf) -> Stage {
    let served = tempfile::tempdir().unwrap();
    let registry = registry();
    let repository = Fixture::create(&served.path().join("fleet.git")).unwrap();
    let fleet = format!(
        "version: 1\nartifacts:\n  acme-rules: {{ref: \"{}/acme-rules\", version: \"1\"}}\nrules_files:\n  - artifact: acme-rules\n",
        registry.host()
    );
    let commit = repository.commit_file("main", "fleet.yaml", fleet.as_bytes()).unwrap();
    repository.crowd(&commit, OTHERS).unwrap();
    let git = GitServer::start(served.path()).unwrap();
    let host = Host::new();
    let plain = format!("[registries.\"{}\"]\nplain_http = true\n", registry.host());
    host.write(DIRECTORY, &format!("{}{plain}", agent_toml(&repository.path().display().to_string())));
    host.write(HTTP, &format!("{}{plain}", agent_toml(&git.url("fleet.git"))));
    let _adopted = run(host.command_of(&program).arg("adopt")).ended_with(0);
    Stage { host, git, registry, program, _served: served }
}

/// A registry that serves rules of the size of the official ones, under the tag 1.
fn registry() -> ScriptedRegistry {
    let rules = (0..150).fold("- required_engine_version: 0.31.0\n".to_string(), |mut rules, number| {
        let _written = write!(
            rules,
            "\n- rule: Program {number} was started in a container\n  desc: >\n    The program tool{number} was started in a \
             container that has no business with it, by a user who may not know\n  condition: >\n    evt.type in (execve, \
             execveat) and proc.name = tool{number} and container.id != host and proc.tty != {number}\n  output: Tool \
             {number} was started (user=%user.name command=%proc.cmdline container=%container.id)\n  priority: NOTICE\n"
        );
        rules
    });
    let packed = pack(&PackInput {
        file_name: "acme_rules.yaml",
        bytes: rules.as_bytes(),
        mode: 0o644,
        kind: ArtifactType::Rulesfile,
        name: ArtifactName::parse("acme-rules").unwrap(),
        version: "1.0.0",
        dependencies: Vec::new(),
        requirements: Vec::new(),
        created: "2026-01-31T08:00:00Z",
        source: None,
    })
    .unwrap();
    let path = |kind: &str, name: &str| format!("/v2/acme-rules/{kind}/{name}");
    let manifest = (oci::MANIFEST, packed.manifest.bytes);
    let blob = "application/octet-stream";
    let served = BTreeMap::from([
        (path("manifests", "1"), manifest.clone()),
        (path("manifests", packed.manifest.digest.as_str()), manifest),
        (path("blobs", packed.config.digest.as_str()), (blob, packed.config.bytes)),
        (path("blobs", packed.layer.digest.as_str()), (blob, packed.layer.bytes)),
    ]);
    ScriptedRegistry::start(move |seen| match served.get(&seen.target) {
        Some((media_type, bytes)) => Reply::ok(media_type, bytes.clone()),
        None => Reply::new(404, "{}"),
    })
    .unwrap()
}

/// Runs `command` again and again, each time after `before`.
fn measure(stage: &Stage, command: impl Fn() -> Command, before: impl Fn()) -> Cost {
    let mut cost = Cost::default();
    let mut times: Vec<_> = (0..RUNS)
        .map(|_| {
            before();
            let _earlier = stage.git.exchanges();
            let seen = (stage.registry.seen().len(), stage.registry.sent());
            let started = Instant::now();
            let ended = run(&mut command());
            let time = started.elapsed();
            let _well = ended.ended_with(0);
            let exchanges = stage.git.exchanges();
            cost.git = (exchanges.len(), exchanges.iter().map(|exchange| exchange.received + exchange.sent).sum());
            cost.registry = (stage.registry.seen().len() - seen.0, stage.registry.sent() - seen.1);
            time
        })
        .collect();
    for _ in 0..LOOKS {
        before();
        let (ended, peak) = measured(&mut command());
        let _well = ended.ended_with(0);
        cost.peak_kib = cost.peak_kib.max(peak);
    }
    times.sort_unstable();
    cost.fastest = times.first().copied().unwrap_or_default();
    cost.median = times.get(RUNS / 2).copied().unwrap_or_default();
    cost
}

fn install(falcoctl: &Path, stage: &Stage) -> Command {
    let directory = stage.host.path("falcoctl");
    std::fs::create_dir_all(&directory).unwrap();
    stage.host.write("falcoctl.yaml", "indexes: []\n");
    let mut command = stage.host.command_of(falcoctl);
    command.args(["artifact", "install", &format!("{}/acme-rules:1", stage.registry.host())]);
    command.args(["--plain-http", "--no-verify", "--resolve-deps=false", "--config"]);
    command.arg(stage.host.path("falcoctl.yaml")).arg("--rulesfiles-dir").arg(&directory);
    command.arg("--state-dir").arg(&directory);
    command
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

fn table(rows: &[(&str, Cost)]) -> String {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let head = format!(
        "{:<17} {:>10} {:>10} {:>10} {:>18} {:>18}\n",
        "", "median ms", "fastest ms", "peak KiB", "git requests, B", "registry req., B"
    );
    rows.iter().fold(head, |mut table, (name, cost)| {
        let _written = writeln!(
            table,
            "{name:<17} {:>10.1} {:>10.1} {:>10} {:>9}, {:>7} {:>9}, {:>7}",
            milliseconds(cost.median),
            milliseconds(cost.fastest),
            cost.peak_kib,
            cost.git.0,
            cost.git.1,
            cost.registry.0,
            cost.registry.1
        );
        table
    })
}
