//! From parser events to a tree, without recursion, so that no input can exhaust the stack.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::{DEPTH_CAP, Entry, Mark, NODES_CAP, Node, Parsed, Problems, Value, shown};
use crate::finding::Findings;

/// What aliases may add to a document, in bytes of memory, roughly.
const ALIAS_BUDGET: usize = 16 << 20;

/// Whose document it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Ours.
    Strict,
    /// Falco's.
    Lenient,
}

/// A sequence or a mapping that is not finished yet.
struct Open {
    at: Mark,
    anchor: usize,
    body: Body,
}

enum Body {
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>, Key),
}

/// What a mapping has of its next entry.
enum Key {
    None,
    Text(String, Mark),
    /// The key is not text: the entry is left out.
    Other,
}

/// An anchored node, with its size and height.
struct Anchored {
    node: Node,
    weight: usize,
    height: usize,
}

/// Reading cannot go on; the reason has been reported.
enum Stop {
    /// The text is beyond what is read.
    Refused,
    /// The text is not YAML 1.2; the line, where all that is missing is a colon before it.
    Malformed(Option<usize>),
}

/// Why there is no tree.
pub(super) struct Unread {
    pub(super) findings: Findings,
    /// Whether another parser might read the text.
    pub(super) is_malformed: bool,
    /// The line after one that lacks a colon.
    pub(super) without_colon: Option<usize>,
}

struct Builder<'f> {
    mode: Mode,
    problems: Problems<'f>,
    open: Vec<Open>,
    documents: Vec<Node>,
    anchored: BTreeMap<usize, Anchored>,
    budget: usize,
    nodes: usize,
}

pub(super) fn build(file: &str, text: &str, mode: Mode) -> Result<Parsed, Unread> {
    let mut parser = Parser::new_from_str(text);
    let mut builder = Builder {
        mode,
        problems: Problems::new(file),
        open: Vec::new(),
        documents: Vec::new(),
        anchored: BTreeMap::new(),
        budget: ALIAS_BUDGET,
        nodes: 0,
    };
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => builder.take(event, mark(&span.start)),
            Err(error) => Err(builder.malformed(&error, text)),
        };
        if let Err(stop) = taken {
            let nothing = Parsed { documents: Vec::new(), findings: Vec::new() };
            let (is_malformed, without_colon) = match stop {
                Stop::Refused => (false, None),
                Stop::Malformed(without_colon) => (true, without_colon),
            };
            let unread = |findings| Unread { findings, is_malformed, without_colon };
            return builder.problems.finish(nothing).map_err(unread);
        }
    }
    Ok(Parsed { documents: builder.documents, findings: builder.problems.into_findings() })
}

fn mark(marker: &Marker) -> Mark {
    Mark::new(marker.line(), marker.col() + 1)
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, at: Mark) -> Result<(), Stop> {
        self.nodes += usize::from(!matches!(event, Event::SequenceEnd | Event::MappingEnd));
        if self.nodes > NODES_CAP {
            return Err(self.stop(at, format!("there are more than {NODES_CAP} values"), "split the document"));
        }
        match event {
            Event::DocumentStart(_) if self.mode == Mode::Strict && !self.documents.is_empty() => {
                Err(self.stop(at, "a second document starts here", "keep one document in a file; take out the `---`"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.note(at, anchor, tag.is_some());
                // A copy: the scanner's own text has room to spare.
                let value = Value::Scalar { text: String::from(text.as_ref()), plain };
                self.complete(Node { at, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.note(at, anchor, tag.is_some());
                self.descend(at, anchor, Body::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.note(at, anchor, tag.is_some());
                self.descend(at, anchor, Body::Mapping(Vec::new(), Key::None))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { at, anchor, body }) = self.open.pop() else { return Ok(()) };
                let value = match body {
                    Body::Sequence(items) => Value::Sequence(items),
                    Body::Mapping(entries, _) => {
                        self.report_duplicates(&entries);
                        Value::Mapping(entries)
                    }
                };
                self.complete(Node { at, value }, anchor)
            }
            Event::Alias(anchor) => self.expand(at, anchor),
            _ => Ok(()),
        }
    }

    fn descend(&mut self, at: Mark, anchor: usize, body: Body) -> Result<(), Stop> {
        if self.open.len() >= DEPTH_CAP {
            return Err(self.too_deep(at));
        }
        self.open.push(Open { at, anchor, body });
        Ok(())
    }

    fn note(&mut self, at: Mark, anchor: usize, tagged: bool) {
        if self.mode == Mode::Lenient {
            return;
        }
        if anchor > 0 {
            self.problems.report(at, "an anchor (`&`) is not allowed", "write the value out in each place");
        }
        if tagged {
            self.problems.report(at, "a tag (`!`) is not allowed", "take it out; quotes make a value text");
        }
    }

    fn expand(&mut self, at: Mark, anchor: usize) -> Result<(), Stop> {
        if self.mode == Mode::Strict {
            self.problems.report(
                at,
                "an alias (`*`) is not allowed",
                "write the value out in each place, or quote the text",
            );
            return self.complete(Node { at, value: Value::Scalar { text: String::new(), plain: true } }, 0);
        }
        let Some(anchored) = self.anchored.get(&anchor) else {
            return Err(self.stop(at, "an alias refers to a value that contains it", "write the value out"));
        };
        if self.open.len() + anchored.height > DEPTH_CAP {
            return Err(self.too_deep(at));
        }
        match self.budget.checked_sub(anchored.weight) {
            Some(rest) => {
                self.budget = rest;
                let node = anchored.node.clone();
                self.complete(node, 0)
            }
            None => Err(self.repeats(at)),
        }
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        if anchor > 0 && self.mode == Mode::Lenient {
            let (weight, height) = measure(&node);
            match self.budget.checked_sub(weight) {
                Some(rest) => self.budget = rest,
                None => return Err(self.repeats(node.at)),
            }
            self.anchored.insert(anchor, Anchored { node: node.clone(), weight, height });
        }
        match self.open.last_mut().map(|open| &mut open.body) {
            None => self.documents.push(node),
            Some(Body::Sequence(items)) => items.push(node),
            Some(Body::Mapping(entries, key)) => match core::mem::replace(key, Key::None) {
                Key::Text(key, key_at) => entries.push(Entry { key, key_at, value: node }),
                Key::Other => {}
                Key::None => match node.value {
                    Value::Scalar { text, plain } => {
                        if self.mode == Mode::Strict && plain && text == "<<" {
                            self.problems.report(node.at, "a merge key (`<<`) is not allowed", "write the keys out");
                        }
                        *key = Key::Text(text, node.at);
                    }
                    _ => {
                        *key = Key::Other;
                        if self.mode == Mode::Strict {
                            let hint = "use a text as key; quote text that holds `{`, `[` or starts with `?`";
                            self.problems.report(node.at, "a key is not text", hint);
                        }
                    }
                },
            },
        }
        Ok(())
    }

    fn report_duplicates(&mut self, entries: &[Entry]) {
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_by(|a, b| (&a.key, a.key_at).cmp(&(&b.key, b.key_at)));
        for group in sorted.chunk_by(|a, b| a.key == b.key) {
            let Some((first, others)) = group.split_first() else { continue };
            for other in others {
                let message =
                    format!("the key `{}` stands twice, first in line {}", shown(&other.key), first.key_at.line);
                self.problems.report(other.key_at, message, "keep one of them");
            }
        }
    }

    fn too_deep(&mut self, at: Mark) -> Stop {
        self.stop(at, format!("values are nested deeper than {DEPTH_CAP} levels"), "flatten the document")
    }

    fn repeats(&mut self, at: Mark) -> Stop {
        self.stop(at, "aliases repeat more than is read", "write the values out, or split the file")
    }

    fn stop(&mut self, at: Mark, message: impl Into<String>, hint: &str) -> Stop {
        self.problems.report(at, message, hint);
        Stop::Refused
    }

    fn malformed(&mut self, error: &ScanError, text: &str) -> Stop {
        let at = mark(error.marker());
        // The scanner's own guard, which counts in a byte.
        if error.info().contains("recursion limit") {
            return self.too_deep(at);
        }
        let line = text.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
        let near = [line, text.lines().nth(error.marker().line()).unwrap_or_default()];
        let indented_by_tab = near.iter().any(|line| line.trim_start_matches(' ').starts_with('\t'));
        let info = error.info();
        let hint = if indented_by_tab {
            "indent with spaces; YAML does not allow tabs there"
        } else if info.contains("mapping values are not allowed") {
            "quote a value that contains `: `, and check the indentation"
        } else if info.contains("unexpected character") || info.contains("unknown anchor") {
            "quote a value that starts with a special character"
        } else if info.contains("quoted scalar") {
            "close the quote, and indent its further lines"
        } else if info.contains("indentation") || info.contains("block") {
            "line up the keys of a mapping and the `-` of a list"
        } else {
            "check quotes, brackets and indentation here and in the line before"
        };
        self.problems.report(at, format!("not well-formed YAML: {}", shown(info)), hint);
        Stop::Malformed(info.starts_with("simple key expect").then(|| error.marker().line()))
    }
}

/// The memory that a node takes, roughly, and how many levels it has.
fn measure(node: &Node) -> (usize, usize) {
    let children = |sizes: &mut dyn Iterator<Item = (usize, usize)>| {
        sizes.fold((64, 1), |(weight, height), (w, h)| (weight + w, height.max(h + 1)))
    };
    match &node.value {
        Value::Scalar { text, .. } => (64 + text.len(), 0),
        Value::Sequence(items) => children(&mut items.iter().map(measure)),
        Value::Mapping(entries) => children(&mut entries.iter().map(|entry| {
            let (weight, height) = measure(&entry.value);
            (weight + entry.key.len() + 64, height)
        })),
    }
}
