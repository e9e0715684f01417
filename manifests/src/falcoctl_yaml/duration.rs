//! Spans of time as Go writes them (`time.ParseDuration`).

use alloc::format;
use alloc::string::String;

/// The whole seconds of a span like `168h0m0s`, `1.5h` or `90s`, rounded up; `None` when it is none or not above zero.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let mut rest = text.trim().trim_start_matches('+');
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, next) = after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = next;
    }
    // A hundred years; Go's own limit is 292.
    if !(total > 0.0 && total < 3_153_600_000.0) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "above zero and far below the limit")]
    let whole = total as u64;
    #[expect(clippy::cast_precision_loss, reason = "far below the limit")]
    let cut = total > whole as f64;
    Some(whole + u64::from(cut))
}

/// The span in its largest whole unit, as agent.toml takes it, e.g. `168h` or `90s`.
pub(super) fn shown(seconds: u64) -> String {
    match seconds {
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_go() {
        for (text, expected) in [
            ("168h0m0s", Some("168h")),
            ("6h", Some("6h")),
            ("5m0s", Some("5m")),
            ("1h30m", Some("90m")),
            ("1.5h", Some("90m")),
            ("90s", Some("90s")),
            ("1500ms", Some("2s")),
            ("1ns", Some("1s")),
            ("", None),
            ("0", None),
            ("0s", None),
            ("5", None),
            ("5d", None),
            ("h", None),
            ("1..5h", None),
            ("-5m", None),
            ("99999999999999h", None),
        ] {
            assert_eq!(seconds(text).map(shown).as_deref(), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[0-9.hmsnuµ+-]{0,12}") {
            let _any_answer_will_do = seconds(&text);
        }
    }
}
