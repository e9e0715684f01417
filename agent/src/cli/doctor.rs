//! `falconer doctor`: all that falconer needs, checked.

use serde_json::json;

use super::arguments::Arguments;
use super::print::{Printer, verdict_style};
use super::{FAILURE, Failure};
use crate::daemon::now;
use crate::doctor::{Check, Verdict, examine};

/// Prints every check; ends with 1 when one has failed.
pub(super) async fn doctor(arguments: &Arguments, printer: Printer) -> Result<u8, Failure> {
    let checks = examine(&arguments.config, now()).await;
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    let mut text: String = checks.iter().map(line).collect();
    text.push_str(&format!("{} checks: {failed} failed, {warnings} with a warning\n", checks.len()));
    printer.answer(&text, &json!({"checks": checks, "failed": failed, "warnings": warnings}));
    Ok(if failed > 0 { FAILURE } else { 0 })
}

fn line(check: &Check) -> String {
    let paint = verdict_style(check.verdict);
    let mut lines = check.detail.lines();
    let first = lines.next().unwrap_or_default();
    let mut text = format!("{paint}{:<8}{paint:#} {}: {first}\n", check.verdict.as_str(), check.name);
    let more = lines.map(str::to_owned).chain(check.hint.iter().map(|hint| format!("hint: {hint}")));
    for line in more {
        text.push_str(&format!("         {line}\n"));
    }
    text
}
