//! What is said of a pass: in the log, and to whoever has asked for it.

use falconer_manifests::outcome::Condition;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::status::Status;
use serde_json::{Value, json};

use crate::error::chain;
use crate::pass::PassError;
use crate::store::StoreError;

/// How a pass ended.
pub(super) enum Told {
    /// It came to its end; what went wrong can be ended by this one.
    Done(Option<Remedy>),
    /// It could not begin: another falconer was at work.
    Busy,
}

/// Logs how a pass ended.
pub(super) fn tell(outcome: &Result<Status, PassError>) -> Told {
    match outcome {
        Ok(status) => {
            for change in &status.changes {
                let (kind, cause) = (change.kind.as_str(), change.kind.cause().as_str());
                tracing::info!(kind, cause, name = %change.name, because = %change.because, "changed");
            }
            for note in &status.notes {
                tracing::warn!(hint = %note.hint, "{}", note.message);
            }
            for drift in &status.drift {
                tracing::warn!(kind = drift.kind.as_str(), path = %drift.path, observed = %drift.observed, "drift");
            }
            let condition = status.condition.as_str();
            match (&status.error, status.condition) {
                (Some(error), _) => {
                    let hint = error.hint.as_deref();
                    tracing::error!(condition, remedy = error.remedy.as_str(), hint, "{}", error.message);
                }
                (None, Condition::InSync) => {
                    tracing::info!(condition, evidence = status.evidence.as_str(), "pass done")
                }
                (None, _) => tracing::warn!(condition, reason = %status.reason, hint = %status.next.hint, "pass done"),
            }
            Told::Done(status.error.as_ref().map(|error| error.remedy))
        }
        Err(error @ PassError::Store(StoreError::Busy { .. })) => {
            tracing::info!("{}; waiting for it", chain(error));
            Told::Busy
        }
        Err(error) => {
            let hint = error.hint();
            tracing::error!(
                remedy = error.remedy().as_str(),
                hint = hint.as_deref(),
                "the pass ended: {}",
                chain(error)
            );
            Told::Done(Some(error.remedy()))
        }
    }
}

/// The answer to whoever has asked for the pass.
pub(super) fn answer(outcome: &Result<Status, PassError>) -> Value {
    match outcome {
        Ok(status) => json!({"status": status}),
        Err(error) => json!({
            "error": {"message": chain(error), "remedy": error.remedy().as_str(), "hint": error.hint()}
        }),
    }
}
