//! Where the top-level keys of a falco.yaml stand in its text.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use saphyr_parser::{Event, Parser};

use super::super::document::Unreadable;
use super::EditError;

/// A top-level key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: String,
    /// The first line, from 0.
    pub(super) first: usize,
    /// The line after the last one. Comments that are indented belong to the value, others and blank lines do not.
    pub(super) end: usize,
    /// Line and column, from 1, of an anchor or an alias in it.
    pub(super) linked: Option<(usize, usize)>,
}

/// All top-level keys in order, and the line before which a new key can stand.
pub(super) fn places(file: &str, text: &str, lines: &[&str]) -> Result<(Vec<Place>, usize), EditError> {
    let refused = |line, column, problem: &str| EditError::at(file, line, column, problem);
    let mut places: Vec<Place> = Vec::new();
    let (mut depth, mut is_key, mut documents) = (0_usize, true, 0_usize);
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let (at, problem) = (error.marker(), error.info().to_owned());
            Unreadable { file: file.into(), line: at.line(), column: at.col() + 1, problem }
        })?;
        let (line, column) = (span.start.line(), span.start.col() + 1);
        let (anchor, opens, closes) = match &event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(refused(line, column, "a second YAML document begins here, which Falco does not read"));
                }
                continue;
            }
            Event::Alias(_) => (true, false, false),
            Event::Scalar(_, _, anchor, _) => (*anchor > 0, false, false),
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => (*anchor > 0, true, false),
            Event::SequenceEnd | Event::MappingEnd => (false, false, true),
            _ => continue,
        };
        if depth == 0 && opens && text.chars().nth(span.start.index()) == Some('{') {
            return Err(refused(line, column, "the whole file is one flow map"));
        }
        if depth == 1 && !closes {
            if is_key {
                let Event::Scalar(key, ..) = &event else {
                    return Err(refused(line, column, "a key is not a scalar"));
                };
                if column != 1 || lines.get(line - 1).is_none_or(|line| line.starts_with('?')) {
                    return Err(refused(line, column, "a top-level key does not stand at the start of its line"));
                }
                places.push(Place { key: key.clone().into_owned(), first: line - 1, end: line, linked: None });
            }
            is_key = !is_key;
        }
        if let (true, Some(place)) = (anchor && depth > 0, places.last_mut()) {
            place.linked.get_or_insert((line, column));
        }
        depth = if opens { depth + 1 } else { depth.saturating_sub(usize::from(closes)) };
    }
    let after = places.last().map_or(0, |place| place.end);
    let bottom = end_of_document(lines, after);
    let firsts: Vec<usize> = places.iter().skip(1).map(|place| place.first).chain([bottom]).collect();
    for (place, next) in places.iter_mut().zip(firsts) {
        let value = lines.get(place.first..next).unwrap_or_default();
        let rest = value.iter().rposition(|line| !line.trim().is_empty() && !line.starts_with('#'));
        place.end = place.first + rest.map_or(1, |last| last + 1);
    }
    Ok((places, bottom))
}

/// The line of an end mark at or after `after`, or the one after the last: with a final line end the last one is empty.
fn end_of_document(lines: &[&str], after: usize) -> usize {
    let is_mark = |line: &&str| {
        let line = line.trim_end();
        line == "..." || line.starts_with("... ")
    };
    let mark = lines.iter().skip(after).position(is_mark).map(|found| after + found);
    let whole = lines.len() - usize::from(lines.last().is_some_and(|last| last.is_empty()));
    mark.unwrap_or(whole)
}
