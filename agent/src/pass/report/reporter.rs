//! Hands the newest report to whoever sends it: at once, or in a thread of its own beside the passes.

use std::time::Duration;

use falconer_manifests::host_lock::HostLock;
use tokio::sync::watch;

use super::courier::{Courier, Patience};

/// Who sends reports.
pub(super) enum Reporter {
    /// Nobody: the settings name no place.
    Nobody,
    /// The pass itself, at its end.
    Pass(Box<Courier>),
    /// A thread, which takes the newest report and lets go of those before. It ends when this is dropped.
    Thread(watch::Sender<Option<HostLock>>),
}

impl Reporter {
    pub(super) fn new(courier: Option<Courier>) -> Self {
        courier.map_or(Self::Nobody, |courier| Self::Pass(Box::new(courier)))
    }

    /// Lets a thread send reports from now on: git and a slow server keep no pass waiting there.
    pub(super) fn start(&mut self) {
        let Self::Pass(courier) = std::mem::replace(self, Self::Nobody) else { return };
        let (sender, reports) = watch::channel(None);
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!("drift reports are sent by the passes, which wait for them: {error}");
                *self = Self::Pass(courier);
                return;
            }
        };
        let thread = std::thread::Builder::new().name("reports".to_owned());
        let started = thread.spawn(move || runtime.block_on(send_all(*courier, reports)));
        match started {
            Ok(_) => *self = Self::Thread(sender),
            Err(error) => tracing::error!("drift reports cannot be sent: {error}"),
        }
    }

    /// Gives out the newest report.
    pub(super) async fn tell(&mut self, report: &HostLock) {
        match self {
            Self::Nobody => {}
            Self::Pass(courier) => drop(courier.attend(report, Patience::Once).await),
            Self::Thread(reports) => drop(reports.send_replace(Some(report.clone()))),
        }
    }
}

/// Sends what comes, when it is due.
async fn send_all(mut courier: Courier, mut reports: watch::Receiver<Option<HostLock>>) {
    loop {
        let newest = reports.borrow_and_update().clone();
        let wait = match &newest {
            Some(newest) => courier.attend(newest, Patience::Lasting).await,
            None => Duration::MAX,
        };
        tokio::select! {
            changed = reports.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}
