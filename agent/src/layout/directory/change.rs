//! Every act of ours that changes the disk: each is one function here, and one or two system calls.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use super::{Directory, FileError};

/// The mode of directories: everybody may read them, only the owner may change them.
pub const DIRECTORY_MODE: u32 = 0o755;

/// The mode of files: everybody may read them, only the owner may change them.
pub const FILE_MODE: u32 = 0o644;

const LOCK_MODE: u32 = 0o600;

/// How deep a tree may be that [`Directory::remove_tree`] removes.
const DEPTH_CAP: usize = 32;

/// A file that did not exist before, open for writing.
#[derive(Debug)]
pub struct NewFile {
    file: File,
    path: PathBuf,
}

impl NewFile {
    /// Writes all of `content`.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn write_all(&mut self, content: &[u8]) -> Result<(), FileError> {
        self.file.write_all(content).map_err(|source| FileError::new("write", &self.path, source))
    }

    /// Drops all that was written.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn start_over(&mut self) -> Result<(), FileError> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|source| FileError::new("empty", &self.path, source))
    }

    /// Waits until the content is on the disk. After an error the file is worthless: the kernel may have dropped the pages
    /// that it could not write, and a second attempt would lie.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn sync(&self) -> Result<(), FileError> {
        retry_on_intr(|| rustix::fs::fsync(&self.file))
            .map_err(|errno| FileError::new("make durable", &self.path, errno.into()))
    }

    /// What the file is now.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn status(&self) -> Result<Stat, FileError> {
        rustix::fs::fstat(&self.file).map_err(|errno| FileError::new("look at", &self.path, errno.into()))
    }

    /// Writes elsewhere from now on.
    #[cfg(test)]
    pub(crate) fn replace(&mut self, file: File) {
        self.file = file;
    }

    /// Where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Directory {
    /// Opens the directory at `path`, after creating it and those that lead to it where they are missing.
    ///
    /// # Errors
    /// When one cannot be created or opened, or when the last is a symbolic link.
    pub fn open_or_create(path: &Path) -> Result<Self, FileError> {
        match Self::open_real(path) {
            Err(error) if error.is_not_found() => {}
            opened => return opened,
        }
        let created = Self::create_all(path)?;
        Self::sync_all_above(path)?;
        Ok(created)
    }

    fn create_all(path: &Path) -> Result<Self, FileError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(FileError::new("create", path, Errno::INVAL.into()));
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let parent = match Self::open(parent) {
            Err(error) if error.is_not_found() => Self::create_all(parent)?,
            opened => opened?,
        };
        parent.open_or_create_subdirectory(name)?;
        Self::open_real(path)
    }

    /// Waits until the names of the directory at `path` and of all that lead to it are on the disk, whoever has created them:
    /// one who was killed over it may have left them in memory only. What is on another file system was there before.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn sync_all_above(path: &Path) -> Result<(), FileError> {
        let device = Self::open(path)?.own_stat()?.st_dev;
        let path = std::path::absolute(path).map_err(|source| FileError::new("find", path, source))?;
        for above in path.ancestors().skip(1) {
            let above = match Self::open(above) {
                // Whom it does not let look into it, it has not let create anything either.
                Err(error) if error.is_denied() => continue,
                opened => opened?,
            };
            if above.own_stat()?.st_dev != device {
                break;
            }
            above.sync()?;
        }
        Ok(())
    }

    /// Creates the directory `name` and opens it.
    ///
    /// # Errors
    /// When something of that name exists, or when it cannot be created.
    pub fn create_subdirectory(&self, name: impl AsRef<OsStr>) -> Result<Self, FileError> {
        let name = self.part("create", name.as_ref())?;
        let mode = Mode::from_raw_mode(DIRECTORY_MODE);
        rustix::fs::mkdirat(&self.descriptor, name, mode).map_err(|errno| self.error("create", name, errno))?;
        let directory = self.subdirectory(name)?;
        directory.set_mode()?;
        Ok(directory)
    }

    /// Opens the directory `name` with the right mode; creates it when there is none, durably after the next
    /// [`Self::sync`].
    ///
    /// # Errors
    /// When something else stands there, or when it cannot be created.
    pub fn open_or_create_subdirectory(&self, name: impl AsRef<OsStr>) -> Result<Self, FileError> {
        let name = name.as_ref();
        match self.subdirectory(name) {
            Ok(directory) => Ok(directory),
            Err(error) if error.is_not_found() => match self.create_subdirectory(name) {
                // Somebody else was faster.
                Err(error) if error.is_there_already() => self.subdirectory(name),
                created => created,
            },
            Err(error) => Err(error),
        }
    }

    /// Gives this directory [`DIRECTORY_MODE`], whatever the umask has made of it.
    ///
    /// # Errors
    /// When it belongs to somebody else.
    pub fn set_mode(&self) -> Result<(), FileError> {
        if self.own_stat()?.st_mode & 0o7777 == DIRECTORY_MODE {
            return Ok(());
        }
        rustix::fs::fchmod(&self.descriptor, Mode::from_raw_mode(DIRECTORY_MODE))
            .map_err(|errno| self.own_error("set the mode of", errno))
    }

    /// Creates the file `name` with exactly `mode`.
    ///
    /// # Errors
    /// When something of that name exists, or when it cannot be created.
    pub fn create_file(&self, name: impl AsRef<OsStr>, mode: u32) -> Result<NewFile, FileError> {
        let name = self.part("create", name.as_ref())?;
        let mode = Mode::from_raw_mode(mode);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.descriptor, name, flags, mode)
            .map_err(|errno| self.error("create", name, errno))?;
        // The umask may have taken bits away that others need for reading.
        rustix::fs::fchmod(&file, mode).map_err(|errno| self.error("set the mode of", name, errno))?;
        Ok(NewFile { file: File::from(file), path: self.path().join(name) })
    }

    /// Replaces the file `name` in one step that a crash cannot tear: written to `temporary` beside it, synced, renamed,
    /// and the directory synced.
    ///
    /// # Errors
    /// When a step fails; the old file is then still there, unless the last step failed.
    pub fn replace_file(&self, name: &str, temporary: &str, content: &[u8]) -> Result<(), FileError> {
        self.place_file(name, temporary, content)?;
        self.sync()
    }

    /// As [`Self::replace_file`] without the last step: a crash leaves the old file or the new one, whole, and surely the
    /// new one only after the next [`Self::sync`].
    ///
    /// # Errors
    /// When a step fails; the old file is then still there.
    pub fn place_file(&self, name: &str, temporary: &str, content: &[u8]) -> Result<(), FileError> {
        self.remove_file_if_there(temporary)?;
        let mut file = self.create_file(temporary, FILE_MODE)?;
        let written = file.write_all(content).and_then(|()| file.sync()).and_then(|()| self.rename(temporary, name));
        if written.is_err() {
            self.discard(temporary);
        }
        written
    }

    /// Opens the lock file `name`, which only the owner may open: who can open a file can lock it. It is created where it
    /// is missing.
    ///
    /// # Errors
    /// When it cannot be opened or created.
    pub fn open_or_create_lock(&self, name: &str) -> Result<File, FileError> {
        let file = match self.open_file(name) {
            Err(error) if error.is_not_found() => match self.create_file(name, LOCK_MODE) {
                // Somebody else was faster.
                Err(error) if error.is_there_already() => self.open_file(name)?,
                created => created?.file,
            },
            file => file?,
        };
        let status = rustix::fs::fstat(&file).map_err(|errno| self.error("look at", name.as_ref(), errno))?;
        if status.st_mode & 0o7777 != LOCK_MODE {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(LOCK_MODE))
                .map_err(|errno| self.error("set the mode of", name.as_ref(), errno))?;
        }
        Ok(file)
    }

    /// Locks an open lock file until it is closed (flock(2)); `false` when somebody else holds it.
    ///
    /// # Errors
    /// When the file system knows no locks.
    pub fn lock(&self, name: &str, file: &File) -> Result<bool, FileError> {
        match retry_on_intr(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(errno) => Err(self.error("lock", name.as_ref(), errno)),
        }
    }

    /// Renames `from` to `to`, both in this directory, replacing a file or an empty directory.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> Result<(), FileError> {
        let (from, to) = (self.part("rename", from.as_ref())?, self.part("rename", to.as_ref())?);
        rustix::fs::renameat(&self.descriptor, from, &self.descriptor, to)
            .map_err(|errno| self.error("rename something to", to, errno))
    }

    /// Renames `from` to `to` in another directory of the same file system, where there must be nothing of that name.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn rename_into(&self, from: impl AsRef<OsStr>, other: &Self, to: impl AsRef<OsStr>) -> Result<(), FileError> {
        let (from, to) = (self.part("rename", from.as_ref())?, other.part("rename", to.as_ref())?);
        rustix::fs::renameat(&self.descriptor, from, &other.descriptor, to)
            .map_err(|errno| other.error("rename something to", to, errno))
    }

    /// Lets `one` and `other` change places in one step. `false`: this file system cannot, and nothing has happened.
    ///
    /// # Errors
    /// When it fails for another reason.
    pub fn exchange(&self, one: impl AsRef<OsStr>, other: impl AsRef<OsStr>) -> Result<bool, FileError> {
        let (one, other) = (self.part("rename", one.as_ref())?, self.part("rename", other.as_ref())?);
        match rustix::fs::renameat_with(&self.descriptor, one, &self.descriptor, other, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(self.error("rename something to", other, errno)),
        }
    }

    /// Creates the symbolic link `name` to `target`.
    ///
    /// # Errors
    /// When something of that name exists, or when it cannot be created.
    pub fn create_link(&self, target: &str, name: impl AsRef<OsStr>) -> Result<(), FileError> {
        let name = self.part("create", name.as_ref())?;
        rustix::fs::symlinkat(target, &self.descriptor, name).map_err(|errno| self.error("create", name, errno))
    }

    /// Removes `name`, which is no directory; a symbolic link is removed, not what it points to.
    ///
    /// # Errors
    /// When it is not there or cannot be removed.
    pub fn remove_file(&self, name: impl AsRef<OsStr>) -> Result<(), FileError> {
        self.unlink(name.as_ref(), AtFlags::empty())
    }

    /// Like [`Self::remove_file`]; `false` when there is nothing.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_file_if_there(&self, name: impl AsRef<OsStr>) -> Result<bool, FileError> {
        let name = name.as_ref();
        Ok(self.stat(name)?.is_some() && self.remove_file(name).map(|()| true)?)
    }

    /// Removes `name` with all that is in it, following no link; `false` when there is nothing.
    ///
    /// # Errors
    /// When something cannot be removed, or when the tree is deeper than any of ours.
    pub fn remove_tree(&self, name: impl AsRef<OsStr>) -> Result<bool, FileError> {
        self.remove_tree_at(name.as_ref(), DEPTH_CAP)
    }

    /// Removes what a failed act has left, as well as it can: the error of the act is what matters then, and what stays
    /// is removed by the next run.
    pub fn discard(&self, name: impl AsRef<OsStr>) {
        if let Err(error) = self.remove_tree(name) {
            tracing::warn!(error = %error, reason = %error.source, "left a temporary file behind");
        }
    }

    /// Waits until the names in this directory are on the disk.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn sync(&self) -> Result<(), FileError> {
        retry_on_intr(|| rustix::fs::fsync(&self.descriptor)).map_err(|errno| self.own_error("make durable", errno))
    }

    /// Waits until the existing file `name` is on the disk.
    ///
    /// # Errors
    /// When it cannot be opened, or when the disk does not take it.
    pub fn sync_file(&self, name: impl AsRef<OsStr>) -> Result<(), FileError> {
        let name = name.as_ref();
        let file = self.open_file(name)?;
        retry_on_intr(|| rustix::fs::fsync(&file)).map_err(|errno| self.error("make durable", name, errno))
    }

    fn remove_tree_at(&self, name: &OsStr, depth: usize) -> Result<bool, FileError> {
        let Some(status) = self.stat(name)? else { return Ok(false) };
        if FileType::from_raw_mode(status.st_mode) != FileType::Directory {
            return self.remove_file(name).map(|()| true);
        }
        let Some(depth) = depth.checked_sub(1) else {
            let problem = io::Error::new(io::ErrorKind::InvalidInput, "deeper than any directory of ours");
            return Err(FileError::new("remove", self.path().join(name), problem));
        };
        let directory = self.subdirectory(name)?;
        for inner in directory.names(usize::MAX)? {
            directory.remove_tree_at(&inner, depth)?;
        }
        self.unlink(name, AtFlags::REMOVEDIR).map(|()| true)
    }

    fn unlink(&self, name: &OsStr, flags: AtFlags) -> Result<(), FileError> {
        let name = self.part("remove", name)?;
        rustix::fs::unlinkat(&self.descriptor, name, flags).map_err(|errno| self.error("remove", name, errno))
    }
}
