//! The daemon: passes for as long as the process lives.
#![expect(
    clippy::disallowed_methods,
    reason = "the daemon and the command line read the clock and give it to the pass"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use falconer_manifests::outcome::Condition;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::status::Status;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::answers::Answers;
use crate::error::chain;
use crate::pass::{Agent, PassError, Refresh};
use crate::store::StoreError;
use crate::watch::Watch;

/// The first wait after an error that time may end.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
/// The wait after a pass that could not begin because another falconer was at work: its pass is short.
const BUSY: Duration = Duration::from_secs(2);
/// The longest wait after errors.
const LONGEST_BACKOFF: Duration = Duration::from_secs(3600);

/// The time, in seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Makes passes until SIGTERM or SIGINT: every `schedule.every`, give or take a tenth, and when a file that matters
/// changes. After errors that time may end it waits longer and longer, but never less than after a success.
///
/// # Errors
/// When signals cannot be listened to.
pub async fn run(mut agent: Agent) -> Result<(), PassError> {
    let mut stop = Stop::new().map_err(PassError::Signals)?;
    let mut watch = watch(&agent);
    let answers = Answers::of_daemon(&mut agent).await;
    let mut failures = 0;
    tracing::info!(host = %agent.settings.identity.host, every = agent.settings.schedule.every.as_secs(), "falconer starts");
    loop {
        // Dropping a pass between two of its steps is a crash at a safe point: the next one converges.
        let outcome = tokio::select! {
            biased;
            () = stop.asked() => break,
            outcome = answers.pass(&mut agent, Refresh::WhenOld, now()) => outcome,
        };
        let wait = match tell(outcome) {
            Told::Busy => BUSY.mul_f64(0.5 + fastrand::f64()),
            Told::Done(remedy) => {
                failures = if remedy == Some(Remedy::Time) { failures + 1 } else { 0 };
                wait(agent.settings.schedule.every, failures, fastrand::f64())
            }
        };
        tokio::select! {
            biased;
            () = stop.asked() => break,
            () = drained(&mut watch) => {}
        }
        answers.waits(wait);
        tracing::debug!(seconds = wait.as_secs_f32(), "waits for a change or the next pass");
        tokio::select! {
            biased;
            () = stop.asked() => break,
            () = changed(&mut watch) => tracing::info!("a file that matters has changed"),
            () = tokio::time::sleep(wait) => {}
        }
    }
    answers.stops();
    tracing::info!("falconer stops");
    Ok(())
}

/// How a pass ended.
enum Told {
    /// It came to its end; what went wrong can be ended by this one.
    Done(Option<Remedy>),
    /// It could not begin: another falconer was at work.
    Busy,
}

/// Logs how a pass ended.
fn tell(outcome: Result<Status, PassError>) -> Told {
    match outcome {
        Ok(status) => {
            for change in &status.changes {
                tracing::info!(kind = change.kind.as_str(), name = %change.name, because = %change.because, "changed");
            }
            for drift in &status.drift {
                tracing::warn!(kind = drift.kind.as_str(), path = %drift.path, observed = %drift.observed, "drift");
            }
            let condition = status.condition.as_str();
            match (&status.error, status.condition) {
                (Some(error), _) => {
                    let hint = error.hint.as_deref().unwrap_or_default();
                    tracing::error!(condition, remedy = error.remedy.as_str(), hint, "{}", error.message);
                }
                (None, Condition::InSync) => {
                    tracing::info!(condition, evidence = status.evidence.as_str(), "pass done")
                }
                (None, _) => tracing::warn!(condition, reason = %status.reason, hint = %status.next.hint, "pass done"),
            }
            Told::Done(status.error.map(|error| error.remedy))
        }
        Err(error @ PassError::Store(StoreError::Busy { .. })) => {
            tracing::info!("{}; waiting for it", chain(&error));
            Told::Busy
        }
        Err(error) => {
            let hint = error.hint().unwrap_or_default();
            tracing::error!(remedy = error.remedy().as_str(), hint, "the pass ended: {}", chain(&error));
            Told::Done(Some(error.remedy()))
        }
    }
}

/// The wait before the next pass: `every` give or take a tenth, and after `failures` in a row a backoff with full jitter
/// where that is longer. `chance` is from 0 to 1.
fn wait(every: Duration, failures: u32, chance: f64) -> Duration {
    let regular = every.mul_f64(0.9 + 0.2 * chance);
    let ceiling = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_BACKOFF);
    if failures == 0 { regular } else { regular.max(ceiling.mul_f64(chance)) }
}

fn watch(agent: &Agent) -> Option<Watch> {
    let state = Path::new(agent.settings.state.as_str());
    let placed = ["current", "current/rules", "generations"].map(|name| state.join(name));
    let paths: Vec<PathBuf> = [agent.falco.config_file.clone()].into_iter().chain(placed).collect();
    Watch::new(paths)
        .inspect_err(|error| {
            let hint = error.hint().unwrap_or_default();
            tracing::warn!(hint, "changes are found at the next pass only: {}", chain(error));
        })
        .ok()
}

async fn drained(watch: &mut Option<Watch>) {
    if let Some(watch) = watch {
        watch.drain().await;
    }
}

async fn changed(watch: &mut Option<Watch>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// The signals that ask a daemon to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_never_make_passes_more_frequent() {
        let every = Duration::from_secs(300);
        for failures in 0..40 {
            for chance in [0.0, 0.3, 1.0] {
                let wait = wait(every, failures, chance);
                assert!(wait >= every.mul_f64(0.9), "{failures} {chance}");
                assert!(wait <= LONGEST_BACKOFF.max(every.mul_f64(1.1)), "{failures} {chance}");
            }
        }
        assert!(wait(Duration::from_secs(10), 8, 1.0) > Duration::from_secs(600));
    }
}
