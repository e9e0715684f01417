//! Files that were unpacked while their archive came, for whoever will want them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use falconer_manifests::digest::Digest;
use rustix::io::Errno;

use super::directory::{Directory, FileError, NewFile};
use super::proofs::{Identity, Proofs};
use super::writer::TemporaryName;
use super::{Layout, LayoutError};
use crate::aside;

/// The files that wait, by their digests. Those that nobody has taken are removed when this is dropped; those of a run that
/// was killed, with the other leftovers.
#[derive(Debug, Default)]
pub(super) struct Ahead(Mutex<BTreeMap<Digest, Unpacked>>);

/// Where files are unpacked to.
#[derive(Debug, Clone)]
pub struct Unpacker(Arc<Directory>);

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

impl Layout {
    /// The same layout, which files may be unpacked ahead for; see [`Self::unpacker`].
    #[must_use]
    pub fn with_files_ahead(self) -> Self {
        Self { ahead: Some(Ahead::default()), ..self }
    }

    /// What unpacks files while their archive comes, where that is of use to anybody.
    #[must_use]
    pub fn unpacker(&self) -> Option<Unpacker> {
        self.ahead.as_ref().map(|_| Unpacker(Arc::clone(&self.blobs)))
    }

    /// Keeps a file for whoever will want it, durably, until this layout is dropped.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub async fn keep(&self, file: Unpacked) -> Result<(), LayoutError> {
        let file = aside::waited_for(move || file.sync().map(|()| file)).await?;
        if let Some(ahead) = &self.ahead {
            ahead.keep(file);
        }
        Ok(())
    }

    /// Moves the file that was kept and has that content to `name` in `directory`, which is new and ours. `false` when there
    /// is none, when anybody has touched it since it was hashed, or when the directory is on another file system: then there
    /// is nothing of that name.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn place_kept(&self, digest: &Digest, directory: &Directory, name: &str) -> Result<bool, LayoutError> {
        self.ahead.as_ref().map_or(Ok(false), |ahead| Ok(ahead.place(digest, directory, name, &self.proofs)?))
    }
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
