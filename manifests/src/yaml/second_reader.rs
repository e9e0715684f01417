//! A second reading of text that YAML 1.2 does not allow, by a parser with the habits of Falco's.
//!
//! Falco reads with yaml-cpp, which keeps to YAML 1.1 and does not look at indentation inside brackets and quotes. The
//! parser here (libyaml's grammar) is of that generation. It gives no places.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Entry, Mark, Node, Value};

/// Nesting of brackets beyond which the parser would need time that grows with the square of the text.
const BRACKETS_CAP: usize = 512;

/// The documents of `text`, or `None` when this parser does not take it either.
pub(super) fn read(text: &str) -> Option<Vec<Node>> {
    if bracket_depth(text) > BRACKETS_CAP {
        return None;
    }
    serde_yaml::Deserializer::from_str(text)
        .map(|document| Loose::deserialize(document).ok().map(|loose| loose.0))
        .collect()
}

fn bracket_depth(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut deepest = 0;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A node that has lost its place, and whether a number was written `1` or `0x1`.
struct Loose(Node);

fn loose(value: Value) -> Loose {
    Loose(Node { at: Mark::default(), value })
}

fn plain(text: String) -> Loose {
    loose(Value::Scalar { text, plain: true })
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(plain(String::new()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Loose, E> {
        Ok(plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Loose, E> {
        Ok(plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Loose, E> {
        Ok(plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Loose, E> {
        Ok(plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Loose, E> {
        Ok(loose(Value::Scalar { text: value.to_string(), plain: false }))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Loose, D::Error> {
        Loose::deserialize(deserializer)
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, tagged: A) -> Result<Loose, A::Error> {
        let (_tag, content): (String, _) = tagged.variant()?;
        serde::de::VariantAccess::newtype_variant(content)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        let mut nodes = Vec::new();
        while let Some(Loose(node)) = items.next_element()? {
            nodes.push(node);
        }
        Ok(loose(Value::Sequence(nodes)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Loose, A::Error> {
        let mut entries = Vec::new();
        while let Some((Loose(key), Loose(value))) = map.next_entry()? {
            if let Value::Scalar { text, .. } = key.value {
                entries.push(Entry { key: text, key_at: Mark::default(), value });
            }
        }
        Ok(loose(Value::Mapping(entries)))
    }
}
