//! What is looked at before any parser sees a text.

use alloc::format;

use super::{Mark, Problems};
use crate::finding::Findings;

/// How many indicators (commas, quotes, …) one bracketed list or map may hold. The scanner keeps all of it in memory, at
/// some 350 bytes each, before it gives the first event.
const BRACKETED_CAP: usize = 150_000;

/// `text` without a byte order mark, when it is small enough and hides nothing.
pub(super) fn admitted<'t>(file: &str, text: &'t str, cap: usize) -> Result<&'t str, Findings> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = Problems::new(file);
    if text.len() > cap {
        let message = format!("the document has {} bytes, more than the {cap} that are read", text.len());
        problems.report(Mark::default(), message, "split it, or take out what is not needed");
    } else if let Some(nul) = text.find('\0') {
        // Parsers take it for the end of the text.
        problems.report(mark(text, nul), "there is a NUL character", "save the file as UTF-8 text");
    } else if let Some(start) = overlong_brackets(text) {
        let message = format!("a list or map in brackets has more than {BRACKETED_CAP} commas, quotes and the like");
        problems.report(mark(text, start), message, "write it in lines, each item after `- `");
    }
    problems.finish(text)
}

/// The place of a byte.
fn mark(text: &str, at: usize) -> Mark {
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Mark::new(line, column)
}

/// Where a bracket opens that holds too much. Brackets inside quotes and comments count as well, which does no harm: a
/// text for which this matters is far beyond any in use.
fn overlong_brackets(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut start = 0;
    let mut indicators = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'[' | b'{' => {
                if depth == 0 {
                    start = at;
                    indicators = 0;
                }
                depth += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ if depth == 0 || !b",:?-&*!|>'\"%@#".contains(&byte) => continue,
            _ => {}
        }
        indicators += 1;
        if indicators > BRACKETED_CAP {
            return Some(start);
        }
    }
    None
}
