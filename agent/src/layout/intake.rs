//! A blob that comes from far away: hashed, written and looked into by a thread of its own, while it comes.

#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use falconer_manifests::digest::Digest;
use rustix::io::Errno;

use super::directory::FileError;
use super::writer::{BlobWriter, Body, TemporaryName};
use super::{Layout, LayoutError};
use crate::aside;
use crate::transfer::Output;

/// How much is given away at once, in bytes.
const PIECE: usize = 128 << 10;
/// How many pieces wait; then whoever brings the next one waits.
const PIECES: usize = 2;

/// What looks into a blob while it comes. It may stop anywhere; what it finds is worth nothing unless the whole blob is the
/// one that was wanted.
pub type Look<T> = Arc<dyn Fn(&mut dyn Read) -> T + Send + Sync>;

/// A blob that is taken in. Dropped before [`Self::finish`], it leaves nothing.
#[must_use = "a blob is only there after finish"]
pub struct Intake<'a, T> {
    layout: &'a Layout,
    name: TemporaryName,
    look: Look<T>,
    piece: Vec<u8>,
    state: State<T>,
}

enum State<T> {
    /// Nothing has been given away.
    Fresh(Body),
    /// A thread takes the pieces.
    Taking(SyncSender<Vec<u8>>, JoinHandle<Taken<T>>),
    /// All has been taken.
    Over(Taken<T>),
    /// It cannot go on.
    Failed,
}

struct Taken<T> {
    body: Body,
    failed: Option<FileError>,
    seen: T,
}

impl<'a, T: Send + 'static> Intake<'a, T> {
    pub(super) fn new(layout: &'a Layout, look: Look<T>) -> Result<Self, LayoutError> {
        let (name, body) = BlobWriter::new(layout)?.into_parts();
        Ok(Self { layout, name, look, piece: Vec::new(), state: State::Fresh(body) })
    }

    /// Checks that what came is `expected`, makes its content durable and names it, as [`BlobWriter::finish`] does; gives
    /// what was seen in it. Others get on with theirs while the disk takes it.
    ///
    /// # Errors
    /// When something else came, or when a step fails: then there is no new blob.
    pub async fn finish(mut self, expected: &Digest, size: u64) -> Result<T, LayoutError> {
        let Taken { body, failed, seen } = self.taken()?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        body.require(expected, size)?;
        let body = aside::waited_for(move || body.sync().map(|()| body)).await?;
        self.name.become_blob(self.layout, expected, size, &body)?;
        Ok(seen)
    }

    /// Gives the last piece away and waits for what comes of all.
    fn taken(&mut self) -> Result<Taken<T>, FileError> {
        let last = std::mem::take(&mut self.piece);
        match std::mem::replace(&mut self.state, State::Failed) {
            // So little that no thread is worth it.
            State::Fresh(body) => {
                let (pieces, given) = sync_channel(1);
                // There is room for one.
                let _given = pieces.send(last);
                drop(pieces);
                Ok(take(given, body, &self.look))
            }
            State::Taking(pieces, thread) => {
                // Whoever does not take it any more says why.
                let _given = pieces.send(last);
                drop(pieces);
                Ok(joined(thread))
            }
            State::Over(taken) => Ok(taken),
            State::Failed => Err(FileError::new("write", self.name.path(), Errno::IO.into())),
        }
    }

    /// Gives the piece away; when nobody takes it, the reason is found by [`Self::taken`].
    fn give_away(&mut self) -> io::Result<()> {
        self.state = match std::mem::replace(&mut self.state, State::Failed) {
            State::Fresh(body) => {
                let (pieces, given) = sync_channel(PIECES);
                let look = Arc::clone(&self.look);
                let thread = Builder::new().name("intake".into()).spawn(move || take(given, body, &look))?;
                State::Taking(pieces, thread)
            }
            state => state,
        };
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        match &self.state {
            State::Taking(pieces, _) if pieces.send(piece).is_ok() => Ok(()),
            _ => Err(self.reason()),
        }
    }

    /// Why it cannot go on.
    fn reason(&mut self) -> io::Error {
        match self.taken() {
            Ok(Taken { failed: Some(error), .. }) | Err(error) => error.source,
            Ok(_) => Errno::IO.into(),
        }
    }
}

/// Takes all pieces, and looks into them on the way.
fn take<T>(given: Receiver<Vec<u8>>, body: Body, look: &Look<T>) -> Taken<T> {
    let mut pieces = Pieces { given, piece: Vec::new(), read: 0, body, failed: None };
    let seen = look(&mut pieces);
    while pieces.next().is_ok_and(|more| more) {}
    Taken { body: pieces.body, failed: pieces.failed, seen }
}

fn joined<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// The pieces as one text to read; each is hashed and written before it is read.
struct Pieces {
    given: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    read: usize,
    body: Body,
    failed: Option<FileError>,
}

impl Pieces {
    /// Whether there is another piece to read.
    fn next(&mut self) -> io::Result<bool> {
        if self.failed.is_some() {
            return Err(Errno::IO.into());
        }
        // Nothing comes any more.
        let Ok(piece) = self.given.recv() else { return Ok(false) };
        if let Err(error) = self.body.take(&piece) {
            self.failed = Some(error);
            return Err(Errno::IO.into());
        }
        (self.piece, self.read) = (piece, 0);
        Ok(true)
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.piece.get(self.read..).unwrap_or_default().read(buffer)?;
            self.read += count;
            if count > 0 || buffer.is_empty() || !self.next()? {
                return Ok(count);
            }
        }
    }
}

impl<T: Send + 'static> Write for Intake<'_, T> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let taken = piece.get(..piece.len().min(PIECE - self.piece.len())).unwrap_or_default();
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= PIECE {
            self.give_away()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: Send + 'static> Output for Intake<'_, T> {
    fn start_over(&mut self) -> io::Result<()> {
        let mut body = self.taken().map_err(|error| error.source)?.body;
        body.start_over().map_err(|error| error.source)?;
        self.state = State::Fresh(body);
        Ok(())
    }

    fn end(&mut self) -> io::Result<Digest> {
        let taken = self.taken().map_err(|error| error.source)?;
        let digest = taken.body.digest();
        let failed = taken.failed.as_ref().map(|error| error.source.kind());
        self.state = State::Over(taken);
        failed.map_or(Ok(digest), |kind| Err(kind.into()))
    }
}

impl<T> fmt::Debug for Intake<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("name", &self.name).finish_non_exhaustive()
    }
}
