//! `falconer events`: what the last passes have changed or failed.

use std::time::Duration;

use falconer_manifests::event::Event;
use serde::Serialize;

use super::Failure;
use super::arguments::Arguments;
use super::host;
use super::print::{Printer, time};
use crate::daemon::now;
use crate::pass;

/// An event and its time in words.
#[derive(Serialize)]
struct Told<'a> {
    /// When, as RFC 3339 has it.
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// Prints the newest `number` events of the last `since`, the oldest first.
pub(super) fn events(
    arguments: &Arguments,
    printer: Printer,
    number: usize,
    since: Option<Duration>,
) -> Result<u8, Failure> {
    let events = pass::events(&host::agent(arguments)?)?;
    let from = since.map_or(0, |since| now().saturating_sub(since.as_secs()));
    let young: Vec<_> = events.iter().filter(|event| event.at >= from).collect();
    let told = young.iter().skip(young.len().saturating_sub(number));
    let told: Vec<_> = told.map(|event| Told { time: time(event.at), event }).collect();
    let text = match told.as_slice() {
        [] => "no pass has changed or failed anything".to_owned(),
        told => told.iter().map(text).collect(),
    };
    printer.answer(&text, &told);
    Ok(0)
}

fn text(told: &Told<'_>) -> String {
    let Event {
        kind, condition, reason, revision, wanted, generation, evidence, changes, drift, error, omitted, ..
    } = told.event;
    let short = |revision: &Option<falconer_manifests::revision::Revision>| {
        revision.as_ref().map_or("none", |revision| revision.short()).to_owned()
    };
    let generation = generation.map_or_else(|| "none".to_owned(), |generation| generation.to_string());
    let mut lines = vec![format!(
        "{} {} revision {} generation {generation} {} evidence {}",
        told.time,
        kind.as_str(),
        short(revision),
        condition.as_str(),
        evidence.as_str()
    )];
    if wanted != revision {
        lines.push(format!("wanted {}", short(wanted)));
    }
    lines.extend(changes.iter().map(|change| format!("{} {}: {}", change.kind.as_str(), change.name, change.because)));
    lines.extend(drift.iter().map(|drift| {
        format!("drift {} {} (expected {}, found {})", drift.path, drift.kind.as_str(), drift.expected, drift.observed)
    }));
    if *omitted > 0 {
        lines.push(format!("and {omitted} more"));
    }
    match error {
        Some(error) => {
            lines.push(format!("error {} (to be ended by: {})", error.message, error.remedy.as_str()));
            lines.extend(error.hint.iter().map(|hint| format!("hint {hint}")));
        }
        None if !reason.is_empty() => lines.push(reason.clone()),
        None => {}
    }
    let lines = lines.iter().flat_map(|line| line.lines());
    let clean = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>();
    lines
        .enumerate()
        .map(|(number, line)| format!("{}{}\n", if number == 0 { "" } else { "    " }, clean(line)))
        .collect()
}
