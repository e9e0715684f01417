//! `falconer sync`: asks the daemon for a pass.

use falconer_manifests::remedy::Remedy;
use falconer_manifests::status::Status;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::print::Printer;
use super::{Failure, host};
use crate::socket::{self, Question, SocketError};

/// Asks for a pass; with `wait` its status is the answer.
pub(super) async fn sync(arguments: &Arguments, printer: Printer, question: Question) -> Result<u8, Failure> {
    let settings = host::settings(arguments)?;
    let answer = socket::ask(&settings.runtime, question).await?;
    if !question.wait && answer.get("error").is_none() {
        printer.answer("a pass is asked for; `falconer status` tells how the host is", &json!({"asked": true}));
        return Ok(0);
    }
    let text = |key: &str| answer.pointer(key).and_then(Value::as_str).map(ToString::to_string);
    if let Some(message) = text("/error/message") {
        let remedy = answer.pointer("/error/remedy").and_then(|remedy| serde_json::from_value(remedy.clone()).ok());
        return Err(Failure::of(message, remedy.unwrap_or(Remedy::Us), text("/error/hint")));
    }
    let status = answer.get("status").cloned().unwrap_or_default();
    let status: Status = serde_json::from_value(status).map_err(|error| {
        let hint = "the daemon is of another version: restart it (systemctl restart falconer)";
        Failure::of(error, Remedy::Operator, Some(hint.to_string()))
    })?;
    if let Some(error) = &status.error {
        tracing::error!(hint = error.hint.as_deref(), "{}", error.message);
    }
    printer.status(&status);
    Ok(status.condition.exit_code())
}

impl From<SocketError> for Failure {
    fn from(error: SocketError) -> Self {
        let (remedy, hint) = (error.remedy(), error.hint().to_string());
        Self::of(error, remedy, Some(hint))
    }
}
