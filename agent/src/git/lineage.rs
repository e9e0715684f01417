//! How two revisions are related.

use std::collections::{HashSet, VecDeque};

use falconer_manifests::revision::Revision;
use git2::{ErrorCode, Oid};

use super::GitError;
use super::local;
use super::remote::{Carrier, Remote};
use super::repository::{self, Repository, damaged, oid};

/// How a revision is related to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lineage {
    /// They are the same.
    Same,
    /// The new one has the old one in its history.
    Descendant,
    /// It has not: the branch was rewritten, wound back or replaced.
    Rewritten,
}

impl Remote {
    /// How `new` is related to `old`. Needs `new` to be fetched with `old` as the last revision; a directory is asked
    /// itself.
    ///
    /// # Errors
    /// [`GitError::NotFetched`] when `new` is not here; [`GitError::Damaged`] or [`GitError::Local`] when history cannot
    /// be read.
    pub fn lineage(&self, repository: &Repository, new: &Revision, old: &Revision) -> Result<Lineage, GitError> {
        if new == old {
            return Ok(Lineage::Same);
        }
        if !repository.has(new) {
            return Err(GitError::NotFetched { revision: new.clone() });
        }
        let descends = match &self.carrier {
            Carrier::Local(path) => {
                let source = local::open(path, &self.shown)?;
                walk(&source, new, old).map_err(|source| GitError::Local { remote: self.shown.clone(), source })?
            }
            Carrier::Http(_) | Carrier::Ssh(_) => {
                walk(&repository.inner, new, old).map_err(|source| damaged(repository.path(), source))?
            }
        };
        Ok(if descends.found { Lineage::Descendant } else { Lineage::Rewritten })
    }
}

/// The commits in the history of `revision` whose parents are not all here.
pub(super) fn boundary(repository: &Repository, revision: &Revision) -> Result<Vec<Revision>, GitError> {
    let walked = oid(revision).and_then(|start| history(&repository.inner, start, None));
    Ok(walked.map_err(|source| damaged(repository.path(), source))?.boundary)
}

struct Walk {
    found: bool,
    boundary: Vec<Revision>,
}

fn walk(repository: &git2::Repository, new: &Revision, old: &Revision) -> Result<Walk, git2::Error> {
    history(repository, oid(new)?, Some(oid(old)?))
}

/// Goes back from `start`, nearest first, until it finds `sought`. Commits that are not here end a line of history: ours
/// is shallow, and a directory's may be.
fn history(repository: &git2::Repository, start: Oid, sought: Option<Oid>) -> Result<Walk, git2::Error> {
    let mut walk = Walk { found: false, boundary: Vec::new() };
    let mut seen = HashSet::from([start]);
    let mut queue = VecDeque::from([start]);
    while let Some(id) = queue.pop_front() {
        let commit = repository.find_commit(id)?;
        let mut is_boundary = false;
        for parent in commit.parent_ids() {
            if Some(parent) == sought {
                walk.found = true;
                return Ok(walk);
            }
            match repository.find_commit(parent) {
                Ok(_) => {
                    if seen.insert(parent) {
                        queue.push_back(parent);
                    }
                }
                Err(error) if error.code() == ErrorCode::NotFound => is_boundary = true,
                Err(error) => return Err(error),
            }
        }
        if is_boundary {
            walk.boundary.extend(repository::revision(id));
        }
    }
    Ok(walk)
}
