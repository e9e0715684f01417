//! Makes the commit of a report.

use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Oid, Repository, Signature, Time};

use super::Report;

/// Stores the commit of `report`, on top of `parent` and its files where there is one.
pub(super) fn commit(
    repository: &Repository,
    report: &Report<'_>,
    parent: Option<Oid>,
    signature: Option<&str>,
) -> Result<Oid, git2::Error> {
    if let Some(signature) = signature {
        // The header that git puts SSH signatures into, too (git, Documentation/gitformat-signature).
        return repository.commit_signed(&payload(repository, report, parent)?, signature, Some("gpgsig"));
    }
    let (author, tree, parent) = (author(report)?, tree(repository, report, parent)?, found(repository, parent)?);
    let tree = repository.find_tree(tree)?;
    repository.commit(None, &author, &author, report.message, &tree, &parent.iter().collect::<Vec<_>>())
}

/// The text of the commit, which is what is signed.
pub(super) fn payload(
    repository: &Repository,
    report: &Report<'_>,
    parent: Option<Oid>,
) -> Result<String, git2::Error> {
    let (author, tree, parent) = (author(report)?, tree(repository, report, parent)?, found(repository, parent)?);
    let tree = repository.find_tree(tree)?;
    let parents: Vec<_> = parent.iter().collect();
    let buffer = repository.commit_create_buffer(&author, &author, report.message, &tree, &parents)?;
    buffer.as_str().map(str::to_owned).map_err(|_| git2::Error::from_str("it is not UTF-8"))
}

/// Stores the files of `report` in the tree of `parent`.
pub(super) fn tree(repository: &Repository, report: &Report<'_>, parent: Option<Oid>) -> Result<Oid, git2::Error> {
    let base = match found(repository, parent)? {
        Some(parent) => parent.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let mut tree = TreeUpdateBuilder::new();
    for (path, content) in report.files {
        tree.upsert(path.as_str(), repository.blob(content)?, FileMode::Blob);
    }
    tree.create_updated(repository, &base)
}

fn found(repository: &Repository, parent: Option<Oid>) -> Result<Option<Commit<'_>>, git2::Error> {
    parent.map(|parent| repository.find_commit(parent)).transpose()
}

fn author(report: &Report<'_>) -> Result<Signature<'static>, git2::Error> {
    Signature::new(report.author, report.email, &Time::new(report.time, 0))
}

/// The object id of a blob of these bytes.
#[must_use]
pub fn blob_id(content: &[u8]) -> Option<String> {
    Oid::hash_object(git2::ObjectType::Blob, content).ok().map(|id| id.to_string())
}
