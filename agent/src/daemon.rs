//! The daemon: passes for as long as the process lives.
//!
//! Passes are made on time and when something changes; each looks at what is really there, so what wakes the daemon is a
//! hint and no more. A tick and a question ask Git; a change of files or of Falco only has the host looked at, so that
//! what is live is put right whether Git answers or not.
#![expect(
    clippy::disallowed_methods,
    reason = "the daemon and the command line read the clock and give it to the pass"
)]

mod alone;
mod clock;
mod error;
mod falco;
mod pace;
mod stuck;
pub mod timing;
mod told;
mod wake;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use falconer_manifests::outcome::Condition;
use falconer_manifests::plan::DriftMode;
use falconer_manifests::schedule::Phase;
use falconer_manifests::status::Status;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::answers::Answers;
use crate::error::chain;
use crate::http::Listen;
use crate::pass::{self, Agent, PassError, Reach, Refresh, Request, Windows};
use crate::settings::{self, WebhookKind};
use crate::socket::{self, Ask};
use crate::watch::Watch;
use crate::webhook::{Kind, Place, Webhook};

use alone::Alone;
pub use error::DaemonError;
use falco::FalcoWatch;
use stuck::Stuck;
use timing::Timing;
use told::{Told, answer, tell};
use wake::{Senses, Wake};

/// The wait after a pass that could not begin because another falconer was at work: its pass is short.
const BUSY: Duration = Duration::from_secs(2);

/// The time, in seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Makes passes until SIGTERM or SIGINT, with the settings of the agent.toml at `config`, which SIGHUP has read again.
///
/// # Errors
/// When another daemon runs already, or the system does not give what a daemon needs.
pub async fn run(mut agent: Agent, config: &Path) -> Result<(), DaemonError> {
    let mut stop = Stop::new().map_err(DaemonError::System)?;
    let stuck = Stuck::watch().map_err(DaemonError::System)?;
    let alone = Alone::in_directory(&agent.settings.runtime)?;
    let mut senses = Senses {
        hangup: signal(SignalKind::hangup()).map_err(DaemonError::System)?,
        asks: socket::listen(alone.path())?,
        webhook: webhook(&agent).await?,
        files: watch(&agent),
        falco: FalcoWatch::new(&agent.falco),
        pace: pace::Pace::new(),
    };
    let answers = Answers::of_daemon(&mut agent).await;
    let mut timing = Timing::default();
    let mut wake = Wake::Started;
    tracing::info!(host = %agent.settings.identity.host, every = agent.settings.schedule.every.as_secs(), "falconer starts");
    loop {
        if let Wake::Reread = wake {
            answers.reloading();
            reread(&mut agent, config, &mut senses).await;
            answers.reread(&mut agent).await;
        }
        agent.tell_in_background();
        let request = request(&wake, &timing);
        // Dropping a pass between two of its steps is a crash at a safe point: the next one converges.
        let made = tokio::select! {
            biased;
            () = stop.asked() => break,
            made = make(&mut agent, request, &mut senses, &stuck, &answers) => made,
        };
        let told = tell(&made.outcome);
        if let Told::Busy = told {
            tokio::select! {
                biased;
                () = stop.asked() => break,
                () = tokio::time::sleep(BUSY.mul_f64(0.5 + fastrand::f64())) => continue,
            }
        }
        let schedule = &agent.settings.schedule;
        if let (Told::Done(remedy), Reach::Everybody) = (&told, request.reach) {
            timing.asked(*remedy, &schedule.when, clock::now(), fastrand::f64());
        }
        let opens = made.outcome.as_ref().ok().and_then(|status| status.opens);
        timing.waits(opens, schedule.every, fastrand::f64());
        if let Wake::Asked(asks) = wake {
            for ask in asks {
                ask.answer(answer(&made.outcome));
            }
        }
        let again = tokio::select! {
            biased;
            () = stop.asked() => break,
            again = settle(&agent, &made, &mut senses) => again,
        };
        wake = match again {
            true => Wake::Changed,
            false => {
                let phase = Phase::of(&agent.settings.identity.host);
                let due = timing.next(&agent.settings.schedule.when, phase, clock::now());
                answers.waits(due.as_second());
                tracing::debug!(%due, "waits for a change or the next pass");
                tokio::select! {
                    biased;
                    () = stop.asked() => break,
                    wake = senses.wake(&timing, &agent.settings.schedule.when, phase) => wake,
                }
            }
        };
        wake.log();
    }
    answers.stops();
    tracing::info!("falconer stops");
    Ok(())
}

/// What the pass after `wake` is asked for.
fn request(wake: &Wake, timing: &Timing) -> Request {
    match wake {
        Wake::Started | Wake::Reread | Wake::Hint => Request::ORDINARY,
        Wake::Due => timing.request(clock::now()),
        Wake::Changed | Wake::Falco => Request::HOST,
        Wake::Asked(asks) => {
            let any = |asked: fn(&Ask) -> bool| asks.iter().any(asked);
            Request {
                refresh: if any(|ask| ask.question.refresh) { Refresh::Now } else { Refresh::WhenOld },
                windows: if any(|ask| ask.question.now) { Windows::Overridden } else { Windows::Kept },
                reach: Reach::Everybody,
            }
        }
    }
}

/// A pass that was made.
struct Made {
    outcome: Result<Status, PassError>,
    /// Whether files changed meanwhile that matter.
    changed: bool,
}

/// Makes a pass. Where files change while it still asks around, which may take long, the host is looked at first, once; where
/// they change later, the pass is told.
async fn make(agent: &mut Agent, request: Request, senses: &mut Senses, stuck: &Stuck, answers: &Answers) -> Made {
    let deadline = agent.settings.schedule.deadline;
    let asking = agent.asking();
    let touched = agent.touched();
    let mut changed = false;
    {
        let _running = stuck.running(deadline);
        let mut asked = pin!(answers.pass(agent, request, now()));
        loop {
            tokio::select! {
                biased;
                outcome = &mut asked => return Made { outcome, changed },
                () = wake::changed(&mut senses.files) => {
                    if request.reach == Reach::Everybody && asking.load(Ordering::Relaxed) {
                        break;
                    }
                    changed = true;
                    touched.notify_one();
                }
            }
        }
    }
    Wake::Changed.log();
    let _running = stuck.running(deadline.saturating_mul(2));
    let looked = answers.pass(agent, Request::HOST, now()).await;
    let _told_below = tell(&looked);
    if let Some(files) = &mut senses.files {
        files.drain().await;
    }
    Made { outcome: answers.pass(agent, request, now()).await, changed: false }
}

/// After a pass: whether another one must follow, because somebody has changed files since it looked at them.
async fn settle(agent: &Agent, made: &Made, senses: &mut Senses) -> bool {
    senses.falco.look();
    let Ok(status) = &made.outcome else {
        wake::drained(&mut senses.files).await;
        return false;
    };
    if status.changes.is_empty() {
        // It has written nothing that is watched, so whoever has was somebody else.
        return made.changed;
    }
    wake::drained(&mut senses.files).await;
    // Drift that is left and that nobody makes just now is not healed by another pass either.
    let may_heal = match status.condition {
        Condition::InSync => true,
        Condition::Drifted => made.changed,
        _ => false,
    };
    // Our own writes were forgotten, and with them what somebody else did at the same time.
    let heals = agent.settings.drift.mode == DriftMode::Heal && may_heal;
    let again = heals && pass::status(agent).await.is_ok_and(|left| !left.drift.is_empty());
    if again {
        senses.pace.take().await;
    }
    again
}

/// Reads agent.toml again. Where it cannot be used, the settings stay as they are.
async fn reread(agent: &mut Agent, config: &Path, senses: &mut Senses) {
    let new = settings::read(config).map_err(PassError::from).and_then(Agent::new);
    let mut new = match new {
        Ok(new) => new,
        Err(error) => {
            let hint = error.hint();
            tracing::error!(
                hint = hint.as_deref(),
                "agent.toml cannot be used; the settings stay as they are: {}",
                chain(&error)
            );
            return;
        }
    };
    let moved = |new: &Agent| {
        (new.settings.state != agent.settings.state || new.settings.runtime != agent.settings.runtime)
            .then_some("a daemon does not move: restart it to change `[paths]`")
    };
    if let Some(hint) = moved(&new) {
        tracing::error!(hint, "agent.toml names other directories; the settings stay as they are");
        return;
    }
    // The old one must be gone before a new one can listen at the same place.
    if let Some(old) = senses.webhook.take() {
        old.close().await;
    }
    senses.webhook = match webhook(&new).await {
        Ok(webhook) => webhook,
        Err(error) => {
            tracing::error!(hint = error.hint(), "there is no webhook until this is corrected: {}", chain(&error));
            None
        }
    };
    std::mem::swap(agent, &mut new);
    agent.tell_in_background();
    senses.files = watch(agent);
    senses.falco = FalcoWatch::new(&agent.falco);
    tracing::info!(host = %agent.settings.identity.host, every = agent.settings.schedule.every.as_secs(), "agent.toml was read again");
}

async fn webhook(agent: &Agent) -> Result<Option<Webhook>, DaemonError> {
    let Some(settings) = &agent.settings.webhook else { return Ok(None) };
    let place = match &settings.listen {
        Listen::Address(address) => Place::Address(*address),
        Listen::Socket(path) => Place::Socket(path.clone()),
    };
    let kind = match settings.kind {
        WebhookKind::Github => Kind::Github,
        WebhookKind::Gitlab => Kind::Gitlab,
        WebhookKind::Gitea => Kind::Gitea,
    };
    Ok(Some(Webhook::listen(&place, kind, &settings.secret).await?))
}

fn watch(agent: &Agent) -> Option<Watch> {
    let state = Path::new(agent.settings.state.as_str());
    let placed = ["current", "current/rules", "generations"].map(|name| state.join(name));
    let falco = [agent.falco.config_file.clone(), agent.falco.binary.clone()];
    let paths: Vec<PathBuf> = falco.into_iter().chain(placed).collect();
    Watch::new(paths)
        .inspect_err(|error| {
            let hint = error.hint();
            tracing::warn!(hint = hint.as_deref(), "changes are found at the next pass only: {}", chain(error));
        })
        .ok()
}

/// The signals that ask a daemon to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
