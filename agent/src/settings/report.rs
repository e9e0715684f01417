//! `[report]`: where, how often and in whose name the host reports.

use std::path::PathBuf;
use std::time::Duration;

use falconer_manifests::name::{BranchName, HostName};
use falconer_manifests::report::{self, Pace};
use serde::Deserialize;

use super::document::{Credentials, Period};
use super::{Files, Remote, SettingsError};

/// The default number of repositories behind `{shard}`.
const SHARDS: u32 = 16;

/// `[report]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// The URL or path of the repository for reports, or the URL that takes them. `{host}` and `{shard}` are filled in.
    pub url: String,
    /// What stands there.
    #[serde(default)]
    pub sink: WrittenSink,
    /// For `git-branch`: the branch; default: `main`.
    pub branch: Option<String>,
    /// How many repositories `{shard}` stands for; default: 16.
    pub shards: Option<u32>,
    /// The time after which an unchanged host reports again; default: 24h.
    pub heartbeat: Option<Period>,
    /// How long `run` waits for further changes, so that several are one report; default: 10s.
    pub coalesce: Option<Period>,
    /// The SSH key that signs reports.
    pub signing_key: Option<PathBuf>,
    /// How many hosts report to all shards together.
    pub fleet_size: Option<u32>,
    /// How many pushes a minute one repository takes; default: 6 where there is a `fleet_size`.
    pub pushes_per_minute: Option<u32>,
    /// How long a push may take as a whole; default: 2m.
    pub deadline: Option<Period>,
    /// How to get in.
    #[serde(default)]
    pub credentials: Credentials,
}

/// What takes reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WrittenSink {
    /// A reference of its own for each host.
    #[default]
    GitRef,
    /// A file for each host on one branch.
    GitBranch,
    /// A resource of its own for each host, by PUT.
    Http,
}

/// Where, how often and in whose name the host reports.
#[derive(Debug)]
pub struct Report {
    /// Where, and how to get in. `{host}` and `{shard}` are filled in.
    pub remote: Remote,
    /// What stands there.
    pub sink: Sink,
    /// How often.
    pub pace: Pace,
    /// The SSH key that signs reports.
    pub signing_key: Option<PathBuf>,
}

/// What takes reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// A reference of its own for each host.
    GitRef,
    /// A file for each host on this branch.
    GitBranch(BranchName),
    /// A resource of its own for each host, by PUT.
    Http,
}

/// Checks the table. `remote` reads the credentials.
pub(super) fn check(
    files: &Files<'_>,
    host: &HostName,
    written: Written,
    remote: impl FnOnce(String, Option<Period>, Credentials) -> Result<Remote, SettingsError>,
) -> Result<Report, SettingsError> {
    let refused = |key: &str, problem: &str, hint: &str| files.refused(&format!("report.{key}"), problem, hint);
    let is_sharded = written.url.contains("{shard}");
    let shards = written.shards.unwrap_or(SHARDS);
    if written.shards.is_some() && !is_sharded || shards == 0 {
        return Err(refused(
            "shards",
            "does not fit the URL",
            "write {shard} where the URL has the number of the shard",
        ));
    }
    if written.pushes_per_minute == Some(0) || written.fleet_size == Some(0) {
        let problem = "has a budget of nothing";
        return Err(refused(
            "fleet_size",
            problem,
            "give numbers above 0, or take fleet_size and pushes_per_minute out",
        ));
    }
    if written.pushes_per_minute.is_some() && written.fleet_size.is_none() {
        return Err(refused("pushes_per_minute", "needs fleet_size", "say how many hosts share the budget"));
    }
    let sink = match (written.sink, written.branch) {
        (WrittenSink::GitRef, None) => Sink::GitRef,
        (WrittenSink::Http, None) => Sink::Http,
        (WrittenSink::GitBranch, branch) => {
            let branch = branch.as_deref().unwrap_or("main");
            Sink::GitBranch(
                BranchName::parse(branch)
                    .map_err(|malformed| refused("branch", &malformed.to_string(), malformed.hint))?,
            )
        }
        (_, Some(_)) => {
            return Err(refused("branch", "is for another sink", "set sink = \"git-branch\", or take it out"));
        }
    };
    if sink == Sink::Http && !written.url.contains("{host}") {
        let hint = "write {host} where the URL has the host's name, e.g. https://reports.example/hosts/{host}";
        return Err(refused("url", "is the same for all hosts", hint));
    }
    let spacing = written.fleet_size.map_or(0, |fleet| {
        report::spacing(fleet, written.pushes_per_minute.unwrap_or(6), if is_sharded { shards } else { 1 })
    });
    let heartbeat = written.heartbeat.map_or(Duration::from_secs(86_400), |Period(span)| span);
    if heartbeat < Duration::from_secs(1) {
        return Err(refused("heartbeat", "is shorter than a second", "write it like 24h"));
    }
    let coalesce = written.coalesce.map_or(Duration::from_secs(10), |Period(span)| span);
    Ok(Report {
        remote: remote(report::url(&written.url, host, shards), written.deadline, written.credentials)?,
        sink,
        pace: Pace { heartbeat: milliseconds(heartbeat), coalesce: milliseconds(coalesce), spacing },
        signing_key: written.signing_key.as_deref().map(|path| files.path(path)).transpose()?,
    })
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
