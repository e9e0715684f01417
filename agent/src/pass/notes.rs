//! What is worth knowing of the host, and no drift.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use falconer_manifests::admit::Unchecked;
use falconer_manifests::status::{Note, NoteKind, Status};
use serde_json::Value;

use super::Agent;
use super::observe::Host;
use crate::error::chain;
use crate::falco::{self, SecondManager};
use crate::layout::directory::FileError;

/// The notes on the host, sorted; `leftovers` could not be removed.
pub(super) fn notes(agent: &Agent, host: &Host, leftovers: &[FileError]) -> Vec<Note> {
    let matter = directories(agent, host);
    let config = &agent.settings.falco.falcoctl_config;
    let found = falco::second_managers(&agent.falco.memory, config, &matter).unwrap_or_else(|error| {
        tracing::debug!("no second manager can be looked for: {}", chain(&error));
        Vec::new()
    });
    let mut notes: Vec<_> = found.iter().map(second_manager).chain(leftovers.iter().map(leftover)).collect();
    notes.extend(host.unchecked.iter().map(unchecked));
    notes.sort();
    notes
}

/// What the last pass could not remove or check.
pub(super) fn of_leftovers(last: Option<&Status>) -> impl Iterator<Item = Note> {
    let notes = last.map(|last| last.notes.as_slice()).unwrap_or_default();
    notes.iter().filter(|note| matches!(note.kind, NoteKind::Leftover | NoteKind::Unchecked)).cloned()
}

/// The directories in which a file that another program writes would be loaded, or would be taken for ours: that of
/// falco.yaml, those of the files that the host keeps, and those of libraries that falco.yaml names.
fn directories(agent: &Agent, host: &Host) -> Vec<PathBuf> {
    let mut found: BTreeSet<_> = agent.falco.config_file.parent().map(Path::to_path_buf).into_iter().collect();
    let records = host.observed.placed_record();
    for kept in records.iter().flat_map(|record| record.composition.kept_by_host()) {
        let path = Path::new(kept.as_str());
        found.extend([Some(path), path.parent()].into_iter().flatten().map(Path::to_path_buf));
    }
    let plugins = host.settings.get("plugins").and_then(Value::as_array);
    for library in plugins.into_iter().flatten().filter_map(|plugin| plugin.get("library_path")?.as_str()) {
        // Falco looks for a name alone in its own directory of plugins (falco, `userspace/falco/configuration.cpp`).
        let path = Path::new("/usr/share/falco/plugins").join(library);
        found.extend(path.parent().map(Path::to_path_buf));
    }
    found.into_iter().collect()
}

fn second_manager(found: &SecondManager) -> Note {
    let SecondManager { pid, config, directory } = found;
    let message = match pid {
        Some(pid) => format!("`falcoctl artifact follow` (process {pid}) writes into {}", directory.display()),
        None => format!("{} tells falcoctl to write into {}", config.display(), directory.display()),
    };
    let hint = match pid {
        Some(_) => "one of two should manage Falco's files: systemctl mask --now falcoctl-artifact-follow".to_string(),
        None => format!("one of two should manage Falco's files: take that directory out of {}", config.display()),
    };
    Note { kind: NoteKind::SecondManager, message, hint }
}

fn leftover(error: &FileError) -> Note {
    let hint = error.hint().unwrap_or_else(|| "remove it by hand".to_string());
    Note { kind: NoteKind::Leftover, message: format!("no longer needed, and left behind: {}", chain(error)), hint }
}

fn unchecked(unchecked: &Unchecked) -> Note {
    let hint = "Falco tells what it has loaded while it runs with its web server on".to_string();
    Note { kind: NoteKind::Unchecked, message: unchecked.to_string(), hint }
}
