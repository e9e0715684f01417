//! Answers on stdout, for people or for programs.

use std::io::{IsTerminal, Write as _};

use anstyle::{AnsiColor, Style};
use falconer_manifests::diff::Change;
use falconer_manifests::drift::Drift;
use falconer_manifests::outcome::Condition;
use falconer_manifests::plan::{Plan, Step};
use falconer_manifests::status::{LastPass, Note, Status, StatusAnswer, StatusError, span};
use serde::Serialize;
use serde_json::json;

use super::Failure;
use super::arguments::Output;
use crate::doctor::Verdict;
use crate::error::chain;
use crate::pass::Preview;

/// Prints in one form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printer {
    output: Output,
}

/// Whether the stream is a terminal.
pub(super) fn is_terminal(stream: &impl IsTerminal) -> bool {
    stream.is_terminal()
}

/// Whether the stream is to have colours: a terminal, unless `NO_COLOR` and the like say otherwise.
pub(super) fn colours(stream: &impl anstream::stream::RawStream) -> bool {
    anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never
}

impl Printer {
    pub(super) const fn new(output: Output) -> Self {
        Self { output }
    }

    /// Whether answers are for people.
    pub(super) fn is_for_people(self) -> bool {
        self.output == Output::Text
    }

    /// Prints `text` for people, or `value` for programs.
    pub(super) fn answer(self, text: &str, value: &impl Serialize) {
        let mut stdout = anstream::stdout().lock();
        let written = match self.output {
            Output::Text => writeln!(stdout, "{}", text.trim_end()),
            Output::Json => match serde_json::to_string_pretty(value) {
                Ok(json) => writeln!(stdout, "{json}"),
                Err(error) => writeln!(stdout, "{{\"error\": \"the answer cannot be written as JSON: {error}\"}}"),
            },
        };
        // A reader that has gone away, e.g. `head`, has had its answer.
        let _reader_is_gone = written;
    }

    /// Prints bytes as they are, whatever the form: they are a document of somebody else's. On a terminal a line ends after
    /// them.
    pub(super) fn bytes(self, bytes: &[u8]) {
        let mut stdout = std::io::stdout().lock();
        let end: &[u8] = if is_terminal(&stdout) { b"\n" } else { b"" };
        // A reader that has gone away has had its answer.
        let _reader_is_gone = stdout.write_all(bytes).and_then(|()| stdout.write_all(end));
    }

    /// Tells people on stderr what is not part of the answer; programs that read JSON have it in there.
    pub(super) fn aside(self, text: &str) {
        if self.output == Output::Text && !text.is_empty() {
            // Nobody is left to tell when stderr is closed.
            let _nobody_listens = writeln!(anstream::stderr().lock(), "{}", text.trim_end());
        }
    }

    pub(super) fn status(self, status: &Status) {
        self.answer(&status_text(status), status);
    }

    /// The answer at `now`, in seconds since 1970.
    pub(super) fn answer_of_status(self, answer: &StatusAnswer, now: u64) {
        let mut text = status_text(&answer.status);
        pass_text(&mut text, answer, now);
        self.answer(&text, answer);
    }

    pub(super) fn preview(self, preview: &Preview) {
        let plan = preview.plan.as_ref();
        let looked = plan.or(preview.meanwhile.as_ref());
        let value = json!({
            "revision": looked.map(|plan| plan.revision.as_str()),
            "changes": plan.map(|plan| plan.changes.as_slice()).unwrap_or_default(),
            "drift": looked.map(|plan| plan.drift.as_slice()).unwrap_or_default(),
            "steps": plan.map(|plan| plan.steps.as_slice()).unwrap_or_default(),
            "meanwhile": preview.meanwhile.as_ref().map(|plan| plan.steps.as_slice()).unwrap_or_default(),
            "held": preview.held,
            "notes": preview.notes,
            "error": preview.failure,
            "waiting": preview.waiting.as_ref().map(|waiting| json!({"reason": waiting.reason, "opens": waiting.opens})),
        });
        self.answer(&preview_text(preview), &value);
    }

    /// Tells on stderr what went wrong; programs that read JSON get it on stdout too.
    pub(super) fn failure(self, failure: &Failure) {
        let message = chain(failure.error.as_ref());
        let error = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let mut stderr = anstream::stderr().lock();
        let mut text = format!("{error}error:{error:#} {message}");
        if let Some(hint) = &failure.hint {
            text.push_str(&format!("\n  hint: {hint}"));
        }
        // Nobody is left to tell when stderr is closed.
        let _nobody_listens = writeln!(stderr, "{text}");
        if self.output == Output::Json {
            let value = json!({"error": {"message": message, "remedy": failure.remedy.as_str(), "hint": failure.hint}});
            self.answer("", &value);
        }
    }
}

fn status_text(status: &Status) -> String {
    let mut text = String::new();
    let short = |revision: &Option<falconer_manifests::revision::Revision>| {
        revision.as_ref().map_or("none", |revision| revision.short()).to_string()
    };
    let paint = condition_style(status.condition);
    row(&mut text, "host", status.host.as_str());
    row(&mut text, "condition", &format!("{paint}{}{paint:#}", status.condition.as_str()));
    if !status.reason.is_empty() {
        row(&mut text, "reason", &status.reason);
    }
    row(&mut text, "revision", &short(&status.revision));
    if status.wanted != status.revision {
        row(&mut text, "wanted", &short(&status.wanted));
    }
    row(&mut text, "generation", &status.generation.map_or("none".to_string(), |generation| generation.to_string()));
    row(&mut text, "falco", &status.falco);
    row(&mut text, "evidence", &format!("{} ({})", status.evidence.as_str(), status.validation.as_str()));
    for artifact in &status.artifacts {
        let version = if artifact.version.is_empty() { "no version" } else { &artifact.version };
        row(&mut text, "artifact", &format!("{} {version} {}", artifact.name, artifact.digest.short()));
    }
    for file in &status.files {
        row(&mut text, "file", &format!("{} {}", file.path.base_name(), file.sha256.short()));
    }
    changes_text(&mut text, &status.changes);
    drift_text(&mut text, &status.drift);
    notes_text(&mut text, &status.notes);
    if let Some(report) = &status.report {
        row(&mut text, "report", &report_text(report));
    }
    if let Some(error) = &status.error {
        error_text(&mut text, error);
    }
    row(&mut text, "next", &format!("{}: {}", status.next.who, status.next.hint));
    text
}

fn report_text(report: &falconer_manifests::report::ReportStatus) -> String {
    let time = |seconds: u64| {
        // The last second that can be written.
        let since = std::time::Duration::from_secs(seconds.min(253_402_300_799));
        humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + since)
    };
    let mut text = match report.sent {
        Some(sent) => format!("number {} sent {}", report.number, time(sent)),
        None => "none has arrived yet".to_string(),
    };
    if let Some(since) = report.waiting_since {
        text.push_str(&format!("\nsomething new waits for its time since {}", time(since)));
    }
    if let Some(failing) = &report.failing {
        text.push_str(&format!("\nfails since {}: {}", time(failing.since), failing.message));
        if let Some(hint) = &failing.hint {
            text.push_str(&format!("\nhint: {hint}"));
        }
    }
    if let Some(rival) = &report.rival {
        text.push_str(&format!(
            "\nanother host reports under this name: instance {}, seen {}",
            rival.instance,
            time(rival.seen)
        ));
    }
    text
}

fn error_text(text: &mut String, error: &StatusError) {
    row(text, "error", &format!("{} (to be ended by: {})", error.message, error.remedy.as_str()));
    if let Some(hint) = &error.hint {
        row(text, "hint", hint);
    }
}

fn pass_text(text: &mut String, answer: &StatusAnswer, now: u64) {
    let Some(pass) = &answer.last_pass else {
        row(text, "last pass", "not known: no pass since the start of this machine, or no paths.runtime in agent.toml");
        return;
    };
    let LastPass { at, milliseconds, outcome, succeeded_at, failures, next_at, error } = pass;
    row(text, "last pass", &format!("{} ({outcome}, {milliseconds} ms)", ago(*at, now)));
    if *failures > 0 {
        let success = succeeded_at.map_or("never".to_string(), |at| ago(at, now));
        row(text, "failures", &format!("{failures} in a row; the last success: {success}"));
    }
    if let Some(error) = error.as_ref().filter(|error| answer.status.error.as_ref() != Some(*error)) {
        error_text(text, error);
    }
    match (answer.stale, next_at) {
        (Some(stale), _) => row(text, "next pass", &format!("{} late", span(stale.seconds))),
        (None, Some(at)) if *at > now => row(text, "next pass", &format!("in {}", span(at - now))),
        (None, Some(_)) => row(text, "next pass", "now"),
        (None, None) => row(text, "next pass", "not planned: `falconer run` has not made the last one"),
    }
}

/// How long ago `at` was at `now`, both in seconds since 1970, and when that was.
pub(super) fn ago(at: u64, now: u64) -> String {
    format!("{} ago, {}", span(now.saturating_sub(at)), time(at))
}

/// A time in seconds since 1970 as RFC 3339 has it, in UTC.
pub(super) fn time(at: u64) -> String {
    // Later than the year 9999 is no time that RFC 3339 knows.
    let known = std::time::Duration::from_secs(at.min(253_402_300_799));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + known).to_string()
}

fn preview_text(preview: &Preview) -> String {
    let mut text = String::new();
    if let Some(held) = &preview.held {
        row(&mut text, "held", &held.sentence());
    }
    if let Some(failure) = &preview.failure {
        row(&mut text, "error", &failure.message);
        if let Some(hint) = &failure.hint {
            row(&mut text, "hint", hint);
        }
    }
    notes_text(&mut text, &preview.notes);
    if let Some(waiting) = &preview.waiting {
        row(&mut text, "waiting", &waiting.reason);
        row(&mut text, "hint", &waiting.hint);
    }
    let Some(looked) = preview.plan.as_ref().or(preview.meanwhile.as_ref()) else { return text };
    row(&mut text, "revision", looked.revision.short());
    changes_text(&mut text, &looked.changes);
    drift_text(&mut text, &looked.drift);
    let steps = |plan: &Option<Plan>| plan.iter().flat_map(|plan| plan.steps.clone()).collect::<Vec<_>>();
    let (planned, meanwhile) = (steps(&preview.plan), steps(&preview.meanwhile));
    for step in &planned {
        row(&mut text, if preview.waiting.is_some() { "later" } else { "step" }, &step_text(step));
    }
    for step in &meanwhile {
        row(&mut text, "step", &step_text(step));
    }
    if planned.is_empty() && meanwhile.is_empty() && looked.drift.is_empty() {
        text.push_str("nothing to do\n");
    }
    text
}

pub(super) fn changes_text(text: &mut String, changes: &[Change]) {
    for change in changes {
        let cause = change.kind.cause().as_str();
        row(text, change.kind.as_str(), &format!("{}: {} ({cause})", change.name, change.because));
    }
}

fn drift_text(text: &mut String, drift: &[Drift]) {
    for drift in drift {
        let seen =
            format!("{} {} (expected {}, found {})", drift.path, drift.kind.as_str(), drift.expected, drift.observed);
        row(text, "drift", &seen);
    }
}

fn notes_text(text: &mut String, notes: &[Note]) {
    for note in notes {
        row(text, "note", &note.message);
        row(text, "", &format!("hint: {}", note.hint));
    }
}

fn step_text(step: &Step) -> String {
    match step {
        Step::Fetch(fetch) => format!("fetch {} from {} ({} bytes)", fetch.layer.short(), fetch.source, fetch.size),
        Step::Copy(copy) => format!("copy {} from revision {} ({} bytes)", copy.path, copy.revision.short(), copy.size),
        Step::Place(plugin) => format!("place plugin {} in {}", plugin.name, plugin.directory),
        Step::Stage(draft) => format!("stage generation {} with {} files", draft.record.generation, draft.files.len()),
        Step::Validate { generation } => format!("validate generation {generation}"),
        Step::Activate { generation, .. } => format!("activate generation {generation}"),
        Step::Edit { generation } => format!("name generation {generation} in falco.yaml"),
        Step::Reload { pid, .. } => format!("reload Falco (process {pid})"),
        Step::Restart { by, pid, because, .. } => format!("restart Falco (process {pid}) by {by}: {because}"),
        Step::Confirm(confirm) => format!("confirm generation {}", confirm.generation),
        Step::Prune { generations, plugins, blobs, strays } => {
            let ours = [(generations.len(), "generations"), (plugins.len(), "plugins"), (blobs.len(), "blobs")];
            let all = ours.into_iter().chain([(strays.len(), "things that were never ours")]);
            let counts: Vec<_> = all.filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
            format!("prune {}", counts.join(", "))
        }
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    let mut lines = value.lines();
    text.push_str(&format!("{name:<11} {}\n", lines.next().unwrap_or_default()));
    for line in lines {
        text.push_str(&format!("{:<11} {line}\n", ""));
    }
}

fn condition_style(condition: Condition) -> Style {
    let colour = match condition {
        Condition::InSync => AnsiColor::Green,
        Condition::Drifted | Condition::Pending => AnsiColor::Yellow,
        Condition::Failed | Condition::RolledBack | Condition::Stale => AnsiColor::Red,
    };
    Style::new().bold().fg_color(Some(colour.into()))
}

pub(super) fn verdict_style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Ok => AnsiColor::Green,
        Verdict::Skipped | Verdict::Warning => AnsiColor::Yellow,
        Verdict::Failed => AnsiColor::Red,
    };
    Style::new().fg_color(Some(colour.into()))
}
