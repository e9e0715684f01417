//! What wakes the daemon.

use falconer_manifests::schedule::{Phase, Schedule};
use tokio::signal::unix::Signal;

use super::clock;
use super::falco::FalcoWatch;
use super::pace::Pace;
use super::timing::Timing;
use crate::socket::{Ask, Asks};
use crate::watch::Watch;
use crate::webhook::Webhook;

/// What has woken the daemon.
#[derive(Debug)]
pub(super) enum Wake {
    /// It has just started.
    Started,
    /// A tick, a window that opens, an error to make up for.
    Due,
    /// A file that matters.
    Changed,
    /// Another Falco, or none any more.
    Falco,
    /// Somebody on the command line.
    Asked(Vec<Ask>),
    /// A webhook.
    Hint,
    /// SIGHUP.
    Reread,
}

impl Wake {
    /// Says so in the log.
    pub(super) fn log(&self) {
        match self {
            Self::Started | Self::Due => {}
            Self::Changed => tracing::info!("a file that matters has changed"),
            Self::Falco => tracing::info!("another Falco runs, or none any more"),
            Self::Asked(_) => tracing::info!("somebody asks for a pass"),
            Self::Hint => tracing::info!("a webhook says that there is something to fetch"),
            Self::Reread => tracing::info!("SIGHUP: agent.toml is read again"),
        }
    }
}

/// All that can wake the daemon, but for what ends it.
pub(super) struct Senses {
    pub(super) hangup: Signal,
    pub(super) asks: Asks,
    pub(super) webhook: Option<Webhook>,
    pub(super) files: Option<Watch>,
    pub(super) falco: FalcoWatch,
    pub(super) pace: Pace,
}

impl Senses {
    /// Waits for what comes first.
    pub(super) async fn wake(&mut self, timing: &Timing, schedule: &Schedule, phase: Phase) -> Wake {
        let Self { hangup, asks, webhook, files, falco, pace } = self;
        let due = async {
            // A clock that is set ends the waiting, and everything is reckoned anew.
            let mut due = timing.next(schedule, phase, clock::now());
            loop {
                clock::until(due).await;
                if clock::now() >= due {
                    return;
                }
                due = timing.next(schedule, phase, clock::now());
            }
        };
        let changed = async {
            changed(files).await;
            pace.take().await;
        };
        tokio::select! {
            biased;
            _ = hangup.recv() => Wake::Reread,
            first = asks.next() => {
                let mut all = vec![first];
                while let Some(more) = asks.more() {
                    all.push(more);
                }
                Wake::Asked(all)
            }
            () = changed => Wake::Changed,
            () = falco.changed() => Wake::Falco,
            () = hinted(webhook) => Wake::Hint,
            () = due => Wake::Due,
        }
    }
}

async fn hinted(webhook: &mut Option<Webhook>) {
    match webhook {
        Some(webhook) => webhook.hint().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn changed(files: &mut Option<Watch>) {
    match files {
        Some(files) => files.changed().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn drained(files: &mut Option<Watch>) {
    if let Some(files) = files {
        files.drain().await;
    }
}
