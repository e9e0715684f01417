//! Lenient reading: what YAML 1.2 does not allow, but Falco's reader takes.
//!
//! yaml-cpp takes a line without a colon in a map as a key without a value, and a bracketed list that stands no deeper than
//! its key as the value of that key. Such lines are mended, one by one; whatever else is not YAML 1.2 is left to the
//! second reader.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::builder::{Mode, build};
use super::{Mark, Parsed, Problems, second_reader, shown};
use crate::finding::Findings;

/// How many lines are mended; each one costs another reading.
const MENDED_CAP: usize = 16;

pub(super) fn read(file: &str, text: &str) -> Result<Parsed, Findings> {
    let mut text = Cow::Borrowed(text);
    let mut notes = Problems::new(file);
    let mut refusal = None;
    for _ in 0..=MENDED_CAP {
        let unread = match build(file, &text, Mode::Lenient) {
            Ok(Parsed { documents, mut findings }) => {
                findings.extend(notes.into_findings());
                return Ok(Parsed { documents, findings });
            }
            Err(unread) => unread,
        };
        let mended = unread.without_colon.and_then(|line| mend(&text, line, &mut notes));
        // What is wrong with the text as it was given.
        refusal.get_or_insert(unread.findings);
        match mended {
            Some(mended) => text = Cow::Owned(mended),
            None if unread.is_malformed => {
                if let Some(documents) = second_reader::read(&text) {
                    return Ok(Parsed { documents, findings: notes.into_findings() });
                }
                break;
            }
            None => break,
        }
    }
    refusal.map_or_else(|| Ok(Parsed { documents: Vec::new(), findings: Vec::new() }), Err)
}

/// Mends the last line with content before `line`, counted from 1.
fn mend(text: &str, line: usize, notes: &mut Problems<'_>) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let has_content = |line: &str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let before = |end: usize| lines.get(..end)?.iter().rposition(|line| has_content(line));
    let at = before(line.saturating_sub(1).min(lines.len()))?;
    let content = lines.get(at)?.trim_end();
    let continues_key = before(at).and_then(|key| lines.get(key)).is_some_and(|key| key.trim_end().ends_with(':'));
    let mended = if continues_key {
        format!(" {}", lines.get(at)?)
    } else {
        let message = format!("Falco takes `{}` for a key without a value", shown(content.trim_start()));
        let mark = Mark::new(at + 1, content.chars().take_while(|c| *c == ' ').count() + 1);
        notes.report(mark, message, "indent the line deeper if it belongs to the value above it");
        format!("{content}:\n")
    };
    let (head, tail) = (lines.get(..at)?, lines.get(at + 1..)?);
    Some([head.concat(), mended, tail.concat()].concat())
}
