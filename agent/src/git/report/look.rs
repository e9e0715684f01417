//! Looks at what a reference holds.

use std::path::Path;

use falconer_manifests::name::RelativePath;
use falconer_manifests::revision::Revision;
use git2::{ErrorCode, Oid};

use super::GitError;
use crate::git::local;
use crate::git::remote::{Carrier, Remote};
use crate::git::repository::{Repository, damaged, oid, revision};

/// What a reference holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The commit.
    pub commit: Revision,
    /// The object id of the file in it, when there is one.
    pub blob: Option<String>,
    /// The bytes of the file, when they are not too many.
    pub content: Option<Vec<u8>>,
}

impl Remote {
    /// What `reference` holds, and the file `path` in it. Its commit is fetched into a new repository in `scratch`, which
    /// is thrown away before.
    ///
    /// # Errors
    /// All that can go wrong on the way to a server, and on the disk.
    pub async fn look(
        &mut self,
        reference: &str,
        path: &RelativePath,
        scratch: &Path,
    ) -> Result<Option<Place>, GitError> {
        if let Carrier::Local(directory) = &self.carrier {
            let source = local::open(directory, &self.shown)?;
            let failed = |source| local::unreadable(&self.shown, source);
            let commit = match source.find_reference(reference).and_then(|found| found.peel_to_commit()) {
                Ok(commit) => commit.id(),
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(None),
                Err(error) => return Err(failed(error)),
            };
            return place(&source, commit, path).map(Some).map_err(failed);
        }
        let Some(commit) = self.references(reference).await?.found else { return Ok(None) };
        let ours = Repository::create_anew(scratch)?;
        self.fetch(&ours, &commit, None).await?;
        let broken = |source| damaged(scratch, source);
        place(&ours.inner, oid(&commit).map_err(broken)?, path).map(Some).map_err(broken)
    }
}

fn place(repository: &git2::Repository, commit: Oid, path: &RelativePath) -> Result<Place, git2::Error> {
    let found = repository.find_commit(commit)?;
    let entry = found.tree()?.get_path(Path::new(path.as_str())).ok().map(|entry| entry.id());
    let content = entry.and_then(|id| Some(repository.find_blob(id).ok()?.content().to_vec()));
    let commit = revision(commit).ok_or_else(|| git2::Error::from_str("its object ids are not SHA-1"))?;
    Ok(Place { commit, blob: entry.map(|id| id.to_string()), content })
}
