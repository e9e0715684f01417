//! `falconer collect`: the drift reports of a fleet.

mod found;
mod row;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use falconer_manifests::name::{BranchName, HostName};
use falconer_manifests::remedy::Remedy;
use futures_util::StreamExt as _;
use secrecy::SecretString;
use serde_json::json;

use super::Failure;
use super::print::Printer;
use super::table::table;
use crate::daemon::now;
use crate::git::{Access, Credential};
use crate::transfer;

use found::Found;
use row::{Row, row};

/// Something is not as it should be.
const WRONG: u8 = 2;
/// How many signatures are checked, or hosts asked for, at the same time.
const AT_ONCE: usize = 8;

#[derive(Debug, Args)]
pub(super) struct Collect {
    /// Where hosts report to: repositories, as URLs or paths; `{shard}` and `{host}` may stand in them as in agent.toml
    #[arg(required_unless_present = "from", value_name = "URL|PATH")]
    repositories: Vec<String>,
    /// What stands there, as in agent.toml
    #[arg(long, value_enum, default_value_t)]
    sink: Sink,
    /// The branch of sink git-branch
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    branch: String,
    /// How many repositories {shard} stands for
    #[arg(long, value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    shards: u32,
    /// A directory of reports, e.g. a copy of what an object store took: HOST, HOST.lock or HOST/host.lock
    #[arg(long, value_name = "DIR")]
    from: Vec<PathBuf>,
    /// The hosts that should report, one in a line; one that has not is shown
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,
    /// Only hosts that have drifted
    #[arg(long)]
    drifted: bool,
    /// Only hosts whose report is older than this, e.g. 48h
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
    older_than: Option<Duration>,
    /// Check that each report is signed by a key that this file lists for the host's name (ssh-keygen(1), ALLOWED SIGNERS)
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    /// The user name for https
    #[arg(long)]
    username: Option<String>,
    /// The file that holds the password for https
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// The file that holds a bearer token for https
    #[arg(long, value_name = "FILE", conflicts_with = "password_file")]
    token_file: Option<PathBuf>,
    /// The SSH key
    #[arg(long, value_name = "FILE")]
    identity_file: Option<PathBuf>,
}

/// What takes reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Sink {
    /// A reference of its own for each host
    #[default]
    GitRef,
    /// A file for each host on one branch
    GitBranch,
    /// A resource of its own for each host, which is got
    Http,
}

pub(super) async fn collect(printer: Printer, request: &Collect) -> Result<u8, Failure> {
    let operator = |error: std::io::Error| Failure::of(error, Remedy::Operator, None);
    let scratch = Scratch::new().map_err(operator)?;
    let hosts = request.hosts.as_deref().map(listed).transpose()?;
    let found = gathered(request, hosts.as_ref(), &scratch.0).await?;
    let now = now();
    let checked = futures_util::stream::iter(found)
        .map(|found| row(found, request.allowed_signers.as_deref(), &scratch.0, now))
        .buffered(AT_ONCE);
    let checked: Vec<_> = checked.collect().await;
    let mut rows = checked.into_iter().collect::<std::io::Result<Vec<_>>>().map_err(operator)?;
    let all = rows.len();
    let missing = hosts.iter().flatten().filter(|host| !rows.iter().any(|row| row.host == host.as_str()));
    let missing: Vec<_> = missing.map(Row::missing).collect();
    rows.extend(missing);
    rows.sort_by(|a, b| a.host.cmp(&b.host));
    let is_filtered = request.drifted || request.older_than.is_some();
    if is_filtered {
        rows.retain(|row| {
            (request.drifted && row.has_drifted())
                || request.older_than.is_some_and(|age| row.age.is_some_and(|old| old > age.as_secs()))
                || !row.problems.is_empty()
        });
    }
    let wrong = rows.iter().filter(|row| is_filtered || !row.is_well()).count();
    let value = json!({ "hosts": rows, "reported": all, "wrong": wrong });
    printer.answer(&text(&rows, all, wrong, request), &value);
    Ok(if wrong > 0 { WRONG } else { 0 })
}

/// The reports from all places.
async fn gathered(
    request: &Collect,
    hosts: Option<&BTreeSet<HostName>>,
    scratch: &Path,
) -> Result<Vec<Found>, Failure> {
    let operator = |error: std::io::Error| Failure::of(error, Remedy::Operator, None);
    let client = transfer::client().map_err(|error| Failure::of(error, Remedy::Us, None))?;
    let access = access(request).map_err(operator)?;
    let branch = match request.sink {
        Sink::GitBranch => Some(BranchName::parse(&request.branch).map_err(|malformed| {
            let hint = malformed.hint.to_string();
            Failure::of(malformed, Remedy::Operator, Some(hint))
        })?),
        Sink::GitRef | Sink::Http => None,
    };
    let mut all = Vec::new();
    for directory in &request.from {
        all.extend(found::in_directory(directory).map_err(operator)?);
    }
    for template in &request.repositories {
        let places = found::places(template, request, hosts)?;
        if request.sink == Sink::Http {
            all.extend(found::by_http(places, &access, &client).await?);
            continue;
        }
        for (number, (_, repository)) in places.iter().enumerate() {
            let ours = scratch.join(format!("{number}.git"));
            let (access, client) = (access.clone(), client.clone());
            all.extend(found::in_repository(repository, branch.as_ref(), access, client, &ours).await?);
            crate::git::discard(&ours);
        }
    }
    Ok(all)
}

/// The names in a file, one in a line; empty lines and those that begin with `#` do not count.
fn listed(file: &Path) -> Result<BTreeSet<HostName>, Failure> {
    let text = fs_err::read_to_string(file).map_err(|error| Failure::of(error, Remedy::Operator, None))?;
    let names = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let parsed = names.map(HostName::parse).collect::<Result<_, _>>();
    parsed.map_err(|malformed| {
        let hint = malformed.hint.to_string();
        Failure::of(malformed, Remedy::Operator, Some(hint))
    })
}

fn access(request: &Collect) -> std::io::Result<Access> {
    let secret = |path: &PathBuf| {
        fs_err::read_to_string(path).map(|text| SecretString::from(text.trim_end_matches(['\n', '\r'])))
    };
    let credential = match (&request.token_file, &request.password_file) {
        (Some(file), _) => Credential::Bearer(secret(file)?),
        (None, Some(file)) => {
            let username = request.username.clone().unwrap_or_else(|| "git".to_owned());
            Credential::Basic { username, password: secret(file)? }
        }
        (None, None) => Credential::None,
    };
    let mut access = Access { credential, ..Access::default() };
    access.ssh.identity_file.clone_from(&request.identity_file);
    Ok(access)
}

fn text(rows: &[Row], all: usize, wrong: usize, request: &Collect) -> String {
    let cells = |row: &Row| {
        let mut notes = row.problems.clone();
        if row.overdue {
            notes.insert(0, "overdue".to_owned());
        }
        if !row.reason.is_empty() {
            notes.push(row.reason.lines().next().unwrap_or_default().to_owned());
        }
        let short = |text: &Option<String>| text.as_deref().and_then(|text| text.get(..12)).unwrap_or("-").to_owned();
        [
            row.host.clone(),
            match row.condition {
                Some(condition) => condition.as_str().to_owned(),
                None if row.reported => "unreadable".to_owned(),
                None => "missing".to_owned(),
            },
            short(&row.revision),
            row.drift.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            row.age.map_or_else(|| "-".to_owned(), age),
            row.evidence.unwrap_or("-").to_owned(),
            row.signature.unwrap_or("-").to_owned(),
            notes.join("; "),
        ]
    };
    let header = ["HOST", "CONDITION", "REVISION", "DRIFT", "AGE", "EVIDENCE", "SIGNATURE", "NOTE"];
    let rows: Vec<_> = rows.iter().map(cells).collect();
    let mut answer = if rows.is_empty() { String::new() } else { table(header, &rows) };
    let hosts = if all == 1 { "host" } else { "hosts" };
    let what = if request.drifted || request.older_than.is_some() { "match" } else { "need a look" };
    answer.push_str(&format!("{all} {hosts}, {wrong} {what}\n"));
    answer
}

/// A span of time in its two largest units.
fn age(seconds: u64) -> String {
    let text = humantime::format_duration(Duration::from_secs(seconds)).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A directory of this process alone. It is removed when this is dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> std::io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("falconer-collect-{:016x}", fastrand::u64(..)));
        // Fails where somebody else was there before.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The system clears its temporary directory too.
        let _left_behind = fs_err::remove_dir_all(&self.0);
    }
}
