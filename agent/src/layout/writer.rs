//! Writing a blob whose content comes in pieces.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use falconer_manifests::digest::{Digest, Hasher};
use rustix::io::Errno;

use super::directory::{FILE_MODE, NewFile};
use super::proofs::MUCH;
use super::{Layout, LayoutError};
use crate::aside;
use crate::transfer::Output;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A blob that is being written to a temporary file. Dropped before [`Self::finish`], it leaves nothing.
#[derive(Debug)]
#[must_use = "a blob is only there after finish"]
pub struct BlobWriter<'a> {
    layout: &'a Layout,
    temporary: String,
    /// Whether there is such a file.
    left: bool,
    file: Option<NewFile>,
    hasher: Hasher,
    size: u64,
}

impl<'a> BlobWriter<'a> {
    pub(super) fn new(layout: &'a Layout) -> Result<Self, LayoutError> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".{}-{number}.tmp", std::process::id());
        // A leftover of that name is of a dead writer that had our process id.
        layout.blobs.remove_file_if_there(&temporary)?;
        let file = Some(layout.blobs.create_file(&temporary, FILE_MODE)?);
        Ok(Self { layout, temporary, left: true, file, hasher: Hasher::new(), size: 0 })
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn take(&mut self, piece: &[u8]) -> Result<(), LayoutError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(piece)?;
        self.hasher.update(piece);
        self.size = self.size.saturating_add(piece.len() as u64);
        Ok(())
    }

    /// Checks that what came is `expected`, makes its content durable and names it; the name is durable after the next
    /// [`Layout::sync`]. An intact blob of that name stays as it is.
    ///
    /// # Errors
    /// When something else came, or when a step fails: then there is no new blob.
    pub fn finish(mut self, expected: &Digest, size: u64) -> Result<(), LayoutError> {
        match self.checked(expected, size)? {
            Some(file) => {
                file.sync()?;
                self.name(expected)
            }
            None => Ok(()),
        }
    }

    /// As [`Self::finish`]; where there is much that the disk has to take, others get on with theirs meanwhile.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub async fn finish_aside(mut self, expected: &Digest, size: u64) -> Result<(), LayoutError> {
        match self.checked(expected, size)? {
            Some(file) => {
                if size < MUCH { file.sync() } else { aside::waited_for(move || file.sync()).await }?;
                self.name(expected)
            }
            None => Ok(()),
        }
    }

    /// The file, when it has what it must have and nobody else was faster.
    fn checked(&mut self, expected: &Digest, size: u64) -> Result<Option<NewFile>, LayoutError> {
        let found = std::mem::take(&mut self.hasher).finish();
        if found != *expected || self.size != size {
            return Err(LayoutError::Unexpected { wanted: expected.clone(), found, size: self.size });
        }
        Ok(if self.layout.is_intact(expected, size)? { None } else { self.file.take() })
    }

    fn name(mut self, digest: &Digest) -> Result<(), LayoutError> {
        self.layout.blobs.rename(&self.temporary, digest.hex())?;
        self.left = false;
        self.layout.proofs.add(digest, self.layout.blobs.stat(digest.hex())?);
        Ok(())
    }
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.take(piece).map_err(|error| match error {
            LayoutError::File(error) => error.source,
            _ => Errno::IO.into(),
        })?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for BlobWriter<'_> {
    fn start_over(&mut self) -> io::Result<()> {
        self.hasher = Hasher::new();
        self.size = 0;
        self.file.as_mut().map_or(Ok(()), |file| file.start_over().map_err(|error| error.source))
    }

    fn digest(&self) -> Option<Digest> {
        Some(self.hasher.clone().finish())
    }
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        if self.left {
            self.layout.blobs.discard(&self.temporary);
        }
    }
}
