//! One YAML document as Falco reads it (yaml-cpp, and Falco's `userspace/engine/yaml_helper.h`).
//!
//! It differs from what most YAML libraries make of the same text: a key that occurs twice in a map is found at its first
//! place, `<<` is a key like any other, a second document is not read, and a scalar is text. So a scalar becomes a boolean or
//! a number only where that, written out again, gives the same text.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// How deep maps and lists may lie in each other.
const MAX_DEPTH: usize = 64;
/// How many values a document may have, with those that aliases repeat.
const MAX_VALUES: usize = 200_000;

/// A text that is not the YAML document it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {problem}")]
pub struct Unreadable {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
}

/// A key that a map has a second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Duplicate {
    /// The key with those above it, joined by dots.
    pub(super) key: String,
    /// The line of the second one, from 1.
    pub(super) line: usize,
}

/// The first document of a text. An empty one has no entries.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Document {
    /// The top-level keys in order, those that occur twice included.
    pub(super) entries: Vec<(String, Value)>,
    pub(super) duplicates: Vec<Duplicate>,
    /// How often the document refers to an anchor.
    pub(super) aliases: usize,
    /// Whether more documents follow.
    pub(super) more_documents: bool,
}

impl Document {
    /// Reads the first document of `text`, which must be a map or empty.
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, Unreadable> {
        let mut reader = Reader::default();
        let mut documents = 0_usize;
        let mut document = Self::default();
        for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
            let (event, span) = event.map_err(|error| {
                let at = error.marker();
                Unreadable {
                    file: file.into(),
                    line: at.line(),
                    column: at.col() + 1,
                    problem: error.info().to_string(),
                }
            })?;
            documents += usize::from(matches!(event, Event::DocumentStart(_)));
            if documents > 1 {
                document.more_documents = true;
                break;
            }
            reader.line = span.start.line();
            reader.take(event).map_err(|problem| Unreadable {
                file: file.into(),
                line: span.start.line(),
                column: span.start.col() + 1,
                problem: problem.into(),
            })?;
        }
        document.entries = reader.entries;
        document.duplicates = reader.duplicates;
        document.aliases = reader.aliases;
        Ok(document)
    }

    /// The document as a map; of a key that occurs twice the first.
    pub(super) fn settings(&self) -> Map<String, Value> {
        first_wins(self.entries.clone())
    }

    /// The first value of a top-level key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

fn first_wins(entries: Vec<(String, Value)>) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in entries {
        map.entry(key).or_insert(value);
    }
    map
}

enum Open {
    List(Vec<Value>),
    Map { entries: Vec<(String, Value)>, key: Option<String> },
}

#[derive(Default)]
struct Reader {
    open: Vec<(Open, usize)>,
    anchors: BTreeMap<usize, Value>,
    entries: Vec<(String, Value)>,
    duplicates: Vec<Duplicate>,
    aliases: usize,
    values: usize,
    line: usize,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor),
            Event::Alias(anchor) => {
                self.aliases += 1;
                let value =
                    self.anchors.get(&anchor).cloned().ok_or("an alias refers to a value that is not complete")?;
                self.values += count(&value);
                self.place(value)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(Vec::new()), anchor),
            Event::MappingStart(anchor, _) => self.begin(Open::Map { entries: Vec::new(), key: None }, anchor),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open, anchor: usize) -> Result<(), &'static str> {
        if self.open.len() >= MAX_DEPTH {
            return Err("maps and lists lie deeper in each other than 64 levels");
        }
        if matches!(self.open.last(), Some((Open::Map { key: None, .. }, _))) {
            return Err("a key is not a scalar");
        }
        if self.open.is_empty() && matches!(open, Open::List(_)) {
            return Err("the document is not a map");
        }
        self.open.push((open, anchor));
        Ok(())
    }

    fn end(&mut self) -> Result<(), &'static str> {
        let (value, anchor) = match self.open.pop() {
            Some((Open::List(items), anchor)) => (Value::Array(items), anchor),
            Some((Open::Map { entries, .. }, _)) if self.open.is_empty() => {
                self.entries = entries;
                return Ok(());
            }
            Some((Open::Map { entries, .. }, anchor)) => (Value::Object(first_wins(entries)), anchor),
            None => return Ok(()),
        };
        self.keep(anchor, &value);
        self.place(value)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize) -> Result<(), &'static str> {
        let path = self.path();
        if let Some((Open::Map { entries, key: key @ None }, _)) = self.open.last_mut() {
            if entries.iter().any(|(name, _)| name == text) {
                let parents = path.into_iter().chain([text.to_string()]).collect::<Vec<_>>();
                self.duplicates.push(Duplicate { key: parents.join("."), line: self.line });
            }
            *key = Some(text.to_string());
            self.keep(anchor, &Value::String(text.to_string()));
            return Ok(());
        }
        let value = if style == ScalarStyle::Plain { plain(text) } else { Value::String(text.to_string()) };
        self.keep(anchor, &value);
        self.place(value)
    }

    fn place(&mut self, value: Value) -> Result<(), &'static str> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err("the document has more than 200,000 values");
        }
        match self.open.last_mut() {
            Some((Open::List(items), _)) => items.push(value),
            Some((Open::Map { entries, key }, _)) => match key.take() {
                Some(key) => entries.push((key, value)),
                None => return Err("a key is an alias"),
            },
            None if value.is_null() => {}
            None => return Err("the document is not a map"),
        }
        Ok(())
    }

    fn keep(&mut self, anchor: usize, value: &Value) {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
    }

    fn path(&self) -> Vec<String> {
        let key = |(open, _): &(Open, usize)| match open {
            Open::Map { key, .. } => key.clone(),
            Open::List(items) => Some(items.len().to_string()),
        };
        self.open.iter().filter_map(key).collect()
    }
}

fn count(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(count).sum::<usize>(),
        _ => 1,
    }
}

/// An unquoted scalar: nothing, `true` or `false`, a number, or text.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" => return Value::Bool(true),
        "false" => return Value::Bool(false),
        _ => {}
    }
    let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from)).ok();
    let number = whole.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
    match number.filter(|number| number.to_string() == text) {
        Some(number) => Value::Number(number),
        None => Value::String(text.into()),
    }
}

#[cfg(test)]
mod tests;
