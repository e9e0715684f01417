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
mod intent;
mod lookup;
mod notes;
mod observe;
mod publish;
mod reach;
mod report;
mod request;
mod rollback;
mod rooms;
mod round;
mod settling;
mod wanted;

use std::path::Path;

use falconer_manifests::drift::drift;
use falconer_manifests::host_lock::HostLock;
use falconer_manifests::ledger::{Attachment, Held, Ledger};
use falconer_manifests::next::{Verdict, drift_verdict, failure_verdict};
use falconer_manifests::outcome::Condition;
use falconer_manifests::plan::{Plan, plan};
use falconer_manifests::status::{Note, Status, StatusError};
use falconer_manifests::window::Waiting;

use crate::error::chain;
use crate::git::Repository;
use crate::store::{Document, Locked, StateDirectory};

pub use attachment::{attach, attachment, placed};
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

use intent::{Intent, intent};
use observe::{Host, observe};
use round::{rounds, with_doubt};

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
    let round = rounds(agent, state, repository, &mut host, intent).await?;
    if round.has_acted {
        host = observe_again(agent, state, &host).await?;
    }
    let drift = drift(&host.observed);
    let verdict = report::with_rival(state, round.verdict(&host, &drift))?;
    let (report, before) = report::host_lock(agent, state, &host.observed, &drift, &verdict)?;
    host.observed.ledger.sequence = report.sequence;
    let mut found = round.drift;
    found.extend(drift.iter().filter(|left| !found.contains(left)).cloned().collect::<Vec<_>>());
    if !found.is_empty() {
        // Somebody has changed something.
        agent.falco.memory.doubt();
    }
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
