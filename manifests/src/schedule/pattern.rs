//! Five fields of cron in the form that the reader of them takes.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The highest number of each field, in which steps from a number end.
const HIGHEST: [u8; 5] = [59, 23, 31, 12, 6];

/// Names of fields (crontab(5)).
const NAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// The five fields that `text` stands for; `5/15` in one of them is `5-59/15`, as falcoctl has it.
pub(super) fn standard(text: &str) -> Result<String, &'static str> {
    if text.starts_with('@') {
        let named = NAMES.iter().find(|(name, _)| *name == text);
        return named.map(|(_, fields)| (*fields).to_owned()).ok_or("has a name that is not known");
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    if fields.len() != HIGHEST.len() {
        return Err("does not have five fields");
    }
    let fields = fields.iter().zip(HIGHEST).map(|(field, highest)| {
        let parts: Vec<String> = field.split(',').map(|part| stepped(part, highest)).collect();
        parts.join(",")
    });
    Ok(fields.collect::<Vec<_>>().join(" "))
}

fn stepped(part: &str, highest: u8) -> String {
    match part.split_once('/') {
        Some((start, step)) if start.parse::<u8>().is_ok() => format!("{start}-{highest}/{step}"),
        _ => part.to_owned(),
    }
}
