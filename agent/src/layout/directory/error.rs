//! What can go wrong with a file.

use std::io;
use std::path::PathBuf;

use falconer_manifests::remedy::Remedy;
use rustix::io::Errno;

/// One act on one file failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} {}", path.display())]
pub struct FileError {
    /// What was tried, as a verb.
    pub act: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// The error of `act` on `path`.
    #[must_use]
    pub fn new(act: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self { act, path: path.into(), source }
    }

    /// Whether the file or its directory is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether we may not do that.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }

    /// Whether something of that name exists.
    #[must_use]
    pub fn is_there_already(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }

    /// Whether the directory has no such subdirectory because something else stands there: a symbolic link or a file.
    #[must_use]
    pub fn is_not_a_directory(&self) -> bool {
        matches!(self.errno(), Some(Errno::NOTDIR | Errno::LOOP))
    }

    /// Whether somebody has seen to it that this cannot be changed: by its permissions, by an attribute, by a mount.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.errno(), Some(Errno::PERM | Errno::ACCESS | Errno::ROFS | Errno::BUSY))
    }

    /// Who can end this.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self.errno() {
            Some(Errno::NOMEM | Errno::INTR | Errno::AGAIN) => Remedy::Time,
            Some(Errno::INVAL | Errno::EXIST | Errno::NOTEMPTY | Errno::BADF) => Remedy::Us,
            _ => Remedy::Operator,
        }
    }

    /// The next act of the person who reads this.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let path = self.path.display();
        let text = match self.errno() {
            Some(Errno::NOSPC) => format!("the disk is full: free space (df) or inodes (df -i) where {path} is"),
            Some(Errno::DQUOT) => format!("the disk quota is used up: raise it or free space where {path} is"),
            Some(Errno::ROFS) => format!("the file system of {path} is read-only: see `findmnt -T {path}` and dmesg"),
            Some(Errno::ACCESS) => {
                format!("run as the owner of {path}, usually root, or give the unit ReadWritePaths=")
            }
            Some(Errno::PERM) => format!("{path} may be immutable (lsattr) or belong to another user (ls -l)"),
            Some(Errno::IO) => format!("the disk reports errors: see dmesg, and check the disk under {path}"),
            Some(Errno::MFILE | Errno::NFILE) => "too many files are open: raise LimitNOFILE=".into(),
            Some(Errno::LOOP | Errno::NOTDIR | Errno::ISDIR) => {
                format!("something else stands at {path}, e.g. a symbolic link: look at it and move it away")
            }
            Some(Errno::FBIG) => format!("{path} is longer than it can be: look at it and move it away"),
            Some(Errno::BUSY) => format!("something is mounted at {path}: unmount it"),
            _ if self.source.kind() == io::ErrorKind::InvalidInput => {
                format!("look at what stands at {path} and move it away")
            }
            _ => return None,
        };
        Some(text)
    }

    fn errno(&self) -> Option<Errno> {
        Errno::from_io_error(&self.source)
    }
}
