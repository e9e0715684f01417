//! Tells when the host's Falco starts, ends, is started anew, or has its program replaced.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::falco::{self, FalcoSettings};
use crate::watch::{Process, Watch};

/// How long a Falco that has ended may take to be there again, before it is said that it has ended.
const RESTART: Duration = Duration::from_secs(2);
/// How long a Falco that starts may take to be ready, before it is looked at all the same.
const READY: Duration = Duration::from_secs(30);
/// How often it is looked at while it starts.
const LOOK: Duration = Duration::from_millis(200);

/// A process for ever: its id, and when it was started.
type Identity = (u32, u64);

/// The host's Falco as it was seen last.
#[derive(Debug)]
pub(super) struct FalcoWatch {
    settings: FalcoSettings,
    seen: Option<Identity>,
    process: Option<Process>,
    program: Option<Watch>,
}

impl FalcoWatch {
    /// Begins to watch.
    pub(super) fn new(settings: &FalcoSettings) -> Self {
        let program = Watch::of_program(settings.binary.clone())
            .inspect_err(|error| tracing::debug!(%error, "a start of Falco is found at the next pass only"))
            .ok();
        let mut watch = Self { settings: settings.clone(), seen: None, process: None, program };
        watch.look();
        watch
    }

    /// Takes what is there now for known, after a pass has looked at it.
    pub(super) fn look(&mut self) {
        if let Some(program) = &mut self.program {
            // Our own questions to the program.
            program.forget();
        }
        self.know(self.find().map(|(identity, _)| identity));
    }

    /// Waits until another Falco runs than was seen last, or none any more. Costs nothing meanwhile.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::select! {
                () = ended(self.process.as_ref()) => {}
                () = opened(&mut self.program) => {}
            }
            let found = self.settled().await;
            if found != self.seen {
                self.know(found);
                return;
            }
            if found.is_none() {
                self.process = None;
            }
        }
    }

    fn know(&mut self, found: Option<Identity>) {
        if found != self.seen || self.process.is_none() {
            self.process = found.and_then(|(pid, _)| Process::open(pid).ok());
        }
        self.seen = found;
    }

    /// The Falco that runs, once it is ready.
    async fn settled(&self) -> Option<Identity> {
        let begun = Instant::now();
        loop {
            match self.find() {
                Some((found, is_ready)) if is_ready || begun.elapsed() > READY => return Some(found),
                None if self.seen.is_none() || begun.elapsed() > RESTART => return None,
                _ => sleep(LOOK).await,
            }
        }
    }

    fn find(&self) -> Option<(Identity, bool)> {
        let found = falco::running(&self.settings).ok()??;
        Some(((found.pid, found.start_time_ticks), found.catches_sighup))
    }
}

async fn ended(process: Option<&Process>) {
    match process {
        Some(process) => process.ended().await,
        None => std::future::pending().await,
    }
}

async fn opened(program: &mut Option<Watch>) {
    match program {
        Some(program) => program.changed().await,
        None => std::future::pending().await,
    }
}
