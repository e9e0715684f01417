//! How often changes of files may lead to a pass.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So many at once.
const BURST: u32 = 8;
/// And one more each time.
const REFILL: Duration = Duration::from_secs(5);

/// Changes that may still be looked at soon: somebody who changes files without end does not keep the host busy.
#[derive(Debug)]
pub(super) struct Pace {
    left: u32,
    since: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { left: BURST, since: Instant::now() }
    }

    /// Waits until a change may be looked at, and takes it for looked at.
    pub(super) async fn take(&mut self) {
        let whole = u32::try_from(self.since.elapsed().as_secs() / REFILL.as_secs()).unwrap_or(BURST);
        if whole > 0 {
            self.left = self.left.saturating_add(whole).min(BURST);
            self.since += REFILL * whole;
        }
        if self.left == 0 {
            sleep_until(self.since + REFILL).await;
            self.since += REFILL;
            return;
        }
        self.left -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_storm_is_slowed_down() {
        let mut pace = Pace::new();
        let begun = Instant::now();
        for _ in 0..BURST {
            pace.take().await;
        }
        assert!(begun.elapsed() < Duration::from_millis(100));
        let more = tokio::time::timeout(Duration::from_millis(100), pace.take()).await;
        assert!(more.is_err());
        pace.since -= REFILL * 2;
        for _ in 0..2 {
            pace.take().await;
        }
        assert!(tokio::time::timeout(Duration::from_millis(100), pace.take()).await.is_err());
    }
}
