//! What is said to whoever asks.

use falconer_manifests::metrics_text::{Format, Measured, render};
use falconer_manifests::status::{LastPass, Status, span};

use super::{Answers, now};
use crate::http::{Answer, Question};

impl Answers {
    /// The answer to a question over HTTP.
    pub(super) fn answer(&self, question: &Question<'_>) -> Answer {
        match question.path {
            "/metrics" => self.metrics(Format::accepted_by(question.accept)),
            "/healthz" => self.health(),
            "/readyz" => self.readiness(now()),
            _ => Answer::text(404, "there are /metrics, /healthz and /readyz"),
        }
    }

    fn metrics(&self, format: Format) -> Answer {
        let memory = self.memory();
        let measured = Measured {
            version: env!("CARGO_PKG_VERSION"),
            status: memory.status.as_ref(),
            last_pass: memory.last_pass.as_ref(),
            counts: Some(&memory.counts),
        };
        Answer { status: 200, content_type: format.content_type(), body: render(&measured, format) }
    }

    fn health(&self) -> Answer {
        if self.turns() { Answer::text(200, "ok") } else { Answer::text(503, "the loop does not turn") }
    }

    fn readiness(&self, now: u64) -> Answer {
        let memory = self.memory();
        let Some(pass) = &memory.last_pass else { return Answer::text(503, "no pass was made yet") };
        if let Some(seconds) = pass.overdue(now) {
            return Answer::text(503, format!("the next pass is {} late", span(seconds)));
        }
        match pass.is_ready(now) {
            true => Answer::text(200, "ok"),
            false => Answer::text(503, "no pass has succeeded yet"),
        }
    }
}

/// How the host is, in one line.
pub(super) fn line(pass: &LastPass, status: Option<&Status>) -> String {
    let revision = status.and_then(|status| status.revision.as_ref()).map_or("none", |revision| revision.short());
    let line = format!("{}, revision {revision}", pass.outcome);
    let reason = status.map(|status| status.reason.as_str()).filter(|reason| !reason.is_empty());
    match pass.error.as_ref().map(|error| error.message.as_str()).or(reason) {
        Some(reason) => format!("{line}: {}", reason.lines().next().unwrap_or_default()),
        None => line,
    }
}
