//! Files that were unpacked while their archive came, for whoever will want them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use falconer_manifests::digest::Digest;
use rustix::io::Errno;

use super::directory::{Directory, FileError, NewFile};
use super::proofs::{Identity, Proofs};
use super::writer::TemporaryName;

/// The files that wait, by their digests. Those that nobody has taken are removed when this is dropped; those of a run that
/// was killed, with the other leftovers.
#[derive(Debug, Default)]
pub(super) struct Ahead(Mutex<BTreeMap<Digest, Unpacked>>);

/// Where files are unpacked to.
#[derive(Debug, Clone)]
pub struct Unpacker(pub(super) Arc<Directory>);

/// A file that is being unpacked. It is removed when this is dropped.
#[derive(Debug)]
pub struct Unpacking {
    name: TemporaryName,
    file: NewFile,
}

/// A file that was unpacked and hashed meanwhile. It is removed when this is dropped.
#[derive(Debug)]
pub struct Unpacked {
    name: TemporaryName,
    file: NewFile,
    identity: Identity,
    digest: Digest,
}

impl Unpacker {
    /// Begins a file.
    ///
    /// # Errors
    /// When none can be created.
    pub fn begin(&self) -> io::Result<Unpacking> {
        let (name, file) = TemporaryName::new(&self.0).map_err(|error| error.source)?;
        Ok(Unpacking { name, file })
    }
}

impl Unpacking {
    /// The whole file; all that was written to it has that digest.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn end(self, digest: Digest) -> Result<Unpacked, FileError> {
        let Self { name, file } = self;
        let identity = Identity::of(&file.status()?);
        Ok(Unpacked { name, file, identity, digest })
    }
}

impl Write for Unpacking {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.file.write_all(piece).map_err(|error| error.source)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Unpacked {
    /// Waits until its content is on the disk.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn sync(&self) -> Result<(), FileError> {
        self.file.sync()
    }

    /// Moves it to `name` in `directory`, when it is still what was written; `false` when somebody has touched it, or when the
    /// directory is on another file system: then it is gone, and there is nothing of that name.
    fn move_into(self, directory: &Directory, name: &str, proofs: &Proofs) -> Result<bool, FileError> {
        let Self { name: temporary, file, identity, digest } = self;
        if Identity::of(&file.status()?) != identity {
            return Ok(false);
        }
        match temporary.move_into(directory, name) {
            Err(error) if Errno::from_io_error(&error.source) == Some(Errno::XDEV) => return Ok(false),
            moved => moved?,
        }
        // Of the file that was written, whatever bears the name by now: that is looked at then.
        proofs.add(&digest, &file.status()?);
        Ok(true)
    }
}

impl Ahead {
    pub(super) fn keep(&self, file: Unpacked) {
        self.lock().insert(file.digest.clone(), file);
    }

    /// Moves the file with that digest to `name` in `directory`; `false` when there is none, or it is not what it was.
    pub(super) fn place(
        &self,
        digest: &Digest,
        directory: &Directory,
        name: &str,
        proofs: &Proofs,
    ) -> Result<bool, FileError> {
        let file = self.lock().remove(digest);
        file.map_or(Ok(false), |file| file.move_into(directory, name, proofs))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Unpacked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
