//! Gathers the reports of hosts from where they are.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use falconer_manifests::host_lock::{self, signed};
use falconer_manifests::name::{BranchName, HostName};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::report;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{AT_ONCE, Collect, Failure, Sink};
use crate::git::{Access, Credential, GitError, Remote, RemoteUrl, Repository, Signed};
use crate::outbound::{self, Endpoint, OutboundError};

/// How long a server may take to give one report.
const DEADLINE: Duration = Duration::from_secs(60);
/// The most bytes of a report in a file.
const REPORT_CAP: u64 = 4 << 20;
/// How deep reports may lie in a directory.
const DEPTH: u32 = 4;

/// A report as it was found.
pub(super) struct Found {
    /// The host by its place, as written there.
    pub(super) named: String,
    /// The host, where that is its name and its place.
    pub(super) host: Option<HostName>,
    /// Where it was found.
    pub(super) place: String,
    /// The commit that it was found in.
    pub(super) commit: Option<String>,
    /// When it was sent, in seconds since 1970, where not only the report itself says so.
    pub(super) sent: Option<u64>,
    /// Its text.
    pub(super) text: Option<String>,
    /// Its signature.
    pub(super) signed: Option<Signed>,
}

impl Found {
    /// A report whose place keeps nothing but its text.
    fn of_text(named: &str, host: Option<HostName>, place: &str, bytes: Option<Vec<u8>>) -> Self {
        let whole = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let parts = whole.as_deref().map(signed::without_signature);
        let signed = parts.as_ref().and_then(|(text, signature)| {
            Some(Signed {
                namespace: signed::NAMESPACE,
                signature: signature.clone()?.into_bytes(),
                payload: text.as_bytes().to_vec(),
            })
        });
        let text = parts.map(|(text, _)| text.to_owned());
        Self { named: named.to_owned(), host, place: place.to_owned(), commit: None, sent: None, text, signed }
    }
}

/// The URLs that hosts have made of `template`; each with the host, where it is for one alone.
///
/// # Errors
/// When hosts must be listed and are not.
pub(super) fn places(
    template: &str,
    request: &Collect,
    hosts: Option<&BTreeSet<HostName>>,
) -> Result<Vec<(Option<HostName>, String)>, Failure> {
    match (template.contains("{host}"), hosts) {
        (true, Some(hosts)) => {
            let place = |host: &HostName| (Some(host.clone()), report::url(template, host, request.shards));
            Ok(hosts.iter().map(place).collect())
        }
        (true, None) => Err(refused(format!("{{host}} in {template} stands for hosts that are not listed"))),
        (false, _) if request.sink == Sink::Http => {
            Err(refused(format!("{template} has no {{host}} in it, which every report by http has")))
        }
        (false, _) if template.contains("{shard}") => {
            Ok((0..request.shards).map(|shard| (None, template.replace("{shard}", &shard.to_string()))).collect())
        }
        (false, _) => Ok(vec![(None, template.to_owned())]),
    }
}

fn refused(problem: String) -> Failure {
    let hint = "give the url of agent.toml as it is there, and a list of the hosts with --hosts";
    Failure::of(std::io::Error::other(problem), Remedy::Operator, Some(hint.to_owned()))
}

/// The reports in a repository; `ours` is where its commits may lie for a moment.
pub(super) async fn in_repository(
    repository: &str,
    branch: Option<&BranchName>,
    access: Access,
    client: reqwest::Client,
    ours: &Path,
) -> Result<Vec<Found>, Failure> {
    let failed = |error: GitError| {
        let (remedy, hint) = (error.remedy(), error.hint());
        Failure::of(error, remedy, hint)
    };
    let here = std::env::current_dir().map_err(|error| Failure::of(error, Remedy::Operator, None))?;
    let url = RemoteUrl::parse(repository, &here).map_err(failed)?;
    let mut remote = Remote::new(&url, access, client).map_err(failed)?;
    let ours = Repository::create_anew(ours).map_err(failed)?;
    let place = url.to_string();
    if let Some(branch) = branch {
        let found = remote.collect_branch(branch, &host_lock::branch_directory(), &ours).await.map_err(failed)?;
        let Some((commit, files)) = found else { return Ok(Vec::new()) };
        let report = |(name, content): (String, Option<Vec<u8>>)| {
            let named = name.strip_suffix(".lock")?;
            let found = Found::of_text(named, HostName::parse(named).ok(), &place, content);
            Some(Found { commit: Some(commit.to_string()), ..found })
        };
        return Ok(files.into_iter().filter_map(report).collect());
    }
    let found = remote.collect(host_lock::REFERENCES, &host_lock::path(), &ours).await.map_err(failed)?;
    let report = |found: crate::git::Collected| {
        let named = found.reference.rsplit('/').next().unwrap_or_default().to_owned();
        let host = HostName::parse(&named).ok().filter(|host| host_lock::reference(host) == found.reference);
        Found {
            named,
            host,
            place: place.clone(),
            commit: Some(found.commit.to_string()),
            sent: Some(u64::try_from(found.time).unwrap_or_default()),
            text: found.content.map(|content| String::from_utf8_lossy(&content).into_owned()),
            signed: found.signed,
        }
    };
    Ok(found.into_iter().map(report).collect())
}

/// What a collector answers for each of these hosts and URLs. A host that it does not know has no report.
pub(super) async fn by_http(
    places: Vec<(Option<HostName>, String)>,
    access: &Access,
    client: &reqwest::Client,
) -> Result<Vec<Found>, Failure> {
    let credential = match &access.credential {
        Credential::None => outbound::Credential::None,
        Credential::Basic { username, password } => outbound::Credential::Basic(username.clone(), password.clone()),
        Credential::Bearer(token) => outbound::Credential::Bearer(token.clone()),
    };
    let failed = |error: OutboundError| {
        let (remedy, hint) = (error.remedy(), error.hint());
        Failure::of(error, remedy, hint)
    };
    let ask = async |(host, url): (Option<HostName>, String)| {
        let endpoint = Endpoint::new(&url, credential.clone(), DEADLINE, client.clone()).map_err(failed)?;
        let found = endpoint.get().await.map_err(failed)?;
        let named = host.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok::<_, Failure>(found.map(|(_, body)| Found::of_text(&named, host, endpoint.shown(), Some(body))))
    };
    let asked = futures_util::stream::iter(places).map(ask).buffered(AT_ONCE);
    let found: Vec<_> = asked.try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// The reports below a directory: `HOST`, `HOST.lock`, `HOST.toml` or `HOST/host.lock`. What begins with a dot is no report.
///
/// # Errors
/// When the directory or a file in it cannot be read.
pub(super) fn in_directory(directory: &Path) -> std::io::Result<Vec<Found>> {
    let mut found = Vec::new();
    below(directory, directory, DEPTH, &mut found)?;
    Ok(found)
}

fn below(directory: &Path, top: &Path, depth: u32, found: &mut Vec<Found>) -> std::io::Result<()> {
    let mut entries: Vec<_> = fs_err::read_dir(directory)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs_err::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if name.starts_with('.') {
            continue;
        }
        if kind.is_dir() && depth > 0 {
            below(&entry.path(), top, depth - 1, found)?;
        }
        if kind.is_file() {
            let above = || directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let named = if name == host_lock::FILE_NAME { above() } else { name };
            let host = host_lock::host_of_file(&named);
            let is_small = entry.metadata()?.len() <= REPORT_CAP;
            let bytes = is_small.then(|| fs_err::read(entry.path())).transpose()?;
            let named = host.as_ref().map_or(named, ToString::to_string);
            found.push(Found::of_text(&named, host, &top.display().to_string(), bytes));
        }
    }
    Ok(())
}
