//! Days of the week, times of the day and names of zones, as documents have them.

use alloc::string::String;

use jiff::civil::{Time, Weekday};

use crate::finding::Malformed;

const WEEK: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Days of the week; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days(u8);

impl Days {
    /// Every day.
    pub const ALL: Self = Self(0x7f);

    /// Reads `mon-fri`, `sat` or `fri-mon, wed`; the days' English names may be written out.
    ///
    /// # Errors
    /// [`Malformed`]
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let refused =
            |problem| Malformed { what: "days", value: text.into(), problem, hint: "write mon-fri, or sat, sun" };
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let place = |name: &str| place(name.trim()).ok_or_else(|| refused("names no day of the week"));
            let (mut day, last) = (place(first)?, place(last)?);
            days |= 1 << day;
            while day != last {
                day = (day + 1) % 7;
                days |= 1 << day;
            }
        }
        Ok(Self(days))
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & (1 << day.to_monday_zero_offset()) != 0
    }
}

/// The place of a day in the week, from 0.
fn place(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    let short = name.get(..3)?;
    let (_, day) = WEEK.iter().find(|(known, _)| *known == short)?;
    let is_whole = name.len() == 3 || alloc::format!("{day:?}").to_ascii_lowercase() == name;
    is_whole.then(|| day.to_monday_zero_offset().cast_unsigned())
}

/// Reads a time of the day, `06:30`; `24:00` is the end of the day.
///
/// # Errors
/// [`Malformed`]
pub fn parse_time(text: &str) -> Result<Time, Malformed> {
    let time = || {
        let (hour, minute) = text.split_once(':')?;
        let number = |text: &str| {
            text.parse::<i8>().ok().filter(|_| text.len() == 2 && text.starts_with(|c: char| c.is_ascii_digit()))
        };
        match (number(hour)?, number(minute)?) {
            (24, 0) => Some(Time::midnight()),
            (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
        }
    };
    let (problem, hint) = ("is no time of the day", "write it with two digits each: 06:30, or 24:00 for the day's end");
    time().ok_or_else(|| Malformed { what: "time", value: text.into(), problem, hint })
}

/// Reads the name of a time zone, `Europe/Berlin` or `UTC`. Whether there is such a zone is seen where it is used.
///
/// # Errors
/// [`Malformed`]
pub fn parse_zone(text: &str) -> Result<String, Malformed> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '+' | '-');
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.len() <= 64 && text.chars().all(fits);
    let (problem, hint) = ("is no name of a time zone", "name a zone of the IANA database, e.g. Europe/Berlin or UTC");
    if is_name { Ok(text.into()) } else { Err(Malformed { what: "time zone", value: text.into(), problem, hint }) }
}
