//! A second reading of text that YAML 1.2 does not allow, by a parser with the habits of Falco's.
//!
//! Falco reads with yaml-cpp, which keeps to YAML 1.1 and does not look at indentation inside brackets and quotes. The
//! parser here (libyaml's grammar) is of that generation. It gives no places.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::{Entry, Mark, NODES_CAP, Node, Value};

/// The size in bytes of a text that is read a second time: this parser takes some 200 bytes for each byte of the worst text.
const SIZE_CAP: usize = 512 << 10;

/// Nesting of brackets beyond which the parser would need time that grows with the square of the text.
const BRACKETS_CAP: usize = 512;

/// The documents of `text`, or `None` when this parser does not take it either.
pub(super) fn read(text: &str) -> Option<Vec<Node>> {
    if text.len() > SIZE_CAP || bracket_depth(text) > BRACKETS_CAP {
        return None;
    }
    let budget = Cell::new(NODES_CAP);
    serde_yaml::Deserializer::from_str(text).map(|document| Reader(&budget).deserialize(document).ok()).collect()
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

fn node(value: Value) -> Node {
    Node { at: Mark::default(), value }
}

fn plain(text: String) -> Node {
    node(Value::Scalar { text, plain: true })
}

/// Reads one value, as long as the budget of nodes lasts. What is lost is how a number was written: `0x1` becomes `1`.
#[derive(Clone, Copy)]
struct Reader<'b>(&'b Cell<usize>);

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.0.get().checked_sub(1) {
            Some(rest) => self.0.set(rest),
            None => return Err(D::Error::custom("too many values")),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(plain(String::new()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(plain(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(node(Value::Scalar { text: value.to_string(), plain: false }))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Node, A::Error> {
        let (_tag, content): (String, _) = tagged.variant()?;
        content.newtype_variant_seed(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            nodes.push(item);
        }
        Ok(node(Value::Sequence(nodes)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry_seed(self, self)? {
            if let Value::Scalar { text, .. } = key.value {
                entries.push(Entry { key: text, key_at: Mark::default(), value });
            }
        }
        Ok(node(Value::Mapping(entries)))
    }
}
