//! A pass that does not end: the process ends instead, so that whoever watches over it starts it again.
//!
//! A thread of its own, because what hangs may be a call that the whole daemon waits in, a disk that does not answer for
//! example. Between passes it sleeps without a timer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Looks after the time that passes take.
#[derive(Debug, Default)]
pub(super) struct Stuck(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    due: Mutex<Option<Instant>>,
    changed: Condvar,
}

/// A pass while it lasts.
#[derive(Debug)]
pub(super) struct Running(Arc<Shared>);

impl Stuck {
    /// Begins to look.
    pub(super) fn watch() -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let watched = Arc::clone(&shared);
        std::thread::Builder::new().name("stuck".to_string()).stack_size(64 << 10).spawn(move || look(&watched))?;
        Ok(Self(shared))
    }

    /// A pass begins that must be over within `deadline`.
    pub(super) fn running(&self, deadline: Duration) -> Running {
        self.0.set(Instant::now().checked_add(deadline));
        Running(Arc::clone(&self.0))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, due: Option<Instant>) {
        *self.lock() = due;
        self.changed.notify_one();
    }
}

fn look(shared: &Shared) {
    let mut due = shared.lock();
    loop {
        due = match *due {
            None => shared.changed.wait(due).unwrap_or_else(PoisonError::into_inner),
            Some(moment) => {
                let left = moment.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    end();
                }
                shared.changed.wait_timeout(due, left).unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}

#[expect(clippy::exit, reason = "nothing else can be relied on to end any more; a crash between two steps is safe")]
fn end() -> ! {
    tracing::error!(
        hint =
            "look for a disk or a program that does not answer, or raise `deadline` under `[schedule]` in agent.toml",
        "the pass has not ended within its deadline; falconer ends, to be started again"
    );
    std::process::exit(1);
}
