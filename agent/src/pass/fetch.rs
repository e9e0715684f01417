//! Brings archives into a store, several at a time, and tells how far they have come.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use falconer_manifests::catalog::Blob;
use falconer_manifests::digest::Digest;
use falconer_manifests::reference::Source;
use futures_util::future::join_all;

use super::{PassError, Sources};
use crate::layout::{Layout, Look};
use crate::registry::Repository;
use crate::transfer::Output;

/// An archive that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Where it lives.
    pub source: &'a Source,
    /// What it is.
    pub layer: &'a Blob,
    /// How long it may be, in bytes.
    pub cap: u64,
}

/// Something to tell a person who waits.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// So many questions go out to indexes and registries at once.
    Asking {
        /// How many.
        questions: usize,
    },
    /// One of them is answered, or cannot be.
    Answered,
    /// A transfer begins.
    Begun {
        /// Where from.
        source: &'a Source,
        /// What.
        layer: &'a Blob,
    },
    /// So much of it has come, counted from its beginning.
    Came {
        /// What.
        digest: &'a Digest,
        /// How much, in bytes.
        bytes: u64,
    },
    /// It is over, well or not.
    Ended {
        /// What.
        digest: &'a Digest,
    },
}

/// Who is told.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(Event<'_>) + Send + Sync>);

impl Listener {
    /// Tells `listener`, which must not wait for anything.
    #[must_use]
    pub fn new(listener: impl Fn(Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl Sources {
    /// Tells `listener` from now on how far fetching has come.
    pub fn report_progress_to(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// Brings archives into `blobs`, unless they are there and whole: at the same time, each piece going to the disk as it
    /// comes, as many from a registry as it may be asked for at once. One that is wanted twice is fetched once.
    ///
    /// # Errors
    /// What keeps a source from giving one, or the disk from taking it; the first in the order of `wanted`, when all others
    /// have ended.
    pub async fn fetch_all(
        &self,
        wanted: impl IntoIterator<Item = Wanted<'_>>,
        blobs: &Layout,
    ) -> Result<(), PassError> {
        let mut each: BTreeMap<&Digest, (usize, Wanted<'_>)> = BTreeMap::new();
        for (place, wanted) in wanted.into_iter().enumerate() {
            each.entry(&wanted.layer.digest).or_insert((place, wanted));
        }
        let mut each: Vec<_> = each.into_values().collect();
        each.sort_by_key(|(place, _)| *place);
        let fetched = join_all(each.into_iter().map(|(_, wanted)| self.fetch_one(wanted, blobs))).await;
        fetched.into_iter().collect()
    }

    async fn fetch_one(&self, wanted: Wanted<'_>, blobs: &Layout) -> Result<(), PassError> {
        if blobs.is_intact(&wanted.layer.digest, wanted.layer.size)? {
            return Ok(());
        }
        self.take_in(wanted, blobs, Arc::new(|_| ())).await
    }

    /// Brings an archive into `blobs`, and gives what `look` sees in it on the way.
    ///
    /// # Errors
    /// As [`Self::fetch_all`].
    pub(super) async fn take_in<T: Send + 'static>(
        &self,
        wanted: Wanted<'_>,
        blobs: &Layout,
        look: Look<T>,
    ) -> Result<T, PassError> {
        let Wanted { source, layer, cap } = wanted;
        tracing::info!(%source, digest = %layer.digest, bytes = layer.size, "fetching");
        self.tell(Event::Begun { source, layer });
        let mut intake = blobs.intake(look)?;
        let mut told = Told { sources: self, digest: &layer.digest, came: 0, out: &mut intake };
        let read = self.read(source, layer, cap, &mut told).await;
        self.tell(Event::Ended { digest: &layer.digest });
        read?;
        Ok(intake.finish(&layer.digest, layer.size).await?)
    }

    pub(super) async fn read(
        &self,
        source: &Source,
        blob: &Blob,
        cap: u64,
        out: &mut dyn Output,
    ) -> Result<(), PassError> {
        match Repository::of(source) {
            Some(repository) => Ok(self.registries.blob(&repository, &blob.digest, blob.size, cap, out).await?),
            None => {
                let mut file = self.layout(source)?.open_blob_verified(&blob.digest, cap)?;
                io::copy(&mut file, &mut &mut *out).map_err(PassError::Write)?;
                Ok(())
            }
        }
    }

    pub(super) fn tell(&self, event: Event<'_>) {
        if let Some(Listener(listener)) = &self.listener {
            listener(event);
        }
    }
}

/// Tells what goes through it.
struct Told<'a> {
    sources: &'a Sources,
    digest: &'a Digest,
    came: u64,
    out: &'a mut dyn Output,
}

impl Write for Told<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let written = self.out.write(piece)?;
        self.came += written as u64;
        self.sources.tell(Event::Came { digest: self.digest, bytes: self.came });
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Output for Told<'_> {
    fn start_over(&mut self) -> io::Result<()> {
        self.came = 0;
        self.out.start_over()
    }

    fn end(&mut self) -> io::Result<Digest> {
        self.out.end()
    }
}
