//! Pushes a report as one file of a branch that several hosts share.

use std::path::Path;

use falconer_manifests::revision::Revision;
use git2::{Buf, Oid};

use super::{Expected, GitError, PushedReport, Report, build, in_directory, memory, sign};
use crate::git::local;
use crate::git::remote::{Carrier, Remote};
use crate::git::repository::{Repository, damaged, oid};

impl Remote {
    /// Pushes `report` on top of `tip`, which [`Remote::look`] has put into the repository in `scratch`, or as the first
    /// commit of the branch. Files of others stay as they are. The branch must still be where it was.
    ///
    /// # Errors
    /// As [`Remote::push_report`]; [`GitError::Lost`] when somebody else was quicker.
    pub async fn push_on_branch(
        &mut self,
        report: &Report<'_>,
        tip: Option<&Revision>,
        scratch: &Path,
    ) -> Result<PushedReport, GitError> {
        let malformed = |source| GitError::Report { what: report.reference.to_owned(), source };
        let report = Report { expected: tip.cloned().map_or(Expected::Absent, Expected::Commit), ..report.clone() };
        let parent = tip.map(oid).transpose().map_err(malformed)?;
        let signature = match report.signing_key {
            Some(key) => {
                let payload = build::payload(&*self.base(parent, scratch)?, &report, parent).map_err(malformed)?;
                Some(sign::sign(key, sign::COMMITS, payload.as_bytes()).await?)
            }
            None => None,
        };
        if let Carrier::Local(path) = &self.carrier {
            let target = local::open(path, &self.shown)?;
            return in_directory(&target, &report, parent, signature.as_deref(), &self.shown);
        }
        let made = packed(&*self.base(parent, scratch)?, &report, parent, signature.as_deref());
        let (commit, pack) = made.map_err(malformed)?;
        self.push_pack(&report, commit, &pack).await
    }

    /// The repository that has the tip.
    fn base(&self, parent: Option<Oid>, scratch: &Path) -> Result<Box<git2::Repository>, GitError> {
        Ok(Box::new(match (&self.carrier, parent) {
            (Carrier::Local(path), _) => local::open(path, &self.shown)?,
            (_, Some(_)) => Repository::open_or_create(scratch)?.inner,
            (_, None) => memory().map_err(|source| damaged(scratch, source))?,
        }))
    }
}

/// The commit and a pack of what the server lacks: it, the trees on the way to the files, and the files.
fn packed(
    repository: &git2::Repository,
    report: &Report<'_>,
    parent: Option<Oid>,
    signature: Option<&str>,
) -> Result<(Oid, Vec<u8>), git2::Error> {
    let id = build::commit(repository, report, parent, signature)?;
    let tree = repository.find_commit(id)?.tree()?;
    let mut builder = repository.packbuilder()?;
    builder.set_threads(1);
    builder.insert_object(id, None)?;
    builder.insert_object(tree.id(), None)?;
    for (path, _) in report.files {
        for part in Path::new(path.as_str()).ancestors().filter(|part| !part.as_os_str().is_empty()) {
            builder.insert_object(tree.get_path(part)?.id(), None)?;
        }
    }
    let mut pack = Buf::new();
    builder.write_buf(&mut pack)?;
    Ok((id, pack.to_vec()))
}
