//! Takes a pack into our repository: scanned, indexed beside it, made durable, then put in place.

use std::io::Write as _;
use std::path::PathBuf;

use git2::{ErrorClass, Indexer};

use super::GitError;
use super::access::Limits;
use super::error::sanitised;
use super::pack_scan::{Refusal, Scan};
use super::repository::Repository;
use crate::transfer::Deadline;

/// A pack on its way in. Dropped before [`Intake::finish`], it leaves nothing behind.
pub(super) struct Intake<'r> {
    repository: &'r Repository,
    remote: &'r str,
    directory: PathBuf,
    scan: Scan,
    indexer: Option<Indexer<'static>>,
    deadline: Deadline,
}

impl<'r> Intake<'r> {
    /// Makes room for a pack from `remote`.
    pub(super) fn open(
        repository: &'r Repository,
        remote: &'r str,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Self, GitError> {
        let directory = repository.path().join("incoming");
        if directory.try_exists().map_err(GitError::Disk)? {
            fs_err::remove_dir_all(&directory).map_err(GitError::Disk)?;
        }
        fs_err::create_dir(&directory).map_err(GitError::Disk)?;
        let mut intake = Self { repository, remote, directory, scan: Scan::new(limits), indexer: None, deadline };
        let mut indexer = Indexer::new(None, &intake.directory, 0, false)
            .map_err(|error| GitError::Disk(std::io::Error::other(error)))?;
        // Called for each object and each delta: the one way to stop libgit2 in the middle.
        indexer.progress(move |_| !deadline.left().is_zero());
        intake.indexer = Some(indexer);
        Ok(intake)
    }

    /// Takes the next piece of the pack.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), GitError> {
        self.scan.take(piece).map_err(|refusal| match refusal {
            Refusal::TooLarge { what, limit } => GitError::TooLarge { remote: self.remote.to_owned(), what, limit },
            Refusal::Broken(problem) => self.broken(problem.to_owned()),
        })?;
        let written = match &mut self.indexer {
            Some(indexer) => indexer.write_all(piece),
            None => Ok(()),
        };
        written.map_err(|error| match error.downcast() {
            Ok(error) => self.stopped(error),
            Err(error) => GitError::Disk(error),
        })
    }

    /// Checks the pack as a whole and puts it in place. An empty pack leaves nothing.
    pub(super) fn finish(mut self) -> Result<(), GitError> {
        if !self.scan.is_whole() {
            return Err(GitError::BrokeOff { remote: self.remote.to_owned() });
        }
        let Some(indexer) = self.indexer.take().filter(|_| self.scan.objects() != Some(0)) else { return Ok(()) };
        let name = indexer.commit().map_err(|error| self.stopped(error))?;
        // The index makes a pack visible, so it comes last.
        for extension in ["pack", "idx"] {
            let file = format!("pack-{name}.{extension}");
            let from = self.directory.join(&file);
            fs_err::File::open(&from).and_then(|file| file.sync_all()).map_err(GitError::Disk)?;
            fs_err::rename(&from, self.repository.pack_directory().join(&file)).map_err(GitError::Disk)?;
        }
        fs_err::File::open(self.repository.pack_directory()).and_then(|dir| dir.sync_all()).map_err(GitError::Disk)?;
        self.repository
            .odb()?
            .refresh()
            .map_err(|source| GitError::Damaged { path: self.repository.path().to_owned(), source })
    }

    /// What libgit2 stumbled over.
    fn stopped(&self, error: git2::Error) -> GitError {
        if self.deadline.left().is_zero() {
            return GitError::Late { remote: self.remote.to_owned(), source: self.deadline.passed() };
        }
        match error.class() {
            ErrorClass::Os | ErrorClass::Filesystem => GitError::Disk(std::io::Error::other(error)),
            _ => self.broken(sanitised(error.message())),
        }
    }

    fn broken(&self, problem: String) -> GitError {
        GitError::BrokenPack { remote: self.remote.to_owned(), problem }
    }
}

impl Drop for Intake<'_> {
    fn drop(&mut self) {
        self.indexer = None;
        // Nothing reads this directory, and the next intake empties it.
        let _left_behind = fs_err::remove_dir_all(&self.directory);
    }
}
