//! `falconer diff`.

use anstyle::{AnsiColor, Style};
use falconer_manifests::generation::GenerationNumber;
use serde_json::{Value, json};
use similar::TextDiff;

use super::Failure;
use super::arguments::Arguments;
use super::host::{PENDING, agent};
use super::print::{Printer, changes_text};
use crate::daemon::now;
use crate::pass::{self, Difference, FileDifference};

pub(super) async fn diff(arguments: &Arguments, printer: Printer, generation: Option<u64>) -> Result<u8, Failure> {
    let mut agent = agent(arguments)?;
    let difference = pass::difference(&mut agent, generation.map(GenerationNumber), now()).await?;
    if let Some(failure) = &difference.failure {
        tracing::error!(hint = failure.hint.as_deref(), "{}", failure.message);
    }
    printer.answer(&text(&difference), &value(&difference));
    let differs = !difference.files.is_empty() || !difference.changes.is_empty();
    Ok(match (&difference.failure, differs) {
        (Some(_), _) => super::FAILURE,
        (None, true) => PENDING,
        (None, false) => 0,
    })
}

fn value(difference: &Difference) -> Value {
    let file = |file: &FileDifference| json!({"name": file.name, "added": file.before.is_none(), "removed": file.after.is_none(), "diff": unified(difference, file)});
    json!({
        "from": difference.from,
        "to": difference.to,
        "revision": difference.revision,
        "changes": difference.changes,
        "files": difference.files.iter().map(file).collect::<Vec<_>>(),
        "error": difference.failure,
    })
}

fn text(difference: &Difference) -> String {
    let mut text = String::new();
    changes_text(&mut text, &difference.changes);
    for file in &difference.files {
        text.push_str(&coloured(&unified(difference, file)));
    }
    if text.is_empty() && difference.failure.is_none() {
        text.push_str("no difference");
    }
    text
}

fn unified(difference: &Difference, file: &FileDifference) -> String {
    let side = |number: Option<GenerationNumber>, text: &Option<String>, otherwise: &str| match (number, text) {
        (_, None) => "/dev/null".to_string(),
        (Some(number), Some(_)) => format!("generation {number}/{}", file.name),
        (None, Some(_)) => format!("{otherwise}/{}", file.name),
    };
    let (old, new) = (file.before.as_deref().unwrap_or_default(), file.after.as_deref().unwrap_or_default());
    let before = side(difference.from, &file.before, "live");
    let after = side(difference.to, &file.after, "desired");
    TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(&before, &after).to_string()
}

/// As `diff --color` has it; colours are taken out again where the answer goes to no terminal. Other control characters,
/// which may come from anywhere, are not printed.
fn coloured(unified: &str) -> String {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    let paint = |line: &str| match line.as_bytes() {
        [b'-', b'-', b'-', ..] | [b'+', b'+', b'+', ..] => Style::new().bold(),
        [b'@', ..] => colour(AnsiColor::Cyan),
        [b'-', ..] => colour(AnsiColor::Red),
        [b'+', ..] => colour(AnsiColor::Green),
        _ => Style::new(),
    };
    let printable = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    let line = |line: &str| {
        let (paint, line) = (paint(line), line.chars().map(printable).collect::<String>());
        format!("{paint}{line}{paint:#}\n")
    };
    unified.lines().map(line).collect()
}
