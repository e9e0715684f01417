//! The watch room: wakes the agent when files that matter to it change.
//!
//! Waking is a hint and no more: what has changed is found by looking, and what inotify cannot tell (on network file
//! systems, or when its queue overflows) is found by the next scheduled pass.

mod interest;
mod opened;
mod process;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use falconer_manifests::remedy::Remedy;
use notify::event::{EventKindMask, ModifyKind};
use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::time::{Instant, timeout, timeout_at};

use self::interest::Interests;
pub use self::opened::Opened;
pub use self::process::{Process, readable};

/// A change counts once nothing more has changed for this long: an editor or a package manager makes many at once.
pub const QUIET: Duration = Duration::from_millis(300);

/// A change counts after this long, even if there is no end of changes.
pub const LONGEST: Duration = Duration::from_secs(5);

/// What may happen to a name in a directory.
const NAMES: EventKindMask = EventKindMask::CREATE.union(EventKindMask::REMOVE).union(EventKindMask::MODIFY_NAME);

/// Events of our own acts arrive within this time of one another.
const DRAIN_QUIET: Duration = Duration::from_millis(100);

/// How often in a row the ways to the paths are looked at while they keep changing.
const FOLLOW_CAP: usize = 8;

/// Why files cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system gives no watcher.
    #[error("cannot watch files")]
    Start(#[source] notify::Error),
    /// A directory or a file cannot be watched.
    #[error("cannot watch {}", path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: notify::Error,
    },
}

impl WatchError {
    /// Who can end this.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        Remedy::Operator
    }

    /// The next act of the person who reads this.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let (Self::Start(error) | Self::Directory { source: error, .. }) = self;
        let text = match &error.kind {
            ErrorKind::MaxFilesWatch => "raise the limit: sysctl fs.inotify.max_user_watches=524288",
            ErrorKind::Io(_) if matches!(self, Self::Start(_)) => {
                "raise the limit: sysctl fs.inotify.max_user_instances=512"
            }
            ErrorKind::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                "run as a user who may read the directory"
            }
            _ => "without watching, changes are found by the next scheduled pass",
        };
        Some(text.into())
    }
}

/// A watch on files and directories, which need not exist.
///
/// A path matters with all that leads to it: whatever is created, replaced, renamed or removed on the way, symbolic
/// links included, is a change, and the watch then follows the path as it leads now. Of a directory, what is directly in
/// it matters too. Being read is no change.
///
/// What others write into files beside ours is not even told to this process: it costs nothing, however much that is.
#[derive(Debug)]
pub struct Watch {
    /// Tells which names come and go on the ways.
    ways: RecommendedWatcher,
    /// Tells everything of what the paths lead to.
    ends: RecommendedWatcher,
    paths: Vec<PathBuf>,
    shared: Arc<Shared>,
    pending: bool,
}

#[derive(Debug, Default)]
struct Shared {
    interests: Mutex<Interests>,
    wake: tokio::sync::Notify,
    /// Whether a path may lead somewhere else than when the watch was made.
    moved: AtomicBool,
}

impl Shared {
    fn interests(&self) -> MutexGuard<'_, Interests> {
        self.interests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called on notify's threads for everything that they are told.
    fn take(&self, event: notify::Result<Event>) {
        let (matters, moves) = match &event {
            Ok(event) if event.need_rescan() => (true, true),
            Ok(event) => {
                let interests = self.interests();
                let moves = !matches!(event.kind, EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)));
                (event.paths.iter().any(|path| interests.matters(path)), moves)
            }
            Err(_) => (true, true),
        };
        if matters {
            self.moved.fetch_or(moves, Ordering::SeqCst);
            self.wake.notify_one();
        }
    }
}

impl Watch {
    /// Begins to watch `paths`.
    ///
    /// # Errors
    /// When the system gives no watcher, or when a directory on the way to one of the paths cannot be watched.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self, WatchError> {
        let shared = Arc::new(Shared::default());
        let watcher = |kinds| {
            let taker = Arc::clone(&shared);
            let config = Config::default().with_event_kinds(kinds);
            RecommendedWatcher::new(move |event| taker.take(event), config).map_err(WatchError::Start)
        };
        let (ways, ends) = (watcher(NAMES)?, watcher(EventKindMask::CORE)?);
        let mut watch = Self { ways, ends, paths: paths.into_iter().collect(), shared, pending: false };
        watch.follow()?;
        Ok(watch)
    }

    /// Waits until something has changed that matters, and then until nothing has changed for [`QUIET`], or for
    /// [`LONGEST`] in all. Loses nothing when it is dropped while waiting.
    pub async fn changed(&mut self) {
        if !self.pending {
            self.shared.wake.notified().await;
            self.pending = true;
        }
        let end = Instant::now() + LONGEST;
        while timeout_at(end.min(Instant::now() + QUIET), self.shared.wake.notified()).await.is_ok() {}
        self.pending = false;
        self.follow_if_moved();
    }

    /// Forgets what has changed until now, e.g. what a pass itself has changed. Somebody else's change at the same time is
    /// forgotten too, and found by the next scheduled pass.
    pub async fn drain(&mut self) {
        let end = Instant::now() + LONGEST;
        while timeout(DRAIN_QUIET, self.shared.wake.notified()).await.is_ok() && Instant::now() < end {}
        self.pending = false;
        self.follow_if_moved();
    }

    fn follow_if_moved(&mut self) {
        if !self.shared.moved.swap(false, Ordering::SeqCst) {
            return;
        }
        if let Err(error) = self.follow() {
            tracing::warn!(error = %error, "changes are found later until this can be watched again");
        }
    }

    /// Watches every directory on the ways to the paths as they lead now.
    fn follow(&mut self) -> Result<(), WatchError> {
        let mut interests = Interests::of(&self.paths);
        for _ in 0..FOLLOW_CAP {
            let watched = self.watch_all(&interests);
            // What was created before its directory was watched has woken nobody.
            let now = Interests::of(&self.paths);
            if now == interests {
                return watched;
            }
            interests = now;
        }
        self.watch_all(&interests)
    }

    fn watch_all(&mut self, new: &Interests) -> Result<(), WatchError> {
        let old = std::mem::replace(&mut *self.shared.interests(), new.clone());
        // What is removed has taken its watch along; what is renamed has kept it under the old name.
        for path in old.ways() {
            let _already_gone = self.ways.unwatch(path);
        }
        for path in old.ends() {
            let _already_gone = self.ends.unwatch(path);
        }
        let ways = new.ways().map(|path| (path, self.ways.watch(path, RecursiveMode::NonRecursive)));
        let ends = new.ends().map(|path| (path, self.ends.watch(path, RecursiveMode::NonRecursive)));
        let failed = ways.chain(ends).filter_map(|(path, watched)| Some((path, watched.err()?)));
        // All of them are watched, as far as they can be.
        let failed: Vec<_> = failed.filter(|(path, _)| path.exists()).collect();
        match failed.into_iter().next() {
            Some((path, source)) => Err(WatchError::Directory { path: path.to_owned(), source }),
            None => Ok(()),
        }
    }
}
