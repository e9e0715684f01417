//! `falconer history`.

use super::Failure;
use super::arguments::Arguments;
use super::host::agent;
use super::print::Printer;
use super::table::table;
use crate::pass::{self, Generation, History};

pub(super) fn history(arguments: &Arguments, printer: Printer) -> Result<u8, Failure> {
    let agent = agent(arguments)?;
    let history = pass::history(&agent)?;
    printer.answer(&text(&history), &history);
    Ok(0)
}

fn text(history: &History) -> String {
    if history.generations.is_empty() {
        return "no generation is on this host yet".to_string();
    }
    let rows: Vec<_> = history.generations.iter().map(row).collect();
    let mut text = table(["GENERATION", "STATE", "REVISION", "MADE", "ARTIFACTS"], &rows);
    for held in &history.held {
        text.push_str(&format!("{}\n", held.sentence()));
    }
    text
}

fn row(generation: &Generation) -> [String; 5] {
    let artifacts = generation.artifacts.iter().map(|artifact| match artifact.version.as_str() {
        "" => format!("{} {}", artifact.name, artifact.digest.short()),
        version => format!("{} {version}", artifact.name),
    });
    [
        generation.generation.to_string(),
        if generation.state.is_empty() { "-".to_string() } else { generation.state.join(", ") },
        generation.revision.as_ref().map_or("-", |revision| revision.short()).to_string(),
        generation.made.clone().unwrap_or_else(|| "-".to_string()),
        artifacts.collect::<Vec<_>>().join(", "),
    ]
}
