//! The pass: the line from a revision to a confirmed generation, once, top to bottom.
//!
//! ```text
//! revision ─parse─▶ DesiredState ─resolve─▶ Lockfile ─admit(Facts)─▶ compose─▶ Composition ─plan(Observed)─▶ Plan ─apply─▶ Outcome ─report─▶ HostLock
//! ```
//!
//! A pass looks at what is really there and plans from it; it relies on nothing that an earlier pass left in memory. So a
//! crash at any point is followed by an ordinary pass, and rolling back is one too: what failed is held, and the next
//! round plans for the last good generation.

mod admitted;
mod apply;
mod attachment;
mod difference;
mod eject;
mod error;
mod events;
mod fetch;
mod gate;
mod history;
mod indexes;
mod inspect;
mod lookup;
mod notes;
mod observe;
mod publish;
mod reach;
mod report;
mod request;
mod rollback;
mod rooms;
mod wanted;

use std::path::Path;
use std::sync::atomic::Ordering;

use falconer_manifests::composition::Composition;
use falconer_manifests::drift::{Drift, drift};
use falconer_manifests::host_lock::HostLock;
use falconer_manifests::ledger::{Attachment, Held, Ledger};
use falconer_manifests::next::{Verdict, deaf_verdict, drift_verdict, failure_verdict, next, verdict, waiting_verdict};
use falconer_manifests::outcome::{Condition, Evidence, Outcome};
use falconer_manifests::plan::{Plan, Target, plan};
use falconer_manifests::status::{Note, Status, StatusError};
use falconer_manifests::window::Waiting;

use crate::error::chain;
use crate::git::Repository;
use crate::store::{Document, Locked, StateDirectory};

pub use attachment::{attach, attachment, live};
pub use difference::{Difference, FileDifference, difference};
pub use eject::{Ejected, Ejection, eject, prepare_ejection};
pub use error::{LedgerError, PassError};
pub use events::events;
pub use fetch::{Event, Listener, Wanted};
pub use gate::{suspend, suspension};
pub use history::{Generation, History, history};
pub use inspect::{InspectError, ManifestDocument, layer_of};
pub use lookup::Resolved;
pub use reach::{Reached, Surroundings, reach};
pub use report::{Probe, SinkError, probe};
pub use request::{Reach, Refresh, Request, Windows};
pub use rollback::{RollbackError, rollback, undo_rollback};
pub use rooms::{Agent, Sources};

use gate::Gates;
use observe::{Host, observe};

/// The bare repository in the state directory.
const REPOSITORY: &str = "repository.git";
/// The longest status, in bytes.
const STATUS_CAP: u64 = 4 << 20;

/// Makes one pass at `now`, in seconds since 1970.
///
/// # Errors
/// When the host cannot be looked at or written to. What is wrong with the desired state, Git, registries or Falco is no
/// error but a status.
pub async fn pass(agent: &mut Agent, request: impl Into<Request>, now: u64) -> Result<Status, PassError> {
    let ended = enforce(agent, request.into(), now).await;
    // The state directory is no longer held: whoever is told may take its time, or make a pass itself.
    report::tell(agent, ended.as_ref(), now).await;
    Ok(ended?.status)
}

/// How a pass ended, before anybody is told.
struct Ended {
    status: Status,
    report: HostLock,
    /// The condition in the last report.
    before: Option<Condition>,
}

/// The pass itself.
async fn enforce(agent: &mut Agent, request: Request, now: u64) -> Result<Ended, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?.lock()?;
    let mut repository = own_repository(&state)?;
    let mut host = observe(agent, &state).await?;
    refuse_where_ejected(&host)?;
    let kept = host.observed.ledger.clone();
    let (intent, gates) = intent(agent, &state, &mut repository, &mut host, request, now).await?;
    let intent = gates.hold_back(agent, &state, &host, intent).await?;
    let ended = carry_out(agent, &state, &repository, host, &intent, &kept).await?;
    events::remember(&state, &ended.status, now);
    Ok(ended)
}

/// Carries an intent out, and falls back where what it leads to is not taken up; then writes down how the host is. `kept`
/// is the ledger as it is on disk.
async fn carry_out(
    agent: &mut Agent,
    state: &Locked,
    repository: &Repository,
    mut host: Host,
    intent: &Intent,
    kept: &Ledger,
) -> Result<Ended, PassError> {
    let mut round = apply_round(agent, state, repository, &mut host, intent).await?;
    if let (Some(Outcome::NotConfirmed { .. }), Intent { wanted: Some(wanted), .. }) = (&round.outcome, intent) {
        host = observe_again(agent, state, &host).await?;
        let fallen_back = Intent::after(wanted.clone(), &host, intent.failure.clone());
        if fallen_back.target == Target::LastGood {
            let rolled_back = apply_round(agent, state, repository, &mut host, &fallen_back).await?;
            round = round.followed_by(rolled_back);
        }
    }
    if round.has_acted {
        host = observe_again(agent, state, &host).await?;
    }
    let drift = drift(&host.observed);
    let verdict = report::with_rival(state, round.verdict(&host, &drift))?;
    let (report, before) = report::host_lock(agent, state, &host.observed, &drift, &verdict)?;
    host.observed.ledger.sequence = report.sequence;
    let mut found = round.drift;
    found.extend(drift.iter().filter(|left| !found.contains(left)).cloned().collect::<Vec<_>>());
    let status = Status::new(&report, &agent.settings.state, verdict, round.changes, found);
    let notes = notes::notes(agent, &host, state.leftovers());
    let opens = round.waiting.as_ref().and_then(|waiting| waiting.opens);
    let status = Status { error: round.failure, notes, opens, ..status };
    report::write(state, &report, &status.kept(&drift))?;
    if host.observed.ledger != *kept {
        keep_ledger(state, &host.observed.ledger)?;
    }
    Ok(Ended { status, report, before })
}

/// What the next pass would do, without doing it; `Err` of the inner result is what keeps the desired state from being had.
///
/// # Errors
/// As [`pass`]. The store and the bare repository may be filled; nothing that Falco sees changes.
pub async fn preview(agent: &mut Agent, request: impl Into<Request>, now: u64) -> Result<Preview, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?.lock()?;
    let mut repository = own_repository(&state)?;
    let mut host = observe(agent, &state).await?;
    refuse_where_ejected(&host)?;
    let (intent, gates) = intent(agent, &state, &mut repository, &mut host, request.into(), now).await?;
    let held_back = gates.waiting(agent, &host, &intent)?;
    let plan_for = |intent: &Intent| -> Result<Option<Plan>, PassError> {
        let Some(wanted) = &intent.wanted else { return Ok(None) };
        Ok(Some(plan(wanted, intent.target, &host.observed, &agent.settings.drift)?))
    };
    let (plan, meanwhile) = match (&held_back, &intent.waiting) {
        (Some(waiting), _) => (plan_for(&intent)?, plan_for(&Intent::kept_up(waiting, &host, None))?),
        // What waits is not known yet.
        (None, Some(_)) => (None, plan_for(&intent)?),
        (None, None) => (plan_for(&intent)?, None),
    };
    let waiting = held_back.or(intent.waiting);
    let notes = notes::notes(agent, &host, state.leftovers());
    Ok(Preview { plan, meanwhile, held: intent.held, failure: intent.failure, notes, waiting })
}

/// What the next pass would do.
#[derive(Debug)]
pub struct Preview {
    /// The plan; `None` when there is nothing to plan for, or what waits cannot be known.
    pub plan: Option<Plan>,
    /// What is done while something waits; `None` when nothing waits, or nothing may be changed at all.
    pub meanwhile: Option<Plan>,
    /// What keeps the desired state from being tried.
    pub held: Option<Held>,
    /// What went wrong on the way to the plan.
    pub failure: Option<StatusError>,
    /// What is worth knowing of the host.
    pub notes: Vec<Note>,
    /// Why the next pass would not carry it out yet.
    pub waiting: Option<Waiting>,
}

/// How the host is now, without asking anybody but the host: needs no lock and writes nothing.
///
/// # Errors
/// When the host cannot be looked at.
pub async fn status(agent: &Agent) -> Result<Status, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?;
    let host = observe(agent, &state).await?;
    let drift = drift(&host.observed);
    let last = state.read_document(Document::Status, STATUS_CAP)?;
    let last = last.and_then(|bytes| serde_json::from_slice::<Status>(&bytes).ok());
    let mut notes = notes::notes(agent, &host, &[]);
    notes.extend(notes::of_leftovers(last.as_ref()));
    let counts = |condition| matches!(condition, Condition::Failed | Condition::RolledBack | Condition::Pending);
    let failed = last.filter(|last| counts(last.condition));
    let verdict = match (&failed, host.observed.ledger.good) {
        _ if host.observed.ledger.attachment == Attachment::Ejected => Verdict {
            condition: Condition::Pending,
            reason: PassError::Ejected.to_string(),
            next: failure_verdict("", PassError::Ejected.remedy(), PassError::Ejected.hint().as_deref()).next,
        },
        (Some(last), _) => Verdict { condition: last.condition, reason: last.reason.clone(), next: last.next.clone() },
        (None, None) if drift.is_empty() => Verdict {
            condition: Condition::Pending,
            reason: "no pass has placed anything yet".to_string(),
            ..drift_verdict(&drift)
        },
        _ => with_doubt(drift_verdict(&drift), &host),
    };
    let verdict = report::with_rival(&state, verdict)?;
    let (report, _) = report::host_lock(agent, &state, &host.observed, &drift, &verdict)?;
    let status = Status::new(&report, &agent.settings.state, verdict, Vec::new(), drift);
    let reporting = report::reporting(&state)?.map(|reporting| reporting.status());
    let (error, opens) = failed.map(|last| (last.error, last.opens)).unwrap_or_default();
    Ok(Status { error, opens, report: reporting, notes, ..status })
}

/// What a pass is to reach, and what stands in its way.
#[derive(Debug)]
struct Intent {
    wanted: Option<Composition>,
    target: Target,
    held: Option<Held>,
    failure: Option<StatusError>,
    waiting: Option<Waiting>,
}

impl Intent {
    /// `wanted`, unless it is held: then the last good generation, where there is one.
    fn after(wanted: Composition, host: &Host, failure: Option<StatusError>) -> Self {
        let falco = host.observed.falco.version.as_deref();
        let held = host.observed.ledger.held(&wanted.content_digest(), falco);
        match held.filter(|_| !host.observed.has_taken_up(&wanted)).cloned() {
            None => Self { wanted: Some(wanted), target: Target::Desired, held: None, failure, waiting: None },
            Some(held) => {
                let wanted = host.observed.instead_of(&held).map(|record| record.composition.clone());
                Self { wanted, target: Target::LastGood, held: Some(held), failure, waiting: None }
            }
        }
    }

    /// The last good generation, because the desired state cannot be had.
    fn last_good(host: &Host, failure: Option<StatusError>) -> Self {
        let wanted = host.observed.fallback().map(|record| record.composition.clone());
        Self { wanted, target: Target::LastGood, held: None, failure, waiting: None }
    }

    /// What is done while `waiting` holds a change back: the last good generation is kept up, or nothing is touched.
    fn kept_up(waiting: &Waiting, host: &Host, failure: Option<StatusError>) -> Self {
        let kept = match waiting.heals {
            true => Self::last_good(host, failure),
            false => Self { wanted: None, target: Target::LastGood, held: None, failure, waiting: None },
        };
        Self { waiting: Some(waiting.clone()), ..kept }
    }
}

/// Follows the branch as far as it can be followed, and works out what it asks for. A repository of ours that turns out to
/// be damaged is made anew and filled again: it holds nothing that Git does not.
async fn intent(
    agent: &mut Agent,
    state: &Locked,
    repository: &mut Repository,
    host: &mut Host,
    request: Request,
    now: u64,
) -> Result<(Intent, Gates), PassError> {
    let suspension = suspension(state, now)?;
    let asking = Asking::begin(agent);
    let mut gates = Gates::of_host(suspension.as_ref(), request, now);
    let (mut wanted, mut failure) = follow(agent, state, repository, host, &mut gates).await;
    if let Some(PassError::Git(error)) = &failure
        && error.is_damage()
    {
        tracing::warn!("made anew: {}", chain(error));
        (wanted, failure) = match Repository::create_anew(repository.path()) {
            Ok(anew) => {
                *repository = anew;
                gates = Gates::of_host(suspension.as_ref(), request, now);
                follow(agent, state, repository, host, &mut gates).await
            }
            Err(error) => (None, Some(error.into())),
        };
    }
    drop(asking);
    let (failure, waiting) = match failure {
        Some(PassError::Waits(waiting)) => (None, Some(waiting)),
        failure => (failure, None),
    };
    let away = failure.as_ref().filter(|failure| failure.is_of_asking()).map(status_error);
    let failure = match request.reach {
        Reach::Everybody => {
            agent.away = away;
            failure.as_ref().map(status_error)
        }
        Reach::Host => agent.away.clone().or_else(|| failure.as_ref().map(status_error)),
    };
    let intent = match wanted {
        Some(wanted) => Intent::after(wanted, host, failure),
        None => Intent { waiting, ..Intent::last_good(host, failure) },
    };
    Ok((intent, gates))
}

/// While it lives, the pass asks somebody.
struct Asking(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Asking {
    fn begin(agent: &Agent) -> Self {
        let asking = agent.asking();
        asking.store(true, Ordering::Relaxed);
        Self(asking)
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// What the branch asks for, and the first thing that went wrong. Where Git is away, the revision that was accepted last
/// still counts; where that cannot be had either, the last good generation is kept up.
async fn follow(
    agent: &mut Agent,
    state: &Locked,
    repository: &mut Repository,
    host: &mut Host,
    gates: &mut Gates,
) -> (Option<Composition>, Option<PassError>) {
    let known = host.observed.ledger.revision.clone().filter(|known| repository.has(known));
    let (revision, failure) = match gates.request.reach {
        Reach::Host => (known, None),
        Reach::Everybody => match wanted::revision(agent, repository, &host.observed.ledger).await {
            Ok(revision) => (Some(revision), None),
            Err(error) => (known, Some(error)),
        },
    };
    let Some(revision) = revision else { return (None, failure) };
    host.observed.ledger.revision = Some(revision.clone());
    // Not taken where something else is said: that may be tried once more.
    if host.impaired.is_some() {
        return (None, failure.or_else(|| host.impaired.take()));
    }
    match wanted::composition(agent, state, repository, host, &revision, gates).await {
        Ok(wanted) => (Some(wanted), failure),
        Err(error) => (None, Some(failure.unwrap_or(error))),
    }
}

/// The repository in the state directory. It is made where it is missing, and made anew where it cannot be opened, e.g.
/// because whoever made it was killed over it.
fn own_repository(state: &Locked) -> Result<Repository, PassError> {
    let path = state.path().join(REPOSITORY);
    match Repository::open_or_create(&path) {
        Err(error) if error.is_damage() => {
            tracing::warn!("made anew: {}", chain(&error));
            Ok(Repository::create_anew(&path)?)
        }
        opened => Ok(opened?),
    }
}

/// One plan carried out, and what came of it.
#[derive(Debug)]
struct Round {
    plan: Option<Plan>,
    outcome: Option<Outcome>,
    held: Option<Held>,
    failure: Option<StatusError>,
    changes: Vec<falconer_manifests::diff::Change>,
    drift: Vec<Drift>,
    has_acted: bool,
    waiting: Option<Waiting>,
}

async fn apply_round(
    agent: &Agent,
    state: &Locked,
    repository: &Repository,
    host: &mut Host,
    intent: &Intent,
) -> Result<Round, PassError> {
    let mut round = Round {
        plan: None,
        outcome: None,
        held: intent.held.clone(),
        failure: intent.failure.clone(),
        changes: Vec::new(),
        drift: Vec::new(),
        has_acted: false,
        waiting: intent.waiting.clone(),
    };
    let Some(wanted) = &intent.wanted else {
        round.drift = drift(&host.observed);
        return Ok(round);
    };
    let plan = plan(wanted, intent.target, &host.observed, &agent.settings.drift)?;
    round.has_acted = !plan.steps.is_empty();
    round.changes.clone_from(&plan.changes);
    round.drift.clone_from(&plan.drift);
    match apply::apply(agent, state, repository, host, &plan).await {
        Ok(outcome) => {
            let falco = host.observed.falco.version.clone();
            let ledger = next(&host.observed.ledger, wanted, intent.target, falco.as_deref(), &outcome);
            if ledger != host.observed.ledger && round.has_acted {
                keep_ledger(state, &ledger)?;
            }
            host.observed.ledger = ledger;
            round.outcome = Some(outcome);
        }
        Err(error) => round.failure = Some(status_error(&error)),
    }
    round.plan = Some(plan);
    Ok(round)
}

impl Round {
    /// This round and the one that rolled it back.
    fn followed_by(self, rolled_back: Self) -> Self {
        let mut changes = self.changes;
        changes.extend(rolled_back.changes.iter().cloned());
        Self { changes, drift: self.drift, has_acted: true, ..rolled_back }
    }

    fn verdict(&self, host: &Host, drift: &[Drift]) -> Verdict {
        match (&self.failure, &self.plan, &self.outcome) {
            (Some(failure), ..) => failure_verdict(&failure.message, failure.remedy, failure.hint.as_deref()),
            (None, _, None | Some(Outcome::Unchanged | Outcome::Confirmed { .. })) if self.waiting.is_some() => {
                self.waiting.as_ref().map_or_else(|| drift_verdict(drift), waiting_verdict)
            }
            (None, Some(plan), Some(outcome)) => with_doubt(verdict(plan, outcome, self.held.as_ref(), drift), host),
            _ => match &self.held {
                Some(held) => failure_verdict(&held.sentence(), falconer_manifests::remedy::Remedy::Author, None),
                None => drift_verdict(drift),
            },
        }
    }
}

/// Says so where a Falco runs and nothing shows that it has loaded what is live.
fn with_doubt(mut verdict: Verdict, host: &Host) -> Verdict {
    let ledger = &host.observed.ledger;
    if let Some(deaf) = host.observed.deaf() {
        return deaf_verdict(deaf, verdict);
    }
    if verdict.condition == Condition::InSync && host.process.is_some() && ledger.evidence == Evidence::None {
        verdict.reason = "Falco runs, and does not tell whether it has loaded this generation".to_string();
        verdict.next.hint =
            "switch its metrics on: set `metrics` and `webserver` in `config` of fleet.yaml".to_string();
    }
    verdict
}

/// Nothing is placed where falco.yaml was taken from us.
fn refuse_where_ejected(host: &Host) -> Result<(), PassError> {
    match host.observed.ledger.attachment {
        Attachment::Ejected => Err(PassError::Ejected),
        Attachment::Include | Attachment::Edit => Ok(()),
    }
}

/// Looks again, keeping what only this pass knows of the ledger.
async fn observe_again(agent: &Agent, state: &StateDirectory, before: &Host) -> Result<Host, PassError> {
    let mut host = observe(agent, state).await?;
    host.observed.ledger = before.observed.ledger.clone();
    host.unchecked.clone_from(&before.unchecked);
    Ok(host)
}

fn keep_ledger(state: &Locked, ledger: &Ledger) -> Result<(), PassError> {
    state.replace_document(Document::Ledger, ledger_text(ledger)?.as_bytes())?;
    Ok(())
}

fn ledger_text(ledger: &Ledger) -> Result<String, PassError> {
    ledger.render().map_err(|error| PassError::Render { document: "the ledger", reason: error.to_string() })
}

fn status_error(error: &PassError) -> StatusError {
    StatusError { message: chain(error), remedy: error.remedy(), hint: error.hint() }
}
