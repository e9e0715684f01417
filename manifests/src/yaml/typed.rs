//! What a scalar means: the core schema of YAML 1.2 (YAML 1.2.2, section 10.3.2), in which `yes` and `on` are text.

use serde_json::{Map, Number, Value as Json};

use super::{Mark, Node, Problems, Value, shown};

/// What a scalar means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning<'n> {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number; one that does not fit becomes the nearest that does.
    Integer(i128),
    /// Any other number, infinities and not-a-number included.
    Float(f64),
    /// Text.
    Text(&'n str),
}

impl Node {
    /// What this scalar means; `None` for a sequence or a mapping.
    #[must_use]
    pub fn meaning(&self) -> Option<Meaning<'_>> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(meaning(text)),
            Value::Scalar { text, plain: false } => Some(Meaning::Text(text)),
            _ => None,
        }
    }

    /// Whether this is an empty value, `~` or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.meaning() == Some(Meaning::Null)
    }
}

impl Problems<'_> {
    /// The same value as JSON. Numbers that JSON or another YAML reader would take for something else are findings.
    pub fn json(&mut self, node: &Node) -> Json {
        match &node.value {
            Value::Scalar { text, .. } => self.json_scalar(node.at, text, node.meaning()),
            Value::Sequence(items) => items.iter().map(|item| self.json(item)).collect(),
            Value::Mapping(entries) => {
                let mut map = Map::new();
                for entry in entries {
                    let value = self.json(&entry.value);
                    map.entry(entry.key.as_str()).or_insert(value);
                }
                Json::Object(map)
            }
        }
    }

    fn json_scalar(&mut self, at: Mark, text: &str, meaning: Option<Meaning<'_>>) -> Json {
        let number = match meaning {
            None | Some(Meaning::Null) => return Json::Null,
            Some(Meaning::Boolean(value)) => return Json::Bool(value),
            Some(Meaning::Text(text)) => return Json::String(text.into()),
            Some(Meaning::Integer(_)) if has_leading_zero(text) => None,
            Some(Meaning::Integer(value)) => Number::from_i128(value),
            Some(Meaning::Float(value)) => Number::from_f64(value),
        };
        match number {
            Some(number) => Json::Number(number),
            None => {
                let message = alloc::format!("the number `{}` is not read alike by all programs", shown(text));
                let hint = "put it in quotes if it is text, else write it without leading zeros and within 64 bits";
                self.report(at, message, hint);
                Json::Null
            }
        }
    }
}

fn has_leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

fn meaning(text: &str) -> Meaning<'_> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
        "true" | "True" | "TRUE" => Meaning::Boolean(true),
        "false" | "False" | "FALSE" => Meaning::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => Meaning::Float(f64::NAN),
        _ => integer(text).or_else(|| float(text)).unwrap_or(Meaning::Text(text)),
    }
}

fn integer(text: &str) -> Option<Meaning<'_>> {
    let (digits, radix, sign) = if let Some(octal) = text.strip_prefix("0o") {
        (octal, 8, 1)
    } else if let Some(hexadecimal) = text.strip_prefix("0x") {
        (hexadecimal, 16, 1)
    } else if let Some(negative) = text.strip_prefix('-') {
        (negative, 10, -1)
    } else {
        (text.strip_prefix('+').unwrap_or(text), 10, 1)
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    Some(Meaning::Integer(i128::from_str_radix(digits, radix).unwrap_or(i128::MAX).saturating_mul(sign)))
}

fn float(text: &str) -> Option<Meaning<'_>> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(Meaning::Float(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }));
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let is_number = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent));
    if is_number { text.parse().ok().map(Meaning::Float) } else { None }
}
