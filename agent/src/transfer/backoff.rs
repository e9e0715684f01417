//! When a request is tried again.

use std::time::Duration;

use reqwest::StatusCode;

use super::Deadline;

/// Exponential backoff with full jitter: the wait after the n-th failure is drawn evenly from zero to `first` times
/// 2^(n-1), so that many hosts do not come back at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// How often a request is made at the most.
    pub attempts: u32,
    /// The longest wait after the first failure.
    pub first: Duration,
    /// The longest wait after any failure.
    pub longest: Duration,
}

impl Default for Backoff {
    /// Four attempts, at most 0.5, 1 and 2 s apart.
    fn default() -> Self {
        Self { attempts: 4, first: Duration::from_millis(500), longest: Duration::from_secs(10) }
    }
}

impl Backoff {
    /// Waits before the next attempt, when `failed` attempts have failed; a wait that the server `asked` for is kept
    /// to the full. False, and at once, when no attempt is left or the wait would not end before `deadline`.
    #[must_use]
    pub async fn pause(&self, failed: u32, asked: Option<Duration>, deadline: Deadline) -> bool {
        if failed >= self.attempts {
            return false;
        }
        let wait = asked.unwrap_or_default().max(self.jitter(failed));
        if wait >= deadline.left() {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }

    fn jitter(&self, failed: u32) -> Duration {
        let ceiling = self.first.saturating_mul(2u32.saturating_pow(failed.saturating_sub(1))).min(self.longest);
        ceiling.mul_f64(fastrand::f64())
    }
}

/// Whether what makes a server answer with `status` may pass by itself: too many requests, or a fault of the server.
#[must_use]
pub fn may_pass(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_jitter_stays_below_its_ceiling() {
        let backoff = Backoff { attempts: 9, first: Duration::from_secs(1), longest: Duration::from_secs(4) };
        for (failed, ceiling) in [(1, 1), (2, 2), (3, 4), (4, 4), (40, 4)] {
            let longest = (0..500).map(|_| backoff.jitter(failed)).max().unwrap();
            assert!(longest <= Duration::from_secs(ceiling), "{failed}");
            assert!(longest >= Duration::from_secs(ceiling) / 2, "{failed}");
        }
    }

    #[tokio::test]
    async fn a_wait_keeps_to_the_server_and_to_the_deadline() {
        let backoff = Backoff { first: Duration::ZERO, ..Backoff::default() };
        let deadline = Deadline::after(Duration::from_secs(30));
        let start = tokio::time::Instant::now();
        assert!(backoff.pause(1, Some(Duration::from_millis(40)), deadline).await);
        assert!(start.elapsed() >= Duration::from_millis(40));
        assert!(!backoff.pause(1, Some(Duration::from_secs(60)), deadline).await);
        assert!(!backoff.pause(backoff.attempts, None, deadline).await);
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
