//! Tells whoever wants to know how this host is: the runtime directory, metrics over HTTP and as a textfile, the service
//! manager.
//!
//! Nothing here decides anything, and nothing that goes wrong here stops a pass. What changes with every pass is told from
//! memory, or written into the runtime directory, which is in memory too: a pass that changes nothing writes nothing to
//! disk.
#![expect(clippy::disallowed_methods, reason = "whoever tells how long ago something was reads the clock")]

mod files;
mod questions;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use falconer_manifests::digest::Digest;
use falconer_manifests::metrics_text::Counts;
use falconer_manifests::outcome::Condition;
use falconer_manifests::status::{LastPass, Status, StatusError};
use tokio::time::Instant;

use crate::error::chain;
use crate::http::{self, Listen};
use crate::pass::{self, Agent, Event, Listener, PassError, Request};
use crate::settings::Settings;
use crate::store::StoreError;
use crate::systemd::Manager;

pub use files::last_pass;

/// A pass that takes so many times its deadline is stuck, and so is whoever should have ended it.
const DEADLINES: u32 = 3;
/// How late the loop may wake up, in seconds.
const LATE: u64 = 60;

/// What is told, and to whom. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Answers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    files: Mutex<files::Files>,
    manager: Manager,
    server: tokio::sync::Mutex<Option<Server>>,
    memory: Mutex<Memory>,
}

/// Who answers over HTTP.
#[derive(Debug)]
struct Server {
    listen: Listen,
    task: tokio::task::JoinHandle<()>,
}

/// What is known of the passes of this process.
#[derive(Debug, Default)]
struct Memory {
    status: Option<Status>,
    last_pass: Option<LastPass>,
    counts: Counts,
    /// How far each transfer has come.
    transfers: BTreeMap<Digest, u64>,
    phase: Phase,
}

/// Where the loop is.
#[derive(Debug, Clone, Copy, Default)]
enum Phase {
    /// About to begin.
    #[default]
    Starting,
    /// At work, and to be done by then in any case.
    Working(Instant),
    /// Waiting until then, in seconds since 1970: that clock may be set.
    Waiting(u64),
}

impl Phase {
    /// Whether this is how a loop that turns looks at `moment`, which is `now` in seconds since 1970.
    fn turns(self, moment: Instant, now: u64) -> bool {
        match self {
            Self::Starting => true,
            Self::Working(until) => moment < until,
            Self::Waiting(until) => now < until.saturating_add(LATE),
        }
    }
}

impl Answers {
    /// The answers of a process that makes one pass: files, and nobody who asks.
    #[must_use]
    pub fn of_one_pass(settings: &Settings) -> Self {
        Self::new(settings, Manager::default())
    }

    /// The answers of a daemon: the service manager is told that it runs, and whoever asks is answered from now on.
    pub async fn of_daemon(agent: &mut Agent) -> Self {
        let answers = Self::new(&agent.settings, Manager::of_this_process());
        answers.memory().counts.started_at = now();
        answers.follow(agent).await;
        if let Some(silence) = answers.0.manager.watchdog() {
            drop(tokio::spawn(answers.clone().keep_the_watchdog_quiet(silence)));
        }
        answers.0.manager.ready();
        answers
    }

    /// Follows what the settings of `agent` say, which may be new.
    async fn follow(&self, agent: &mut Agent) {
        let counting = self.clone();
        agent.sources.report_progress_to(Listener::new(move |event| counting.count_bytes(event)));
        *self.files() = files::Files::new(&agent.settings);
        let mut server = self.0.server.lock().await;
        if server.as_ref().map(|server| &server.listen) == agent.settings.metrics.listen.as_ref() {
            return;
        }
        if let Some(Server { task, .. }) = server.take() {
            task.abort();
            // It listens until it is gone.
            let _ended = task.await;
        }
        let Some(listen) = &agent.settings.metrics.listen else { return };
        match http::bind(listen).await {
            Ok(listener) => {
                if listen.is_open() {
                    tracing::warn!(%listen, "metrics can be read by whoever reaches this address");
                }
                let at = listener.address().map_or_else(|| listen.to_string(), |address| address.to_string());
                tracing::info!(listen = %at, "answers /metrics, /healthz and /readyz");
                let asked = self.clone();
                let task = tokio::spawn(listener.serve(Arc::new(move |question| asked.answer(question))));
                *server = Some(Server { listen: listen.clone(), task });
            }
            Err(error) => tracing::error!(hint = error.hint(), "metrics cannot be asked for: {}", chain(&error)),
        }
    }

    fn new(settings: &Settings, manager: Manager) -> Self {
        let files = files::Files::new(settings);
        let memory = Memory { last_pass: files.last_pass(), ..Memory::default() };
        let (files, memory) = (Mutex::new(files), Mutex::new(memory));
        Self(Arc::new(Inner { files, manager, server: tokio::sync::Mutex::default(), memory }))
    }

    /// Makes a pass at `now`, in seconds since 1970, and tells how it ended.
    ///
    /// # Errors
    /// As [`pass::pass`].
    pub async fn pass(&self, agent: &mut Agent, request: Request, now: u64) -> Result<Status, PassError> {
        let begun = Instant::now();
        self.memory().phase = Phase::Working(begun + agent.settings.schedule.deadline.saturating_mul(DEADLINES));
        let outcome = pass::pass(agent, request, now).await;
        self.ended(&outcome, now, begun.elapsed());
        outcome
    }

    /// Tells that the next pass comes at `due` at the latest, in seconds since 1970.
    pub fn waits(&self, due: i64) {
        let due = u64::try_from(due).unwrap_or(0);
        let pass = {
            let mut memory = self.memory();
            memory.phase = Phase::Waiting(due);
            let Some(pass) = &mut memory.last_pass else { return };
            pass.next_at = Some(due);
            pass.clone()
        };
        self.files().keep_last_pass(&pass);
    }

    /// Tells that the settings are read again.
    pub fn reloading(&self) {
        self.0.manager.reloading();
    }

    /// Tells that the settings of `agent` were read again, and follows them.
    pub async fn reread(&self, agent: &mut Agent) {
        self.follow(agent).await;
        self.0.manager.ready();
    }

    /// Tells that the daemon ends.
    pub fn stops(&self) {
        self.0.manager.stopping();
    }

    fn ended(&self, outcome: &Result<Status, PassError>, at: u64, took: Duration) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let mut memory = self.memory();
        memory.transfers.clear();
        let (condition, error) = match outcome {
            Err(PassError::Store(StoreError::Busy { .. })) => {
                *memory.counts.passes.entry("Busy".to_owned()).or_default() += 1;
                return;
            }
            Err(error) => {
                (None, Some(StatusError { message: chain(error), remedy: error.remedy(), hint: error.hint() }))
            }
            Ok(status) => (Some(status.condition.as_str()), status.error.clone()),
        };
        let pass = LastPass::new(at, milliseconds, condition, error, memory.last_pass.as_ref());
        *memory.counts.passes.entry(pass.outcome.clone()).or_default() += 1;
        memory.counts.milliseconds = memory.counts.milliseconds.saturating_add(milliseconds);
        if let Ok(status) = outcome {
            for change in &status.changes {
                *memory.counts.changes.entry(change.kind).or_default() += 1;
            }
            // What was found and healed is no drift any more.
            let is_left = status.condition != Condition::InSync;
            let drift = if is_left { status.drift.clone() } else { Vec::new() };
            memory.status = Some(status.kept(&drift));
        }
        self.files().keep_last_pass(&pass);
        if let Some(status) = &memory.status {
            self.files().keep_metrics(status, at);
        }
        self.0.manager.status(&questions::line(&pass, memory.status.as_ref()));
        memory.last_pass = Some(pass);
    }

    fn count_bytes(&self, event: Event<'_>) {
        let mut memory = self.memory();
        match event {
            Event::Came { digest, bytes } => {
                let before = memory.transfers.insert(digest.clone(), bytes).unwrap_or(0);
                // One that breaks off begins anew.
                let more = if bytes < before { bytes } else { bytes - before };
                memory.counts.fetched_bytes = memory.counts.fetched_bytes.saturating_add(more);
            }
            Event::Ended { digest } => drop(memory.transfers.remove(digest)),
            Event::Asking { .. } | Event::Answered | Event::Begun { .. } => {}
        }
    }

    /// Tells the manager that we are alive, at twice the pace it wants, for as long as the loop turns. That this runs at all
    /// shows that nothing blocks the thread.
    async fn keep_the_watchdog_quiet(self, silence: Duration) {
        let mut pace = tokio::time::interval(silence / 2);
        loop {
            pace.tick().await;
            if self.turns() {
                self.0.manager.alive();
            } else {
                tracing::error!("the loop does not turn: the service manager is to start falconer anew");
            }
        }
    }

    fn turns(&self) -> bool {
        self.memory().phase.turns(Instant::now(), now())
    }

    fn files(&self) -> MutexGuard<'_, files::Files> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
