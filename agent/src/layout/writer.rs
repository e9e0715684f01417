//! Writing a blob whose content comes in pieces.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use falconer_manifests::digest::{Digest, Hasher};

use super::directory::{Directory, FILE_MODE, FileError, NewFile};
use super::{Layout, LayoutError};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A blob that is being written to a temporary file. Dropped before [`Self::finish`], it leaves nothing.
#[derive(Debug)]
#[must_use = "a blob is only there after finish"]
pub struct BlobWriter<'a> {
    layout: &'a Layout,
    name: TemporaryName,
    body: Body,
}

/// The name of a file that is not a blob yet. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct TemporaryName {
    blobs: Arc<Directory>,
    name: String,
    /// Whether there is such a file.
    left: bool,
}

/// What has come of a blob.
#[derive(Debug)]
pub(super) struct Body {
    file: NewFile,
    hasher: Hasher,
    size: u64,
}

impl<'a> BlobWriter<'a> {
    pub(super) fn new(layout: &'a Layout) -> Result<Self, LayoutError> {
        let (name, file) = TemporaryName::new(&layout.blobs)?;
        Ok(Self { layout, name, body: Body { file, hasher: Hasher::new(), size: 0 } })
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), LayoutError> {
        Ok(self.body.take(piece)?)
    }

    /// Checks that what came is `expected`, makes its content durable and names it; the name is durable after the next
    /// [`Layout::sync`]. An intact blob of that name stays as it is.
    ///
    /// # Errors
    /// When something else came, or when a step fails: then there is no new blob.
    pub fn finish(self, expected: &Digest, size: u64) -> Result<(), LayoutError> {
        let Self { layout, name, body } = self;
        body.require(expected, size)?;
        body.file.sync()?;
        name.become_blob(layout, expected, size, &body)
    }

    pub(super) fn into_parts(self) -> (TemporaryName, Body) {
        (self.name, self.body)
    }
}

impl Body {
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), FileError> {
        self.file.write_all(piece)?;
        self.hasher.update(piece);
        self.size = self.size.saturating_add(piece.len() as u64);
        Ok(())
    }

    pub(super) fn start_over(&mut self) -> Result<(), FileError> {
        self.hasher = Hasher::new();
        self.size = 0;
        self.file.start_over()
    }

    pub(super) fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    pub(super) fn require(&self, wanted: &Digest, size: u64) -> Result<(), LayoutError> {
        let found = self.digest();
        if found != *wanted || self.size != size {
            return Err(LayoutError::Unexpected { wanted: wanted.clone(), found, size: self.size });
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), FileError> {
        self.file.sync()
    }

    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: std::fs::File) {
        self.file.replace(file);
    }
}

impl TemporaryName {
    /// A new file, to write to.
    pub(super) fn new(blobs: &Arc<Directory>) -> Result<(Self, NewFile), FileError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{}-{number}.tmp", std::process::id());
        // A leftover of that name is of a dead writer that had our process id.
        blobs.remove_file_if_there(&name)?;
        let file = blobs.create_file(&name, FILE_MODE)?;
        Ok((Self { blobs: Arc::clone(blobs), name, left: true }, file))
    }

    pub(super) fn path(&self) -> PathBuf {
        self.blobs.path().join(&self.name)
    }

    /// Gives the file, whose content was required to be this and is durable, its name.
    pub(super) fn become_blob(
        mut self,
        layout: &Layout,
        digest: &Digest,
        size: u64,
        body: &Body,
    ) -> Result<(), LayoutError> {
        if layout.is_intact(digest, size)? {
            return Ok(());
        }
        self.blobs.rename(&self.name, digest.hex())?;
        self.left = false;
        // Of the file that was written, whatever bears the name by now.
        layout.proofs.add(digest, &body.file.status()?);
        Ok(())
    }

    /// Gives the file a name in another directory.
    pub(super) fn move_into(mut self, directory: &Directory, name: &str) -> Result<(), FileError> {
        self.blobs.rename_into(&self.name, directory, name)?;
        self.left = false;
        Ok(())
    }
}

impl Drop for TemporaryName {
    fn drop(&mut self) {
        if self.left {
            self.blobs.discard(&self.name);
        }
    }
}
