//! Bodies that are too large to hold: taken piece by piece, at a minimum rate.

use std::io::{self, Write};
use std::time::Duration;

use falconer_manifests::digest::Digest;

use super::{Deadline, DeadlinePassed};

/// The slowest that a body may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// This many bytes must come…
    pub bytes: u64,
    /// …in each stretch of this length.
    pub over: Duration,
}

impl Default for Pace {
    /// 1 KiB/s over 60 s.
    fn default() -> Self {
        Self { bytes: 60 * 1024, over: Duration::from_secs(60) }
    }
}

/// Where a body goes, when it may have to be fetched a second time, from elsewhere.
pub trait Output: Write + Send {
    /// Drops all that was written.
    ///
    /// # Errors
    /// When that cannot be done.
    fn start_over(&mut self) -> io::Result<()>;

    /// Ends what is written, and gives the digest of all of it.
    ///
    /// # Errors
    /// When something of it cannot be written.
    fn end(&mut self) -> io::Result<Digest>;
}

impl Output for Vec<u8> {
    fn start_over(&mut self) -> io::Result<()> {
        self.clear();
        Ok(())
    }

    fn end(&mut self) -> io::Result<Digest> {
        Ok(Digest::of(self))
    }
}

/// Why a body could not be taken to its end.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection broke, or the body ended before its announced length.
    #[error("the answer broke off")]
    Broken(#[source] reqwest::Error),
    /// The deadline passed.
    #[error(transparent)]
    Late(#[from] DeadlinePassed),
    /// The body came slower than it may.
    #[error("fewer than {} bytes came in {} s", pace.bytes, pace.over.as_secs())]
    TooSlow {
        /// The pace that was not kept.
        pace: Pace,
    },
}

/// Gives the body piece by piece to `take`, which may end it with an error of its own. The pace does not bind the last
/// stretch, which the body's end cuts short.
///
/// # Errors
/// The [`StreamError`] when the body breaks off, is late or too slow; what `take` gives.
pub async fn stream<E: From<StreamError>>(
    mut response: reqwest::Response,
    deadline: Deadline,
    pace: Pace,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut stretch = Deadline::after(pace.over);
    let mut came = 0;
    loop {
        let next = deadline.bound(stretch.bound(response.chunk())).await.map_err(StreamError::Late)?;
        let piece = match next {
            Ok(piece) => piece.map_err(|error| StreamError::Broken(error.without_url()))?,
            Err(_) if came < pace.bytes => return Err(StreamError::TooSlow { pace }.into()),
            Err(_) => {
                stretch = Deadline::after(pace.over);
                came = 0;
                continue;
            }
        };
        let Some(piece) = piece else { return Ok(()) };
        came += piece.len() as u64;
        take(&piece)?;
    }
}
