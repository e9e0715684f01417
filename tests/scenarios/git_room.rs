//! The Git room against real servers.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use falconer::git::{Access, GitError, Lineage, Remote, RemoteUrl, Repository};
use falconer::transfer;
use falconer_manifests::name::{BranchName, RelativePath};
use falconer_manifests::revision::Revision;
use falconer_tests::git_server::GitServer;
use falconer_tests::git_server::fixture::Fixture;

mod branches;
mod content;
mod faults;
mod local;
mod push;
mod ssh;

/// A server with one repository, `fleet.git`, and a place for ours.
struct Stage {
    directory: tempfile::TempDir,
    server: GitServer,
    fleet: Fixture,
}

impl Stage {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fleet = Fixture::create(&directory.path().join("srv/fleet.git")).unwrap();
        let server = GitServer::start(&directory.path().join("srv")).unwrap();
        Self { directory, server, fleet }
    }

    fn remote(&self) -> Remote {
        remote(&self.server.url("fleet.git"), access())
    }

    fn ours(&self) -> Repository {
        Repository::open_or_create(&self.directory.path().join("ours")).unwrap()
    }
}

fn access() -> Access {
    let mut access = Access::default();
    access.limits.deadline = Duration::from_secs(60);
    access
}

fn remote(url: &str, access: Access) -> Remote {
    let url = RemoteUrl::parse(url, Path::new("/")).unwrap();
    Remote::new(&url, access, transfer::client().unwrap()).unwrap()
}

/// Runs one agent's worth of work: everything on one thread.
fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn main_branch() -> BranchName {
    BranchName::parse("main").unwrap()
}

fn revision(text: &str) -> Revision {
    Revision::parse(text).unwrap()
}

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

/// Polls and fetches, and says how the new tip is related to `last`.
async fn update(
    remote: &mut Remote,
    ours: &Repository,
    last: Option<&Revision>,
) -> Result<(Revision, Lineage), GitError> {
    let tip = remote.poll(&main_branch()).await?;
    remote.fetch(ours, &tip, last).await?;
    let lineage = match last {
        Some(last) => remote.lineage(ours, &tip, last)?,
        None => Lineage::Same,
    };
    Ok((tip, lineage))
}

fn read(ours: &Repository, revision: &Revision, file: &str) -> Option<Vec<u8>> {
    ours.read_file(revision, &path(file), 1 << 20).unwrap()
}
