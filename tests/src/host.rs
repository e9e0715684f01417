//! A host in a directory: its agent.toml, its falco.yaml, its state, a desired-state repository and an artifact layout,
//! and the real falconer that works on them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use falconer_manifests::host_lock::HostLock;
use serde_json::Value;
use tempfile::TempDir;

mod daemon;
mod falco;
mod snapshot;
mod supervisor;

pub use daemon::Daemon;
pub use falco::HostWithFalco;
pub use snapshot::Snapshot;

/// The falco.yaml of a host that nobody has adopted yet.
pub const FALCO_YAML: &str = include_str!("../../fixtures/falco.yaml");

/// Rules that Falco takes, as their author published them first.
pub const RULES: &str = include_str!("../../fixtures/rules/shell.yaml");

/// A host in a directory of its own, gone when it is dropped.
pub struct Host {
    directory: TempDir,
}

/// How a run of falconer ended.
#[derive(Debug)]
pub struct Run {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it answered.
    pub stdout: String,
    /// What it logged.
    pub stderr: String,
}

impl Run {
    /// The answer as JSON; panics with all that was said when it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// This run, which must have ended with `code`.
    #[must_use]
    #[track_caller]
    pub fn ended_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

impl Host {
    /// A host with an unadopted falco.yaml, no Falco, an empty desired-state repository in `fleet` and agent.toml.
    #[must_use]
    pub fn new() -> Self {
        // As the system names it, because falconer gives names without links.
        let temporary = std::env::temp_dir().canonicalize().unwrap();
        let host = Self { directory: tempfile::tempdir_in(temporary).unwrap() };
        host.write("etc/falco.yaml", FALCO_YAML);
        host.write("agent.toml", &agent_toml("fleet"));
        host.git(&["init", "-q", "-b", "main", "fleet"]);
        host
    }

    /// A host that is adopted and whose repository asks for [`RULES`], published as 1.0.0; no pass was made yet.
    #[must_use]
    #[track_caller]
    pub fn adopted() -> Self {
        let host = Self::new();
        host.publish(RULES, "1.0.0");
        let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.0.0"))]);
        let _adopted = host.falconer(["adopt"]).ended_with(0);
        host
    }

    /// Writes agent.toml anew, with `more` at its end: first keys of `[falco]`, then other tables.
    pub fn configure(&self, more: &str) {
        self.write("agent.toml", &format!("{}{more}", agent_toml("fleet")));
    }

    /// One pass, answered in JSON.
    pub fn once(&self) -> Run {
        self.falconer(["once", "--output", "json"])
    }

    /// What the next pass would do, answered in JSON.
    pub fn plan(&self) -> Run {
        self.falconer(["plan", "--output", "json"])
    }

    /// How the host is, answered in JSON.
    pub fn status(&self) -> Run {
        self.falconer(["status", "--output", "json"])
    }

    /// The drift report in the state directory.
    #[must_use]
    #[track_caller]
    pub fn host_lock(&self) -> HostLock {
        HostLock::parse(&self.read("state/host.lock")).unwrap()
    }

    /// Everything below `path`, with all that a write would change.
    #[must_use]
    #[track_caller]
    pub fn snapshot(&self, path: &str) -> Snapshot {
        Snapshot::of(&self.path(path))
    }

    /// What stands at `current`, itself and not what it leads to.
    #[must_use]
    pub fn snapshot_of_current(&self) -> Option<Snapshot> {
        let current = self.path("state/current");
        current.symlink_metadata().is_ok().then(|| Snapshot::of(&current))
    }

    /// A path below the host's directory.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(path)
    }

    /// Writes a file, and the directories that lead to it.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Reads a file.
    #[must_use]
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Writes files into the desired-state repository and commits everything in it; gives the commit.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            self.write(&format!("fleet/{path}"), text);
        }
        self.git(&["-C", "fleet", "add", "-A"]);
        self.git(&["-C", "fleet", "commit", "-q", "--allow-empty", "-m", "desired state"]);
        self.git(&["-C", "fleet", "rev-parse", "HEAD"]).trim().to_string()
    }

    /// Runs git in the host's directory, with nobody's configuration; gives what it printed.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = self.hermetic("git").args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Publishes `rules` as `version` in the layout `artifacts`, under that tag.
    #[track_caller]
    pub fn publish(&self, rules: &str, version: &str) {
        self.write("to-publish/rules.yaml", rules);
        let reference = format!("oci:artifacts:{version}");
        let push =
            ["artifact", "push", &reference, "to-publish/rules.yaml", "--type", "rulesfile", "--version", version];
        let _published = self.falconer(push).ended_with(0);
    }

    /// Runs falconer to its end.
    pub fn falconer(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
        run(self.command().args(arguments))
    }

    /// A falconer that is not started yet.
    #[must_use]
    pub fn command(&self) -> Command {
        self.command_of(&falconer())
    }

    /// As [`Self::command`], of another build or another program.
    #[must_use]
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = self.hermetic(program);
        command.env("FALCONER_CONFIG", self.path("agent.toml"));
        command
    }

    /// The live rules file that ends in `name`, as the newest status has it.
    #[must_use]
    #[track_caller]
    pub fn live(&self, name: &str) -> PathBuf {
        let rules = self.path("state/current/rules");
        let found = std::fs::read_dir(&rules).unwrap().map(|entry| entry.unwrap().path());
        found.filter(|path| path.to_string_lossy().ends_with(name)).min().unwrap_or_else(|| panic!("no {name} is live"))
    }

    fn hermetic(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.directory.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C")
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_NAME"), "tester")))
            .envs(["AUTHOR", "COMMITTER"].map(|who| (format!("GIT_{who}_EMAIL"), "tester@example.org")));
        command
    }
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

/// An agent.toml for the repository at `url`: everything in the host's directory, and no Falco.
#[must_use]
pub fn agent_toml(url: &str) -> String {
    format!(
        "host = \"web-1\"\n[repository]\nurl = \"{url}\"\n[paths]\nstate = \"state\"\n\
         [falco]\nconfig_file = \"etc/falco.yaml\"\nbinary = \"no-falco\"\n"
    )
}

/// A fleet.yaml that asks for `version` of the layout `artifacts`, and nothing else.
#[must_use]
pub fn fleet_yaml(version: &str) -> String {
    format!(
        "version: 1\nartifacts:\n  acme-rules: {{ref: \"oci:artifacts\", version: \"{version}\"}}\n\
         rules_files:\n  - artifact: acme-rules\n"
    )
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Run { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// The falconer of this build, beside the test's own program, or the one that `FALCONER_PROGRAM` names.
#[must_use]
pub fn falconer() -> PathBuf {
    if let Some(program) = std::env::var_os("FALCONER_PROGRAM") {
        return program.into();
    }
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().and_then(Path::parent).unwrap();
    let program = directory.join("falconer");
    assert!(program.exists(), "{} is not built: run `cargo build --workspace --bins` first", program.display());
    program
}
