//! The bytes of an archive: counted before and after decompression.

use std::cell::{Cell, RefCell};
use std::io::{self, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::{ArchiveError, Limits, PIECE};

/// Up to this many unpacked bytes nobody asks for the ratio.
const RATIO_FLOOR: u64 = 1 << 20;

/// Where the limit that was exceeded stands: an `io::Error` passes through the tar reader, which would wrap it.
pub(super) type Exceeded = Rc<RefCell<Option<ArchiveError>>>;

/// The tar in a gzipped archive, all gzip members of it, within limits.
pub(super) struct Input<R: Read> {
    decoder: MultiGzDecoder<BufReader<Counted<R>>>,
    unpacked: u64,
    compressed: Rc<Cell<u64>>,
    limits: Limits,
    exceeded: Exceeded,
}

impl<R: Read> Input<R> {
    pub(super) fn new(reader: R, limits: &Limits) -> Self {
        let compressed = Rc::new(Cell::new(0));
        let exceeded = Exceeded::default();
        let counted =
            Counted { inner: reader, count: compressed.clone(), cap: limits.compressed, exceeded: exceeded.clone() };
        let decoder = MultiGzDecoder::new(BufReader::with_capacity(PIECE, counted));
        Self { decoder, unpacked: 0, compressed, limits: *limits, exceeded }
    }

    pub(super) fn exceeded(&self) -> Exceeded {
        self.exceeded.clone()
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.unpacked = self.unpacked.saturating_add(count as u64);
        if self.unpacked > self.limits.unpacked {
            return stop(&self.exceeded, ArchiveError::TooLongUnpacked { cap: self.limits.unpacked });
        }
        let allowed = self.compressed.get().saturating_mul(self.limits.ratio).max(RATIO_FLOOR);
        if self.unpacked > allowed {
            return stop(&self.exceeded, ArchiveError::Ratio { cap: self.limits.ratio });
        }
        Ok(count)
    }
}

struct Counted<R> {
    inner: R,
    count: Rc<Cell<u64>>,
    cap: u64,
    exceeded: Exceeded,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count.set(self.count.get().saturating_add(count as u64));
        if self.count.get() > self.cap {
            return stop(&self.exceeded, ArchiveError::TooLong { cap: self.cap });
        }
        Ok(count)
    }
}

fn stop(exceeded: &Exceeded, error: ArchiveError) -> io::Result<usize> {
    *exceeded.borrow_mut() = Some(error);
    Err(io::ErrorKind::InvalidData.into())
}
