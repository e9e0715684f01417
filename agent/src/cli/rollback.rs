//! `falconer rollback`.

use std::time::Duration;

use falconer_manifests::generation::GenerationNumber;
use serde_json::json;

use super::Failure;
use super::arguments::Arguments;
use super::host::agent;
use super::print::Printer;
use crate::daemon::now;
use crate::pass::{self, RollbackError};

pub(super) async fn rollback(
    arguments: &Arguments,
    printer: Printer,
    generation: Option<u64>,
    wait: Duration,
) -> Result<u8, Failure> {
    let mut agent = agent(arguments)?;
    let (status, reached) = pass::rollback(&mut agent, generation.map(GenerationNumber), wait, now()).await?;
    if let Some(error) = &status.error {
        tracing::error!(hint = error.hint.as_deref(), "{}", error.message);
    }
    printer.status(&status);
    Ok(if reached { 0 } else { super::FAILURE })
}

pub(super) async fn undo(arguments: &Arguments, printer: Printer, wait: Duration) -> Result<u8, Failure> {
    let agent = agent(arguments)?;
    let undone = pass::undo_rollback(&agent, wait).await?;
    let text = match &undone {
        Some(held) => format!("no longer: {held}\nthe next pass brings the desired state back"),
        None => "nothing was rolled back by hand".to_string(),
    };
    printer.answer(&text, &json!({"undone": undone}));
    Ok(0)
}

impl From<RollbackError> for Failure {
    fn from(error: RollbackError) -> Self {
        match error {
            RollbackError::Pass(error) => error.into(),
            error => {
                let (remedy, hint) = (error.remedy(), error.hint());
                Self::of(error, remedy, hint)
            }
        }
    }
}
