//! Reads the reports on a branch that hosts share.

use std::path::Path;

use falconer_manifests::name::{BranchName, RelativePath};
use falconer_manifests::revision::Revision;
use git2::{ErrorCode, ObjectType};

use super::{GitError, Remote, Repository, damaged, oid};

/// A file of the newest commit: its name, and its bytes when they are not too many.
pub(super) type BranchFile = (String, Option<Vec<u8>>);

impl Remote {
    /// The newest commit of `branch` and the files in its `directory`, sorted by name; `None` where the repository is empty.
    /// The commit goes into `repository`, without history.
    ///
    /// # Errors
    /// [`GitError::BranchNotFound`]; all that can go wrong on the way to a server, and on the disk.
    pub async fn collect_branch(
        &mut self,
        branch: &BranchName,
        directory: &RelativePath,
        repository: &Repository,
    ) -> Result<Option<(Revision, Vec<BranchFile>)>, GitError> {
        let commit = match self.poll(branch).await {
            Err(GitError::Empty { .. }) => return Ok(None),
            polled => polled?,
        };
        self.fetch(repository, &commit, None).await?;
        let found = files(&repository.inner, &commit, directory);
        Ok(Some((commit, found.map_err(|source| damaged(repository.path(), source))?)))
    }
}

fn files(
    repository: &git2::Repository,
    commit: &Revision,
    directory: &RelativePath,
) -> Result<Vec<BranchFile>, git2::Error> {
    let tree = repository.find_commit(oid(commit)?)?.tree()?;
    let entry = match tree.get_path(Path::new(directory.as_str())) {
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(Vec::new()),
        entry => entry?,
    };
    let Ok(found) = repository.find_tree(entry.id()) else { return Ok(Vec::new()) };
    let blobs = found.iter().filter(|entry| entry.kind() == Some(ObjectType::Blob));
    let file = |entry: git2::TreeEntry<'_>| {
        let content = repository.find_blob(entry.id()).ok().map(|blob| blob.content().to_vec());
        (String::from_utf8_lossy(entry.name_bytes()).into_owned(), content)
    };
    Ok(blobs.map(file).collect())
}
