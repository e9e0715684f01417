//! Events as lines, and how many of them are kept.

use alloc::string::String;
use alloc::vec::Vec;

use super::Event;

/// How many events are kept.
pub const EVENTS_AT_MOST: usize = 500;
/// How long `events.jsonl` may become, in bytes.
pub const BYTES_AT_MOST: usize = 1 << 20;

/// All events, the oldest first. What is no event is left out.
#[must_use]
pub fn parse(bytes: &[u8]) -> Vec<Event> {
    lines(bytes).filter_map(event).collect()
}

/// The newest event.
#[must_use]
pub fn last(bytes: &[u8]) -> Option<Event> {
    lines(bytes).rev().find_map(event)
}

/// The line for `event`, with its end, to be put after `before`. A line that a crash has torn is ended first.
///
/// # Errors
/// When it cannot be written as JSON, which no event made by this crate is.
pub fn line(event: &Event, before: &[u8]) -> Result<String, serde_json::Error> {
    let torn = before.last().is_some_and(|byte| *byte != b'\n');
    let mut line = String::from(if torn { "\n" } else { "" });
    line.push_str(&serde_json::to_string(event)?);
    line.push('\n');
    Ok(line)
}

/// The part of `before` that is kept when `line` comes after it: all of it, or when that would be too much the newer half of
/// what may be kept. `None` when nothing has to go.
#[must_use]
pub fn kept(before: &[u8], line: &str) -> Option<Vec<u8>> {
    let count = lines(before).count();
    if count < EVENTS_AT_MOST && before.len() + line.len() <= BYTES_AT_MOST {
        return None;
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut bytes = 0;
    for line in lines(before).rev().filter(|line| event(line).is_some()).take(EVENTS_AT_MOST / 2) {
        bytes += line.len() + 1;
        if bytes > BYTES_AT_MOST / 2 {
            break;
        }
        kept.push(line);
    }
    Some(kept.into_iter().rev().flat_map(|line| line.iter().copied().chain([b'\n'])).collect())
}

fn lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

fn event(line: &[u8]) -> Option<Event> {
    serde_json::from_slice(line).ok()
}
