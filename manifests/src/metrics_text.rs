//! What falconer says in metrics, as OpenMetrics 1.0 for whoever asks for it, and in Prometheus' older text format for all
//! others, the textfile collector of node_exporter among them.

mod families;
#[cfg(test)]
mod tests;
mod write;

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::diff::ChangeKind;
use crate::status::{LastPass, Status};

use write::Writer;

/// The Content-Type of [`Format::OpenMetrics`].
pub const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The Content-Type of [`Format::Prometheus`].
pub const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The two text formats (OpenMetrics specification; Prometheus, "Exposition formats").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl Format {
    /// The format for a client that accepts these media types (RFC 9110, section 12.5.1; quality values are not weighed).
    #[must_use]
    pub fn accepted_by(accept: &str) -> Self {
        let takes = |media: &str| media.trim_start().starts_with("application/openmetrics-text");
        if accept.split(',').any(takes) { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its Content-Type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => OPEN_METRICS,
            Self::Prometheus => PROMETHEUS,
        }
    }
}

/// What one process has counted since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// When it started, in seconds since 1970.
    pub started_at: u64,
    /// Passes by outcome: the condition after them, `Error` without one, `Busy` when another falconer was at work.
    pub passes: BTreeMap<String, u64>,
    /// How long all passes together took, in milliseconds.
    pub milliseconds: u64,
    /// Changes that were made, by kind.
    pub changes: BTreeMap<ChangeKind, u64>,
    /// Bytes of archives that were fetched.
    pub fetched_bytes: u64,
}

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// falconer's version.
    pub version: &'a str,
    /// How the host is; `None` before the first pass.
    pub status: Option<&'a Status>,
    /// The last pass; `None` where it must not be told, because the text would change with every pass.
    pub last_pass: Option<&'a LastPass>,
    /// What this process has counted; `None` for one that ends after a pass.
    pub counts: Option<&'a Counts>,
}

/// The text: the same bytes for the same measurements.
#[must_use]
pub fn render(measured: &Measured<'_>, format: Format) -> String {
    let mut writer = Writer::new(format);
    families::state(&mut writer, measured);
    if let Some(pass) = measured.last_pass {
        families::last_pass(&mut writer, pass);
    }
    if let Some(counts) = measured.counts {
        families::counts(&mut writer, counts);
    }
    writer.end()
}
