//! A window as TOML has it.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use jiff::civil::Time;
use serde::{Deserialize, Deserializer};

use super::{Act, Days, Effect, Window, parse_time, parse_zone};
use crate::finding::Malformed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    effect: Effect,
    #[serde(default = "both")]
    what: Vec<Act>,
    #[serde(default = "every_day", deserialize_with = "days")]
    days: Days,
    #[serde(default = "Time::midnight", deserialize_with = "time")]
    from: Time,
    #[serde(default = "Time::midnight", deserialize_with = "time")]
    to: Time,
    #[serde(default = "utc", deserialize_with = "zone")]
    zone: String,
    reason: Option<String>,
}

impl From<Written> for Window {
    fn from(written: Written) -> Self {
        let Written { effect, what, days, from, to, zone, reason } = written;
        Self { effect, acts: what, days, from, to, zone, reason }
    }
}

/// What a window is about that does not say it.
pub(super) fn both() -> Vec<Act> {
    vec![Act::Download, Act::Apply]
}

const fn every_day() -> Days {
    Days::ALL
}

fn utc() -> String {
    "UTC".into()
}

fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Days, D::Error> {
    parsed(deserializer, Days::parse)
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    parsed(deserializer, parse_time)
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    parsed(deserializer, parse_zone)
}

fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, Malformed>,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(|error| serde::de::Error::custom(alloc::format!("{error}; {}", error.hint)))
}
