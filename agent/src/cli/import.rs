//! `falconer import`: makes a desired state of falcoctl's configuration.
#![expect(clippy::disallowed_methods, reason = "fleet.yaml is written into the author's working copy, not into state")]

use falconer_manifests::falcoctl_yaml::{self, Imported};
use falconer_manifests::fleet;
use falconer_manifests::remedy::Remedy;
use serde_json::json;

use super::Failure;
use super::artifact::arguments::Import;
use super::print::Printer;
use crate::pass::PassError;

pub(super) fn import(printer: Printer, import: &Import) -> Result<u8, Failure> {
    let text = fs_err::read_to_string(&import.file).map_err(|error| {
        let hint = "name falcoctl's configuration, usually /etc/falcoctl/falcoctl.yaml".to_string();
        Failure::of(error, Remedy::Operator, Some(hint))
    })?;
    let shown = import.file.display().to_string();
    let imported = falcoctl_yaml::import(&shown, &text).map_err(PassError::from)?;
    let mut written = None;
    if let Some(directory) = &import.output_dir {
        let target = directory.join(fleet::FILE_NAME);
        if target.exists() {
            let hint = "take it away, or compare it with what this prints without --output-dir".to_string();
            return Err(Failure::of(format!("{} exists", target.display()), Remedy::Operator, Some(hint)));
        }
        fs_err::create_dir_all(directory).and_then(|()| fs_err::write(&target, &imported.fleet)).map_err(|error| {
            let hint = "choose a directory that you may write to".to_string();
            Failure::of(error, Remedy::Operator, Some(hint))
        })?;
        written = Some(target);
    }
    let value = json!({
        "file": written,
        "fleet": imported.fleet,
        "agent": imported.agent,
        "notes": imported.notes,
    });
    let answer = match &written {
        Some(target) => format!("{} written", target.display()),
        None => imported.fleet.clone(),
    };
    printer.answer(&answer, &value);
    printer.aside(&advice(&imported));
    Ok(0)
}

/// What is left for the reader to do.
fn advice(imported: &Imported) -> String {
    let mut text = String::new();
    for note in &imported.notes {
        text.push_str(&format!("{note}\n"));
    }
    if !imported.agent.is_empty() {
        text.push_str(&format!("\nCopy these lines into agent.toml of the hosts:\n\n{}", imported.agent));
    }
    text
}
