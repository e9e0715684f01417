//! Directories held by descriptor, and files named by one part below them.
//!
//! A name is a single path part, looked up in an open directory and never through a symbolic link. Somebody who swaps
//! paths under us leads a read or a write nowhere else. All that changes the disk is in `change`.

mod change;
mod error;
#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

pub use self::change::{DIRECTORY_MODE, FILE_MODE, NewFile};
pub use self::error::FileError;

const OPEN_DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
// Without NONBLOCK the opening of a FIFO that somebody put in place of a file would wait for a writer.
const OPEN_FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// An open directory.
#[derive(Debug)]
pub struct Directory {
    descriptor: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens a directory; `path` may lead through symbolic links.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::open_with(path, OFlags::empty())
    }

    /// Opens a directory that must not itself be a symbolic link; what leads to it may be.
    ///
    /// # Errors
    /// When there is none, when it is something else, or when it cannot be opened.
    pub fn open_real(path: &Path) -> Result<Self, FileError> {
        Self::open_with(path, OFlags::NOFOLLOW)
    }

    /// Opens the directory `name` in this one.
    ///
    /// # Errors
    /// When there is none, when it is something else, or when it cannot be opened.
    pub fn subdirectory(&self, name: impl AsRef<OsStr>) -> Result<Self, FileError> {
        let name = self.part("open", name.as_ref())?;
        let flags = OPEN_DIRECTORY | OFlags::NOFOLLOW;
        let descriptor = rustix::fs::openat(&self.descriptor, name, flags, Mode::empty())
            .map_err(|errno| self.error("open", name, errno))?;
        Ok(Self { descriptor, path: self.path.join(name) })
    }

    /// Opens the regular file `name` for reading.
    ///
    /// # Errors
    /// When there is none, when it is something else, or when it cannot be opened.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> Result<File, FileError> {
        let name = self.part("open", name.as_ref())?;
        // Looked at first, because opening a device can already do something.
        self.require_regular(name, self.stat(name)?.ok_or_else(|| self.error("open", name, Errno::NOENT))?)?;
        let file = rustix::fs::openat(&self.descriptor, name, OPEN_FILE, Mode::empty())
            .map_err(|errno| self.error("open", name, errno))?;
        let status = rustix::fs::fstat(&file).map_err(|errno| self.error("look at", name, errno))?;
        self.require_regular(name, status)?;
        Ok(File::from(file))
    }

    /// Reads the regular file `name` of at most `cap` bytes; `None` when there is none.
    ///
    /// # Errors
    /// When it is longer, when it is something else, or when it cannot be read.
    pub fn read_file(&self, name: impl AsRef<OsStr>, cap: u64) -> Result<Option<Vec<u8>>, FileError> {
        let name = name.as_ref();
        let file = match self.open_file(name) {
            Err(error) if error.is_not_found() => return Ok(None),
            file => file?,
        };
        let mut content = Vec::new();
        file.take(cap.saturating_add(1))
            .read_to_end(&mut content)
            .map_err(|source| FileError::new("read", self.path.join(name), source))?;
        if content.len() as u64 > cap {
            return Err(self.error("read", name, Errno::FBIG));
        }
        Ok(Some(content))
    }

    /// What `name` is, itself and not what it may link to; `None` when there is nothing.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn stat(&self, name: impl AsRef<OsStr>) -> Result<Option<Stat>, FileError> {
        let name = self.part("look at", name.as_ref())?;
        match rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(status) => Ok(Some(status)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("look at", name, errno)),
        }
    }

    /// What this directory itself is.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn own_stat(&self) -> Result<Stat, FileError> {
        rustix::fs::fstat(&self.descriptor).map_err(|errno| self.own_error("look at", errno))
    }

    /// Where the symbolic link `name` points to.
    ///
    /// # Errors
    /// When it is no symbolic link or cannot be read.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> Result<OsString, FileError> {
        let name = self.part("read the link", name.as_ref())?;
        let target = rustix::fs::readlinkat(&self.descriptor, name, Vec::new())
            .map_err(|errno| self.error("read the link", name, errno))?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// The names in this directory, sorted; no more than `cap` of them.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn names(&self, cap: usize) -> Result<Vec<OsString>, FileError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.descriptor).map_err(|errno| self.own_error("list", errno))? {
            let entry = entry.map_err(|errno| self.own_error("list", errno))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if names.len() >= cap {
                break;
            }
            names.push(name.to_owned());
        }
        names.sort();
        Ok(names)
    }

    /// The path by which this directory was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open_with(path: &Path, flags: OFlags) -> Result<Self, FileError> {
        let descriptor = rustix::fs::open(path, OPEN_DIRECTORY | flags, Mode::empty())
            .map_err(|errno| FileError::new("open", path, errno.into()))?;
        Ok(Self { descriptor, path: path.to_owned() })
    }

    fn part<'a>(&self, act: &'static str, name: &'a OsStr) -> Result<&'a OsStr, FileError> {
        let bytes = name.as_bytes();
        if matches!(bytes, b"" | b"." | b"..") || bytes.contains(&b'/') {
            return Err(self.error(act, name, Errno::INVAL));
        }
        Ok(name)
    }

    fn require_regular(&self, name: &OsStr, status: Stat) -> Result<(), FileError> {
        if FileType::from_raw_mode(status.st_mode) == FileType::RegularFile {
            return Ok(());
        }
        let problem = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        Err(FileError::new("open", self.path.join(name), problem))
    }

    fn error(&self, act: &'static str, name: &OsStr, errno: Errno) -> FileError {
        FileError::new(act, self.path.join(name), errno.into())
    }

    fn own_error(&self, act: &'static str, errno: Errno) -> FileError {
        FileError::new(act, &self.path, errno.into())
    }
}
