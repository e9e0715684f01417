//! Logs: to stderr as text or JSON, or to the journal with fields; and how loud, while the process runs too.

use tokio::signal::unix::{SignalKind, signal};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, fmt};

use super::arguments::{Arguments, Command, LogFormat};
use super::print;
use crate::systemd;

/// What SIGUSR1 changes the filter to, one after the other.
const LOUDER: [&str; 2] = ["falconer=debug", "falconer=trace"];

/// How loud the log is.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    filter: Handle<Targets, Registry>,
    configured: String,
}

/// Starts the log: answers alone are on stdout.
pub(super) fn start(arguments: &Arguments) -> Volume {
    let default = if matches!(arguments.command, Command::Run) { "falconer=info" } else { "falconer=warn" };
    let wanted = arguments.log.as_deref().unwrap_or(default);
    let (parsed, mistake) = match wanted.parse() {
        Ok(filter) => (filter, None),
        Err(error) => (targets(default), Some(error)),
    };
    let configured = if mistake.is_some() { default } else { wanted }.to_owned();
    let (filter, handle) = reload::Layer::new(parsed);
    let (layer, unreachable) = layer(arguments.log_format);
    tracing_subscriber::registry().with(filter).with(layer).init();
    if let Some(error) = mistake {
        tracing::warn!("`{wanted}` is not taken as a log level: {error}");
    }
    if let Some(error) = unreachable {
        tracing::warn!("the journal is not there, the log goes to stderr: {error}");
    }
    Volume { filter: handle, configured }
}

/// What is logged of each part of the program. Nothing of what is not understood.
fn targets(filter: &str) -> Targets {
    filter.parse().unwrap_or_default()
}

type Written =
    Box<dyn Layer<tracing_subscriber::layer::Layered<reload::Layer<Targets, Registry>, Registry>> + Send + Sync>;

fn layer(format: Option<LogFormat>) -> (Written, Option<std::io::Error>) {
    let mut unreachable = None;
    if format == Some(LogFormat::Journald) || (format.is_none() && systemd::stderr_is_the_journal()) {
        match tracing_journald::layer() {
            Ok(journal) => {
                let journal = journal.with_field_prefix(Some("FALCONER".to_owned()));
                let journal = journal.with_priority_mappings(PriorityMappings {
                    error: Priority::Error,
                    warn: Priority::Warning,
                    info: Priority::Informational,
                    debug: Priority::Debug,
                    trace: Priority::Debug,
                });
                return (journal.with_syslog_identifier("falconer".to_owned()).boxed(), None);
            }
            Err(error) => unreachable = format.map(|_| error),
        }
    }
    let stderr = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let terminal = print::is_terminal(&std::io::stderr());
    let layer = match (format, terminal) {
        (Some(LogFormat::Json), _) => stderr.json().boxed(),
        (_, true) => stderr.with_ansi(print::colours(&std::io::stderr())).boxed(),
        // What takes it down stamps every line itself.
        (_, false) => stderr.with_ansi(false).without_time().boxed(),
    };
    (layer, unreachable)
}

impl Volume {
    /// From now on SIGUSR1 makes the log louder by a step, and SIGUSR2 as loud as it was started.
    ///
    /// # Errors
    /// When signals cannot be listened to.
    pub(super) fn follow_signals(self) -> std::io::Result<()> {
        let mut louder = signal(SignalKind::user_defined1())?;
        let mut as_before = signal(SignalKind::user_defined2())?;
        drop(tokio::spawn(async move {
            let mut steps = LOUDER.iter().cycle();
            loop {
                let filter = tokio::select! {
                    Some(()) = louder.recv() => steps.next().copied().unwrap_or_default(),
                    Some(()) = as_before.recv() => {
                        steps = LOUDER.iter().cycle();
                        &self.configured
                    }
                    else => return,
                };
                match self.filter.reload(targets(filter)) {
                    Ok(()) => tracing::warn!(filter, "the log is as loud as a signal asked"),
                    Err(error) => tracing::warn!("the log stays as loud as it is: {error}"),
                }
            }
        }));
        Ok(())
    }
}
