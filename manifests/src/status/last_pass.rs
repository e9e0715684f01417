//! `pass.json`: when the last pass was, how it ended, and when the next one is due.
//!
//! It changes with every pass, so it is kept in the runtime directory, in memory, and not among the documents on disk.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::StatusError;

/// How late a pass may be, in seconds, besides half the time between two: a pass that fetches takes a while itself.
const GRACE: u64 = 300;
/// The outcome of a pass that did not come to a status.
const ERROR: &str = "Error";

/// The last pass. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastPass {
    /// When it began.
    pub at: u64,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
    /// The host's condition after it, or `Error` when it could not even tell that.
    pub outcome: String,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<StatusError>,
    /// When the last pass without an error began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub succeeded_at: Option<u64>,
    /// How many passes in a row have ended with an error.
    pub failures: u64,
    /// When the next one is due at the latest; `None` when nobody has promised one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<u64>,
}

impl LastPass {
    /// The pass that began at `at` and came to `condition`, or to no status at all; `before` is the one before it.
    #[must_use]
    pub fn new(
        at: u64,
        milliseconds: u64,
        condition: Option<&str>,
        error: Option<StatusError>,
        before: Option<&Self>,
    ) -> Self {
        let before_failed = before.map_or(0, |before| before.failures);
        let succeeded_before = before.and_then(|before| before.succeeded_at);
        let (succeeded_at, failures) = match &error {
            None => (Some(at), 0),
            Some(_) => (succeeded_before, before_failed.saturating_add(1)),
        };
        let outcome = condition.unwrap_or(ERROR).into();
        Self { at, milliseconds, outcome, error, succeeded_at, failures, next_at: None }
    }

    /// How many seconds the promised pass is overdue at `now`; `None` while there is nothing to complain about.
    #[must_use]
    pub fn overdue(&self, now: u64) -> Option<u64> {
        let next = self.next_at?;
        let grace = GRACE + next.saturating_sub(self.at) / 2;
        (now > next.saturating_add(grace)).then(|| now - next)
    }

    /// Whether this host is looked after at `now`: a pass has ended without an error, and none is overdue.
    #[must_use]
    pub fn is_ready(&self, now: u64) -> bool {
        self.succeeded_at.is_some() && self.overdue(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::remedy::Remedy;

    fn error() -> Option<StatusError> {
        Some(StatusError { message: "no route".to_string(), remedy: Remedy::Time, hint: None })
    }

    #[test]
    fn failures_are_counted_and_the_last_success_is_kept() {
        let first = LastPass::new(100, 5, Some("InSync"), None, None);
        let second = LastPass::new(200, 5, Some("Failed"), error(), Some(&first));
        let third = LastPass::new(300, 5, None, error(), Some(&second));
        assert_eq!((third.failures, third.succeeded_at, third.outcome.as_str()), (2, Some(100), "Error"));
        let fourth = LastPass::new(400, 5, Some("InSync"), None, Some(&third));
        assert_eq!((fourth.failures, fourth.succeeded_at), (0, Some(400)));
    }

    #[test]
    fn a_pass_is_overdue_after_a_grace_and_only_when_one_was_promised() {
        let mut pass = LastPass::new(1000, 5, Some("InSync"), None, None);
        assert_eq!(pass.overdue(u64::MAX), None);
        pass.next_at = Some(1600);
        for (now, overdue) in
            [(0, None), (1600, None), (2200, None), (2201, Some(601)), (u64::MAX, Some(u64::MAX - 1600))]
        {
            assert_eq!(pass.overdue(now), overdue, "{now}");
            assert_eq!(pass.is_ready(now), overdue.is_none(), "{now}");
        }
        pass.next_at = Some(u64::MAX);
        assert_eq!(pass.overdue(u64::MAX), None);
        assert!(!LastPass::new(1000, 5, None, error(), None).is_ready(1000), "no pass has succeeded yet");
    }
}
