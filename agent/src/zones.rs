//! Time zones, from the zone files of the system.

use jiff::tz::TimeZone;

/// The zone that the IANA database calls `name`; `None` where the system has no file for it. UTC needs none.
#[must_use]
pub fn find(name: &str) -> Option<TimeZone> {
    if name == "UTC" { Some(TimeZone::UTC) } else { TimeZone::get(name).ok() }
}

/// The zone that this machine is set to; UTC where it is set to none.
#[must_use]
pub fn local() -> TimeZone {
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}
