//! Work that keeps a processor busy, beside the one thread of the runtime.
//!
//! A leaf that rooms use; it knows no room and touches nothing.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread::Builder;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// As much work at once as there are processors for us; one, where nobody can tell.
static PROCESSORS: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(*PROCESSORS));

/// Computes something on another thread, when a processor is free for it. Needs a runtime of tokio.
pub async fn computed<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    // Nobody closes it.
    let _turn = TURNS.acquire().await;
    waited_for(work).await
}

/// Does something on another thread that mostly waits, e.g. for the disk. Needs a runtime of tokio.
pub async fn waited_for<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is going away, and this with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// What `work` gives for each of `items`, in their order; twice as many at once as there are processors, since some wait for
/// the disk. This thread works too, and alone where no other can be had.
pub fn each<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    let take_turns = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(place) else { break };
            let result = work(item);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..PROCESSORS.saturating_mul(2).min(items.len()) {
            if Builder::new().spawn_scoped(scope, take_turns).is_err() {
                break;
            }
        }
        take_turns();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keeps_the_order() {
        let items: Vec<u64> = (0..1000).collect();
        let doubled: Vec<u64> = items.iter().map(|item| item * 2).collect();
        assert_eq!(each(&items, |item| item * 2), doubled);
        assert_eq!(each(&[], |item: &u64| *item), Vec::<u64>::new());
    }
}
