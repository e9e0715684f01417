//! The blocks in a falco.yaml that are ours: where a key of the owner stood, or at the end.
//!
//! A block holds the owner's own lines as comments, so that the owner's falco.yaml can be had back to the byte from the file
//! alone, and the file and what it was change in one rename.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::document::Document;
use super::super::include::name;
use super::EditError;

const BEGIN: &str = "# >>> falconer: ";
const END: &str = "# <<< falconer: ";
const NOTE: &str = "# Set by falconer. The owner's own lines stand after \"#|\"; `falconer eject` knows them.";
const LEFT: &str = "# As falconer left it. What stood here before falconer, if anything:";
const KEPT: &str = "#|";

/// The lines of a block for `key`: the owner's lines as they are, then `body`. `end` is put after each line of ours.
pub(super) fn block(key: &str, owner: &[&str], body: &str, end: &str) -> Vec<String> {
    let kept = owner.iter().map(|line| match line.trim_end_matches('\r') {
        "" => format!("{KEPT}{line}"),
        _ => format!("{KEPT} {line}"),
    });
    let key = name(key);
    let head = [format!("{BEGIN}{key}{end}"), format!("{NOTE}{end}")];
    let body = body.lines().map(|line| format!("{line}{end}"));
    head.into_iter().chain(kept).chain(body).chain([format!("{END}{key}{end}")]).collect()
}

/// The owner's lines of a file that may have blocks, and whether it has any.
pub(super) fn without_blocks<'t>(file: &str, lines: &[&'t str]) -> Result<(Vec<&'t str>, bool), EditError> {
    let mut owner = Vec::new();
    let mut open: Option<(usize, &str, String)> = None;
    let mut found = false;
    for (index, &line) in lines.iter().enumerate() {
        let (at, bare) = (index + 1, line.trim_end_matches('\r'));
        open = match (open.take(), bare.strip_prefix(BEGIN), bare.strip_prefix(END)) {
            (None, Some(key), _) => {
                found = true;
                Some((at, key, String::new()))
            }
            (None, _, Some(_)) => {
                return Err(EditError::at(file, at, 1, "a block of falconer ends that did not begin"));
            }
            (None, None, None) => {
                owner.push(line);
                None
            }
            (Some(_), Some(_), _) => {
                return Err(EditError::at(file, at, 1, "a block of falconer begins inside another"));
            }
            (Some((begun, key, body)), _, Some(end)) => {
                if end != key {
                    return Err(EditError::at(file, at, 1, "a block of falconer ends under another name"));
                }
                only_ours(file, begun, key, &body)?;
                None
            }
            (Some((begun, key, mut body)), None, None) => {
                match line.strip_prefix(KEPT) {
                    Some(kept) => owner.push(kept.strip_prefix(' ').unwrap_or(kept)),
                    None => {
                        body.push_str(bare);
                        body.push('\n');
                    }
                }
                Some((begun, key, body))
            }
        };
    }
    match open {
        Some((begun, ..)) => Err(EditError::at(file, begun, 1, "a block of falconer begins and does not end")),
        None => Ok((owner, found)),
    }
}

/// The lines of a file whose blocks are whole, with what they set as plain keys, and what the owner had as plain comments.
pub(super) fn as_plain(lines: &[&str]) -> Vec<String> {
    let plain = |line: &&str| {
        let end = if line.ends_with('\r') { "\r" } else { "" };
        match line.strip_prefix(KEPT) {
            _ if line.starts_with(BEGIN) || line.starts_with(END) => None,
            _ if line.trim_end_matches('\r') == NOTE => Some(format!("{LEFT}{end}")),
            Some(kept) => Some(format!("#{kept}")),
            None => Some((*line).to_owned()),
        }
    };
    lines.iter().filter_map(plain).collect()
}

/// What somebody else has written into a block would be lost with it.
fn only_ours(file: &str, begun: usize, key: &str, body: &str) -> Result<(), EditError> {
    let foreign = |document: Document| document.entries.into_iter().map(|(other, _)| other).find(|it| name(it) != key);
    match Document::parse(file, body).ok().and_then(foreign) {
        Some(other) => {
            let problem = format!("the block of falconer for {key} also holds `{other}`; move that out of the block");
            Err(EditError::at(file, begun, 1, &problem))
        }
        None => Ok(()),
    }
}
