//! `falconer collect`: the drift reports of a fleet.
#![expect(clippy::disallowed_methods, reason = "the age of a report is told as of now")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use falconer_manifests::host_lock::{self, HostLock};
use falconer_manifests::name::HostName;
use falconer_manifests::outcome::Condition;
use falconer_manifests::remedy::Remedy;
use futures_util::StreamExt as _;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;

use super::Failure;
use super::print::Printer;
use super::table::table;
use crate::daemon::now;
use crate::git::{self, Access, Collected, Credential, GitError, Remote, RemoteUrl, Repository, Trust};
use crate::transfer;

/// Something is not as it should be.
const WRONG: u8 = 2;
/// How many signatures are checked at the same time.
const AT_ONCE: usize = 8;
/// What the references of reports begin with.
const PREFIX: &str = "refs/falconer/hosts/";

#[derive(Debug, Args)]
pub(super) struct Collect {
    /// The repositories that hosts report to: URLs or paths
    #[arg(required = true, value_name = "URL|PATH")]
    repositories: Vec<String>,
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

/// What is known of one host.
#[derive(Debug, Serialize)]
struct Row {
    host: String,
    /// `None` where the report cannot be read.
    condition: Option<Condition>,
    revision: Option<String>,
    wanted: Option<String>,
    drift: Option<usize>,
    /// Seconds since the report was sent.
    age: u64,
    /// Whether two heartbeats were missed.
    overdue: bool,
    evidence: Option<&'static str>,
    falco: Option<String>,
    sequence: Option<u64>,
    number: Option<u64>,
    /// `good`, `bad` or `none` where signatures are checked.
    signature: Option<&'static str>,
    /// What is wrong with the report itself.
    problems: Vec<String>,
    reason: String,
    repository: String,
    commit: String,
}

pub(super) async fn collect(printer: Printer, request: &Collect) -> Result<u8, Failure> {
    let operator = |error: std::io::Error| Failure::of(error, Remedy::Operator, None);
    let scratch = Scratch::new().map_err(operator)?;
    let client = transfer::client().map_err(|error| Failure::of(error, Remedy::Us, None))?;
    let access = access(request).map_err(operator)?;
    let now = now();
    let mut rows = Vec::new();
    for (number, repository) in request.repositories.iter().enumerate() {
        let ours = scratch.0.join(format!("{number}.git"));
        let (shown, found) = fetched(repository, access.clone(), client.clone(), &ours).await?;
        let checked = futures_util::stream::iter(found)
            .map(|found| row(found, &shown, request.allowed_signers.as_deref(), &scratch.0, now))
            .buffered(AT_ONCE);
        let checked: Vec<_> = checked.collect().await;
        for row in checked {
            rows.push(row.map_err(operator)?);
        }
    }
    rows.sort_by(|a, b| a.host.cmp(&b.host));
    let all = rows.len();
    let is_filtered = request.drifted || request.older_than.is_some();
    if is_filtered {
        rows.retain(|row| {
            (request.drifted && row.has_drifted())
                || request.older_than.is_some_and(|age| row.age > age.as_secs())
                || !row.problems.is_empty()
        });
    }
    let wrong = rows.iter().filter(|row| is_filtered || !row.is_well()).count();
    let value = json!({ "hosts": rows, "reported": all, "wrong": wrong });
    printer.answer(&text(&rows, all, wrong, request), &value);
    Ok(if wrong > 0 { WRONG } else { 0 })
}

impl Row {
    fn has_drifted(&self) -> bool {
        self.condition == Some(Condition::Drifted) || self.drift.unwrap_or_default() > 0
    }

    fn is_well(&self) -> bool {
        self.condition == Some(Condition::InSync) && !self.has_drifted() && !self.overdue && self.problems.is_empty()
    }
}

async fn fetched(
    repository: &str,
    access: Access,
    client: reqwest::Client,
    ours: &Path,
) -> Result<(String, Vec<Collected>), Failure> {
    let failed = |error: GitError| {
        let (remedy, hint) = (error.remedy(), error.hint());
        Failure::of(error, remedy, hint)
    };
    let here = std::env::current_dir().map_err(|error| Failure::of(error, Remedy::Operator, None))?;
    let url = RemoteUrl::parse(repository, &here).map_err(failed)?;
    let mut remote = Remote::new(&url, access, client).map_err(failed)?;
    let ours = Repository::create_anew(ours).map_err(failed)?;
    let found = remote.collect(PREFIX, &host_lock::path(), &ours).await.map_err(failed)?;
    Ok((url.to_string(), found))
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

async fn row(
    found: Collected,
    repository: &str,
    allowed_signers: Option<&Path>,
    scratch: &Path,
    now: u64,
) -> std::io::Result<Row> {
    let named = found.reference.rsplit('/').next().unwrap_or_default().to_owned();
    let mut problems = Vec::new();
    let text = found.content.as_deref().map(String::from_utf8_lossy);
    let report = match text.as_deref().map(HostLock::parse) {
        Some(Ok(report)) => Some(report),
        Some(Err(error)) => {
            problems.push(format!("cannot be read: {}", error.message()));
            None
        }
        None => {
            problems.push("has no host.lock".to_owned());
            None
        }
    };
    let host = HostName::parse(&named).ok().filter(|host| host_lock::reference(host) == found.reference);
    if let Some(report) = report.as_ref().filter(|report| host.as_ref() != Some(&report.host)) {
        problems.push(format!("is about {}, and lies where another host reports", report.host));
    }
    let chain = report.as_ref().and_then(|report| report.chain.as_ref());
    if let Some(displaced) = chain.and_then(|chain| chain.displaced.as_ref()) {
        problems.push(format!("took the place of one by instance {displaced}: two hosts may have one name"));
    }
    let signature = match (allowed_signers, &host) {
        (None, _) => None,
        (Some(_), None) => Some(Trust::Bad("the reference names no host".to_owned())),
        (Some(file), Some(host)) => {
            let signed = found.signed.as_ref().map(|(signature, payload)| (signature.as_slice(), payload.as_slice()));
            Some(git::verify(file, host, signed, scratch).await?)
        }
    };
    match &signature {
        Some(Trust::Unsigned) => problems.push("is not signed".to_owned()),
        Some(Trust::Bad(why)) => problems.push(format!("has a bad signature: {why}")),
        Some(Trust::Good) | None => {}
    }
    let sent = u64::try_from(found.time).unwrap_or_default();
    let report = report.as_ref();
    Ok(Row {
        condition: report.map(|report| report.condition),
        revision: report.and_then(|report| report.applied.as_ref()).map(ToString::to_string),
        wanted: report.and_then(|report| report.wanted.as_ref()).map(ToString::to_string),
        drift: report.map(|report| report.drift.len()),
        age: now.saturating_sub(sent),
        overdue: report.and_then(|report| report.is_overdue(now)).unwrap_or_default(),
        evidence: report.map(|report| report.evidence.as_str()),
        falco: report.map(|report| report.falco.clone()),
        sequence: report.map(|report| report.sequence),
        number: chain.map(|chain| chain.number),
        signature: signature.map(|trust| match trust {
            Trust::Good => "good",
            Trust::Unsigned => "none",
            Trust::Bad(_) => "bad",
        }),
        reason: report.map(|report| report.reason.clone()).unwrap_or_default(),
        host: named,
        problems,
        repository: repository.to_owned(),
        commit: found.commit.to_string(),
    })
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
            row.condition.map_or("unreadable", Condition::as_str).to_owned(),
            short(&row.revision),
            row.drift.map_or_else(|| "-".to_owned(), |count| count.to_string()),
            age(row.age),
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
