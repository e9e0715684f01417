//! Repositories of this machine, read and written by libgit2 without a server.

use std::path::Path;

use falconer_manifests::name::BranchName;
use falconer_manifests::revision::Revision;
use git2::{ErrorCode, ObjectType, OdbLookupFlags, Oid, RepositoryOpenFlags};

use super::GitError;
use super::access::Limits;
use super::advertisement::OTHERS;
use super::intake::Intake;
use super::repository::{Repository, oid, revision};
use crate::transfer::Deadline;

/// Opens the repository in `path`, bare or with a checkout.
pub(super) fn open(path: &Path, shown: &str) -> Result<git2::Repository, GitError> {
    git2::Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, std::iter::empty::<&Path>()).map_err(|source| {
        match source.code() {
            ErrorCode::NotFound => GitError::NotFound { remote: shown.to_owned() },
            _ => unreadable(shown, source),
        }
    })
}

/// The commit that `reference` points to.
pub(super) fn poll(path: &Path, branch: &BranchName, reference: &str, shown: &str) -> Result<Revision, GitError> {
    let source = open(path, shown)?;
    match source.find_reference(reference).and_then(|reference| reference.peel_to_commit()) {
        Ok(commit) => revision(commit.id())
            .ok_or_else(|| GitError::ObjectFormat { remote: shown.to_owned(), format: "other than sha1".to_owned() }),
        Err(error) if error.code() == ErrorCode::NotFound => {
            let others = branches(&source).map_err(|source| unreadable(shown, source))?;
            let remote = shown.to_owned();
            Err(if others.is_empty() {
                GitError::Empty { remote }
            } else {
                GitError::BranchNotFound { remote, branch: branch.clone(), others }
            })
        }
        Err(error) => Err(unreadable(shown, error)),
    }
}

/// Copies the commit `wanted`, its trees, and its files up to the limit for objects, into `repository`, as one pack.
pub(super) fn copy(
    path: &Path,
    repository: &Repository,
    wanted: &Revision,
    shown: &str,
    limits: Limits,
    deadline: Deadline,
) -> Result<(), GitError> {
    let source = open(path, shown)?;
    let failed = |source| unreadable(shown, source);
    // A handle of ours that sees the source's objects too: what is packed is then packed by our configuration, which
    // bounds memory.
    let both = repository.reopened()?;
    let objects = source.commondir().join("objects");
    let objects = objects.to_str().ok_or_else(|| failed(git2::Error::from_str("its path is not UTF-8")))?;
    both.odb().and_then(|odb| odb.add_disk_alternate(objects)).map_err(failed)?;

    let chosen = choose(repository, &both, wanted, shown, limits, deadline)?;
    let mut intake = Intake::open(repository, shown, limits, deadline)?;
    let mut builder = both.packbuilder().map_err(failed)?;
    builder.set_threads(1);
    for id in chosen {
        builder.insert_object(id, None).map_err(failed)?;
    }
    let mut refused = None;
    let packed = builder.foreach(|piece| match intake.take(piece) {
        Ok(()) => true,
        Err(error) => {
            refused = Some(error);
            false
        }
    });
    if let Some(error) = refused {
        return Err(error);
    }
    packed.map_err(failed)?;
    intake.finish()
}

/// The objects of `wanted` that `repository` lacks.
fn choose(
    repository: &Repository,
    both: &git2::Repository,
    wanted: &Revision,
    shown: &str,
    limits: Limits,
    deadline: Deadline,
) -> Result<Vec<Oid>, GitError> {
    let failed = |source| unreadable(shown, source);
    let too_large = |what: String, limit| GitError::TooLarge { remote: shown.to_owned(), what, limit };
    let ours = repository.odb()?;
    let all = both.odb().map_err(failed)?;
    let mut seen = std::collections::HashSet::new();
    let mut chosen = Vec::new();
    let mut waiting = vec![oid(wanted).map_err(failed)?];
    while let Some(id) = waiting.pop() {
        if deadline.left().is_zero() {
            return Err(GitError::Late { remote: shown.to_owned(), source: deadline.passed() });
        }
        if ours.exists_ext(id, OdbLookupFlags::NO_REFRESH) || !seen.insert(id) {
            // Packs come in whole: with a tree, all below it is here.
            continue;
        }
        let (size, kind) = match all.read_header(id) {
            Err(error) if error.code() == ErrorCode::NotFound && chosen.is_empty() => {
                return Err(GitError::Moved { remote: shown.to_owned(), wanted: wanted.clone() });
            }
            other => other.map_err(failed)?,
        };
        if size as u64 > limits.object {
            if kind == ObjectType::Blob {
                continue;
            }
            return Err(too_large(format!("a {kind} of {size} bytes"), limits.object));
        }
        if chosen.len() as u64 >= u64::from(limits.objects) {
            return Err(too_large("a pack of too many objects".to_owned(), u64::from(limits.objects)));
        }
        chosen.push(id);
        match kind {
            ObjectType::Commit => waiting.push(both.find_commit(id).map_err(failed)?.tree_id()),
            ObjectType::Tree => {
                let tree = both.find_tree(id).map_err(failed)?;
                let is_here = |entry: &git2::TreeEntry<'_>| entry.kind() != Some(ObjectType::Commit);
                waiting.extend(tree.iter().filter(is_here).map(|entry| entry.id()));
            }
            _ => {}
        }
    }
    Ok(chosen)
}

fn branches(source: &git2::Repository) -> Result<Vec<String>, git2::Error> {
    let mut names = Vec::new();
    for branch in source.branches(Some(git2::BranchType::Local))?.take(OTHERS) {
        let (branch, _) = branch?;
        names.push(super::error::sanitised(&String::from_utf8_lossy(branch.name_bytes()?)));
    }
    Ok(names)
}

pub(super) fn unreadable(shown: &str, source: git2::Error) -> GitError {
    GitError::Local { remote: shown.to_owned(), source }
}
