//! Small files in the state directory: whole documents, and work files.

use std::path::PathBuf;

use rustix::fs::FileType;

use super::{Locked, StateDirectory, StoreError};
use crate::layout::directory::{Directory, FILE_MODE, FileError};

/// A document in the state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// What we must remember.
    Ledger,
    /// How we are.
    Status,
    /// What is really on this host.
    HostLock,
    /// What artifacts were resolved to where no lockfile is committed.
    Resolution,
    /// What was reported, and where.
    Reporting,
    /// That nothing is to be changed.
    Suspension,
    /// What passes have changed or failed.
    Events,
}

impl Document {
    pub(super) const ALL: [Self; 7] =
        [Self::Ledger, Self::Status, Self::HostLock, Self::Resolution, Self::Reporting, Self::Suspension, Self::Events];

    /// Its file's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Status => "status.json",
            Self::HostLock => "host.lock",
            Self::Resolution => "resolution.lock",
            Self::Reporting => "reporting",
            Self::Suspension => "suspension",
            Self::Events => "events.jsonl",
        }
    }

    pub(super) const fn temporary(self) -> &'static str {
        match self {
            Self::Ledger => "ledger.tmp",
            Self::Status => "status.json.tmp",
            Self::HostLock => "host.lock.tmp",
            Self::Resolution => "resolution.lock.tmp",
            Self::Reporting => "reporting.tmp",
            Self::Suspension => "suspension.tmp",
            Self::Events => "events.jsonl.tmp",
        }
    }
}

impl StateDirectory {
    /// Reads a document of at most `cap` bytes; `None` when there is none.
    ///
    /// # Errors
    /// When something else stands there, when it is longer, or when it cannot be read: never an empty document instead.
    pub fn read_document(&self, document: Document, cap: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(root) = &self.root else { return Ok(None) };
        Ok(root.read_file(document.name(), cap)?)
    }
}

impl Locked {
    /// Replaces a document in one step; gives whether it was another one before. When it was not, nothing is written. A
    /// crash leaves the old document or the new one, whole. The ledger, a suspension and what was reported are durable when this returns; the others, which
    /// every pass can make anew, are with the next ledger or the next lock.
    ///
    /// # Errors
    /// When a step fails. The document is then the old one, or the new one that may not be durable.
    pub fn replace_document(&self, document: Document, content: &[u8]) -> Result<bool, StoreError> {
        if self.is_already(document, content)? {
            return Ok(false);
        }
        let (name, temporary) = (document.name(), document.temporary());
        match document {
            // A report that is about to be sent must be known after a crash.
            Document::Ledger | Document::Suspension | Document::Reporting => {
                self.root.replace_file(name, temporary, content)?;
            }
            Document::Status | Document::HostLock | Document::Resolution | Document::Events => {
                self.root.place_file(name, temporary, content)?;
            }
        }
        Ok(true)
    }

    /// Writes the ledger anew, whatever it was before, durably: who asks for something that must be remembered afterwards
    /// finds out before whether it can be.
    ///
    /// # Errors
    /// When a step fails. The ledger is then the old one, or the new one that may not be durable.
    pub fn rewrite_ledger(&self, content: &[u8]) -> Result<(), StoreError> {
        let document = Document::Ledger;
        Ok(self.root.replace_file(document.name(), document.temporary(), content)?)
    }

    /// Creates a file in the work directory that only we may read, and that is gone when the value is. `name` is a single
    /// path part.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn work_file(&self, name: &str, content: &[u8]) -> Result<WorkFile<'_>, StoreError> {
        self.work.remove_tree(name)?;
        let mut file = self.work.create_file(name, 0o600)?;
        let work_file = WorkFile { directory: &self.work, name: name.into(), path: file.path().to_owned() };
        file.write_all(content)?;
        Ok(work_file)
    }

    fn is_already(&self, document: Document, content: &[u8]) -> Result<bool, FileError> {
        let Some(status) = self.root.stat(document.name())? else { return Ok(false) };
        let same_kind = FileType::from_raw_mode(status.st_mode) == FileType::RegularFile
            && status.st_mode & 0o7777 == FILE_MODE
            && u64::try_from(status.st_size) == Ok(content.len() as u64);
        Ok(same_kind && self.root.read_file(document.name(), content.len() as u64)?.is_some_and(|old| old == content))
    }
}

/// A file in the work directory. It is removed when this is dropped.
#[derive(Debug)]
pub struct WorkFile<'lock> {
    directory: &'lock Directory,
    name: String,
    path: PathBuf,
}

impl WorkFile<'_> {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Drop for WorkFile<'_> {
    fn drop(&mut self) {
        self.directory.discard(&self.name);
    }
}
