//! One daemon on a host: who comes second is told so.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::DaemonError;

/// Held by the daemon for as long as it lives; holds its process id.
const NAME: &str = "daemon.lock";

/// The runtime directory, which is this daemon's alone.
#[derive(Debug)]
pub(super) struct Alone {
    path: PathBuf,
    _lock: File,
}

impl Alone {
    /// Makes `directory` this process's own, and makes it first where it is missing.
    ///
    /// # Errors
    /// [`DaemonError::Second`] when another daemon has it; when it cannot be used.
    pub(super) fn in_directory(directory: &Path) -> Result<Self, DaemonError> {
        let failed = |source: io::Error| DaemonError::Runtime { path: directory.to_owned(), source };
        match std::fs::DirBuilder::new().mode(0o755).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let found = fs_err::symlink_metadata(directory).map_err(failed)?;
        let us = rustix::process::geteuid().as_raw();
        // Whoever can write here could answer in our place.
        if !found.is_dir() || found.mode() & 0o022 != 0 || found.uid() != us && found.uid() != 0 {
            return Err(failed(io::Error::other("it is no directory of ours that nobody else can write into")));
        }
        let path = directory.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o644);
        let mut lock = options.open(&path).map_err(failed)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut pid = String::new();
            // Who it is helps, and is not needed.
            let _unknown = lock.take(16).read_to_string(&mut pid);
            return Err(DaemonError::Second { path, pid: pid.trim().to_owned() });
        }
        lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { path: directory.to_owned(), _lock: lock })
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
