//! Writing a blob whose content comes in pieces.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use falconer_manifests::digest::{Digest, Hasher};
use rustix::io::Errno;

use super::directory::{FILE_MODE, NewFile};
use super::{Layout, LayoutError};
use crate::transfer::Output;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A blob that is being written to a temporary file. Dropped before [`Self::finish`], it leaves nothing.
#[derive(Debug)]
#[must_use = "a blob is only there after finish"]
pub struct BlobWriter<'a> {
    layout: &'a Layout,
    temporary: String,
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
        Ok(Self { layout, temporary, file, hasher: Hasher::new(), size: 0 })
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
        let found = std::mem::take(&mut self.hasher).finish();
        if found != *expected || self.size != size {
            return Err(LayoutError::Unexpected { wanted: expected.clone(), found, size: self.size });
        }
        let Some(file) = self.file.take() else { return Ok(()) };
        let blobs = &self.layout.blobs;
        let finished = (|| {
            if self.layout.is_intact(expected, size)? {
                blobs.remove_file(&self.temporary)?;
                return Ok(());
            }
            file.sync()?;
            blobs.rename(&self.temporary, expected.hex())?;
            Ok(())
        })();
        if finished.is_err() {
            blobs.discard(&self.temporary);
        }
        finished
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
}

impl Drop for BlobWriter<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            self.layout.blobs.discard(&self.temporary);
        }
    }
}
