//! Metric families as text.

use alloc::string::{String, ToString};
use core::fmt::{Display, Write as _};

use super::Format;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows while the process lives.
    Counter,
    /// It is always 1, and its labels tell.
    Info,
    /// A count and a sum.
    Summary,
}

/// Writes families one after the other.
pub(super) struct Writer {
    format: Format,
    text: String,
}

impl Writer {
    pub(super) const fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Begins a family. `name` is without the endings `_total` and `_info`, which OpenMetrics has on samples alone and the
    /// older format on the family too.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let (word, ending) = match (self.format, kind) {
            (_, Kind::Gauge) => ("gauge", ""),
            (_, Kind::Summary) => ("summary", ""),
            (Format::OpenMetrics, Kind::Counter) => ("counter", ""),
            (Format::OpenMetrics, Kind::Info) => ("info", ""),
            (Format::Prometheus, Kind::Counter) => ("counter", "_total"),
            (Format::Prometheus, Kind::Info) => ("gauge", "_info"),
        };
        self.push(format_args!("# HELP {name}{ending} {help}\n# TYPE {name}{ending} {word}\n"));
    }

    /// A sample: its full name, its labels, its value.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(name);
        for (number, (label, value)) in labels.iter().enumerate() {
            self.push(format_args!("{}{label}=\"{}\"", if number == 0 { "{" } else { "," }, escaped(value)));
        }
        self.push(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    /// A family of one gauge without labels.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, Kind::Gauge, help);
        self.sample(name, &[], value);
    }

    /// The text as a whole.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn push(&mut self, text: core::fmt::Arguments<'_>) {
        // Writing into a String cannot fail.
        let _written = self.text.write_fmt(text);
    }
}

/// A value of a label, as both formats want it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").chars().filter(|c| !c.is_control()).collect()
}

/// Milliseconds as seconds.
pub(super) fn seconds(milliseconds: u64) -> String {
    let text = alloc::format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}
