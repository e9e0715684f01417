//! Tells when a program is opened, e.g. because somebody starts it.
//!
//! The program itself is watched and not its directory: there every start of any program would be told.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::FutureExt as _;
use notify::event::EventKindMask;
use notify::{Config, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::QUIET;

/// A program whose opening is told. It need not be there.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    /// The file that is watched, and by what; another one may stand at the path later.
    watched: Option<(u64, RecommendedWatcher)>,
    wake: Arc<Notify>,
}

impl Opened {
    /// Begins to watch the program at `path`.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        let mut opened = Self { path: path.to_owned(), watched: None, wake: Arc::default() };
        opened.forget();
        opened
    }

    /// Forgets what has been told until now, and watches the file that stands at the path now.
    pub fn forget(&mut self) {
        let now = self.path.metadata().ok().map(|file| file.ino());
        if now != self.watched.as_ref().map(|(file, _)| *file) {
            self.watched = now.and_then(|file| Some((file, self.watcher()?)));
        }
        let _told = self.wake.notified().now_or_never();
    }

    /// Waits until it is opened, and a little longer: whoever opens it needs a moment to run.
    pub async fn opened(&self) {
        self.wake.notified().await;
        tokio::time::sleep(QUIET).await;
    }

    /// Without a watcher a start is found at the next pass.
    fn watcher(&self) -> Option<RecommendedWatcher> {
        let wake = Arc::clone(&self.wake);
        let config = Config::default().with_event_kinds(EventKindMask::ACCESS_OPEN);
        let mut watcher = RecommendedWatcher::new(move |_| wake.notify_one(), config).ok()?;
        watcher.watch(&self.path, RecursiveMode::NonRecursive).ok()?;
        Some(watcher)
    }
}
