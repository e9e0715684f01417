//! `falconer eject`: Falco goes on without falconer.

use std::path::Path;

use serde_json::json;
use similar::TextDiff;

use super::Failure;
use super::arguments::Arguments;
use super::host::{PENDING, agent};
use super::print::Printer;
use crate::pass::{eject as carry_out, prepare_ejection};

pub(super) async fn eject(
    arguments: &Arguments,
    printer: Printer,
    dry_run: bool,
    restore: bool,
    to: Option<&Path>,
) -> Result<u8, Failure> {
    let agent = agent(arguments)?;
    let ejection = prepare_ejection(&agent, to, restore).await?;
    let file = ejection.file.as_str();
    let diff = match &ejection.after {
        Some(after) => {
            TextDiff::from_lines(ejection.before.as_str(), after).unified_diff().header(file, file).to_string()
        }
        None => String::new(),
    };
    let evidence = if dry_run { None } else { carry_out(&agent, &ejection).await?.evidence };
    let left = ejection.files.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>();
    let place = match &ejection.directory {
        Some(directory) => format!("{} files in {directory}", left.len()),
        None => "no files".to_string(),
    };
    let known = match evidence {
        Some(evidence) => format!("Falco has reloaded (evidence: {})", evidence.as_str()),
        None => "no Falco was reloaded; the next start loads them".to_string(),
    };
    let done = match (&ejection.after, dry_run) {
        (None, _) => format!("{file} does not name falconer"),
        (Some(_), true) => format!("{file} would change, and {place} be left; run this without --dry-run to do it"),
        (Some(_), false) => format!("{file} no longer names falconer; {place} left\n{known}"),
    };
    let value = json!({
        "file": file,
        "changed": ejection.after.is_some() && !dry_run,
        "diff": diff,
        "directory": ejection.directory,
        "files": left,
        "evidence": evidence.map(|evidence| evidence.as_str()),
    });
    printer.answer(&format!("{diff}{done}"), &value);
    Ok(if dry_run && ejection.after.is_some() { PENDING } else { 0 })
}
