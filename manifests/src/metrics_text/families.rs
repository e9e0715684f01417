//! The metrics, by what they are about.

use alloc::string::ToString;

use super::write::{Kind, Writer, seconds};
use super::{Counts, Measured};
use crate::diff::ChangeKind;
use crate::drift::DriftKind;
use crate::outcome::{Condition, Evidence};
use crate::remedy::Remedy;
use crate::status::{LastPass, Status};

/// What stays the same while the host does.
pub(super) fn state(writer: &mut Writer, measured: &Measured<'_>) {
    writer.family("falconer", Kind::Info, "The agent and the host.");
    let (host, falco) = measured.status.map_or(("", ""), |status| (status.host.as_str(), status.falco.as_str()));
    writer.sample("falconer_info", &[("version", measured.version), ("host", host), ("falco", falco)], 1);
    let Some(status) = measured.status else { return };
    writer.family("falconer_condition", Kind::Gauge, "1 for the condition of the host, 0 for the others.");
    for condition in Condition::ALL {
        let is = u8::from(status.condition == condition);
        writer.sample("falconer_condition", &[("condition", condition.as_str())], is);
    }
    writer.family("falconer_evidence", Kind::Gauge, "1 for how it is known that Falco has loaded the live generation.");
    for evidence in [Evidence::Sha256, Evidence::Restarted, Evidence::None] {
        let is = u8::from(status.evidence == evidence);
        writer.sample("falconer_evidence", &[("evidence", evidence.as_str())], is);
    }
    let generation = status.generation.map_or(0, |generation| generation.0);
    writer.gauge("falconer_generation", "The number of the live generation, 0 without one.", generation);
    writer.family("falconer_revision", Kind::Info, "The revision that is live and the newest that is known.");
    let revision = |revision: &Option<crate::revision::Revision>| {
        revision.as_ref().map_or_else(Default::default, ToString::to_string)
    };
    let (applied, wanted) = (revision(&status.revision), revision(&status.wanted));
    writer.sample("falconer_revision_info", &[("applied", &applied), ("wanted", &wanted)], 1);
    writer.family("falconer_drift", Kind::Gauge, "How much drift the last pass has left, by kind.");
    for kind in DriftKind::ALL {
        let count = status.drift.iter().filter(|drift| drift.kind == kind).count();
        writer.sample("falconer_drift", &[("kind", kind.as_str())], count);
    }
    errors(writer, status);
    writer.family("falconer_artifact", Kind::Info, "The artifacts of the live generation.");
    for artifact in &status.artifacts {
        let labels = [
            ("name", artifact.name.as_str()),
            ("type", artifact.kind.as_str()),
            ("version", artifact.version.as_str()),
            ("digest", artifact.digest.as_str()),
        ];
        writer.sample("falconer_artifact_info", &labels, 1);
    }
}

fn errors(writer: &mut Writer, status: &Status) {
    writer.family("falconer_error", Kind::Gauge, "1 for who can end the error of the last pass, 0 for the others.");
    for remedy in [Remedy::Author, Remedy::Time, Remedy::Operator, Remedy::Us] {
        let is = status.error.as_ref().is_some_and(|error| error.remedy == remedy);
        writer.sample("falconer_error", &[("remedy", remedy.as_str())], u8::from(is));
    }
}

/// What changes with every pass.
pub(super) fn last_pass(writer: &mut Writer, pass: &LastPass) {
    writer.gauge("falconer_last_pass_timestamp_seconds", "When the last pass began.", pass.at);
    let succeeded = pass.succeeded_at.unwrap_or(0);
    writer.gauge("falconer_last_success_timestamp_seconds", "When the last pass without an error began.", succeeded);
    if let Some(next) = pass.next_at {
        writer.gauge("falconer_next_pass_timestamp_seconds", "When the next pass is due at the latest.", next);
    }
    let took = seconds(pass.milliseconds);
    writer.gauge("falconer_last_pass_duration_seconds", "How long the last pass took.", took);
    writer.gauge("falconer_consecutive_failures", "How many passes in a row have ended with an error.", pass.failures);
}

/// What the process has counted.
pub(super) fn counts(writer: &mut Writer, counts: &Counts) {
    writer.family("falconer_pass", Kind::Counter, "Passes, by how they ended.");
    let conditions = Condition::ALL.iter().map(|condition| condition.as_str());
    for outcome in conditions.chain(["Error", "Busy"]) {
        let passes = counts.passes.get(outcome).copied().unwrap_or(0);
        writer.sample("falconer_pass_total", &[("outcome", outcome)], passes);
    }
    writer.family("falconer_pass_duration_seconds", Kind::Summary, "How long passes took.");
    let passes: u64 = counts.passes.iter().filter(|(outcome, _)| *outcome != "Busy").map(|(_, passes)| passes).sum();
    writer.sample("falconer_pass_duration_seconds_count", &[], passes);
    writer.sample("falconer_pass_duration_seconds_sum", &[], seconds(counts.milliseconds));
    writer.family("falconer_changes", Kind::Counter, "Changes of what Falco loads, by kind.");
    for kind in ChangeKind::ALL {
        let changes = counts.changes.get(&kind).copied().unwrap_or(0);
        writer.sample("falconer_changes_total", &[("kind", kind.as_str())], changes);
    }
    writer.family("falconer_fetched_bytes", Kind::Counter, "Bytes of archives that were fetched.");
    writer.sample("falconer_fetched_bytes_total", &[], counts.fetched_bytes);
    writer.gauge("falconer_start_time_seconds", "When the process started.", counts.started_at);
}
