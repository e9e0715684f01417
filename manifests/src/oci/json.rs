//! JSON as Go's `encoding/json` writes it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

/// `value` as compact JSON with exactly the bytes of Go's `json.Marshal`, which falcoctl writes its manifests and configs
/// with: keys in the order of the struct, maps sorted, and `<`, `>`, `&`, U+2028 and U+2029 escaped.
///
/// # Errors
/// When the value cannot be JSON, e.g. a map whose keys are no strings.
pub fn go_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let plain = serde_json::to_string(value)?;
    let mut escaped = String::with_capacity(plain.len());
    for character in plain.chars() {
        // None of these is part of JSON's own syntax, so all of them stand inside strings.
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    Ok(escaped.into_bytes())
}
