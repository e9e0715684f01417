//! Going back to an earlier generation because somebody says so: planned, validated and confirmed as any other change.

use std::path::Path;
use std::time::Duration;

use falconer_manifests::composition::Composition;
use falconer_manifests::drift::is_intact;
use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::observed::Observed;
use falconer_manifests::outcome::Condition;
use falconer_manifests::plan::Target;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::status::Status;

use super::observe::{observe, observe_with};
use super::{Agent, Intent, PassError, carry_out, events, keep_ledger, own_repository};
use crate::store::{Locked, StateDirectory, StoreError};

/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Why it is not gone back.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// What ended the pass.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Nothing was ever placed.
    #[error("nothing is live on this host, so there is nothing to go back from")]
    NothingLive,
    /// There is no earlier generation that loads something else.
    #[error("no generation before {live} on this host loads anything else than it does")]
    NothingBefore {
        /// The live generation.
        live: GenerationNumber,
    },
    /// The generation is not on disk.
    #[error("there is no generation {number} on this host")]
    Gone {
        /// The generation.
        number: GenerationNumber,
    },
    /// The generation is not as it was made.
    #[error("generation {number} is not complete, and Falco is left with what is live")]
    Incomplete {
        /// The generation.
        number: GenerationNumber,
    },
}

impl RollbackError {
    /// Who can end it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Pass(error) => error.remedy(),
            _ => Remedy::Operator,
        }
    }

    /// The next act.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Pass(error) => error.hint(),
            Self::NothingLive => Some("run `falconer once`".to_string()),
            _ => Some("`falconer history` lists what there is; to go further back, revert the commit".to_string()),
        }
    }
}

/// Goes back to generation `to`, or to the newest one before the live one that loads something else. What is left is held
/// until the desired state changes. A pass that is under way is waited for, as long as `wait`. Gives the status, and
/// whether the generation is live and good now.
///
/// The wish is in the ledger before anything is changed, so that a pass after a crash goes on with it. Neither Git nor a
/// registry is asked.
///
/// # Errors
/// [`RollbackError`]; nothing that Falco sees has changed then, but for an error of the pass.
pub async fn rollback(
    agent: &mut Agent,
    to: Option<GenerationNumber>,
    wait: Duration,
    now: u64,
) -> Result<(Status, bool), RollbackError> {
    let state = lock(agent, wait).await?;
    let repository = own_repository(&state)?;
    let first = observe(agent, &state).await?;
    super::refuse_where_ejected(&first)?;
    let (live, target) = target(&first.observed, to)?;
    let mut host = observe_with(agent, &state, Some(target)).await?;
    if !is_intact(&host.observed, target) {
        return Err(RollbackError::Incomplete { number: target });
    }
    let record = |number| host.observed.generations.get(&number)?.record.as_ref();
    let wanted: Composition =
        record(target).map(|record| record.composition.clone()).ok_or(RollbackError::Gone { number: target })?;
    let from = record(live).map(|record| record.composition.clone()).ok_or(RollbackError::NothingLive)?;
    let reason = format!("rolled back by hand from generation {live} to {target}");
    let content = wanted.content_digest();
    let ledger =
        host.observed.ledger.with_rollback(from.revision.clone(), from.content_digest(), content.clone(), reason);
    keep_ledger(&state, &ledger).map_err(RollbackError::Pass)?;
    tracing::info!(from = %live, to = %target, "going back");
    host.observed.ledger = ledger.clone();
    let held = ledger.rollback().cloned();
    let intent = Intent { wanted: Some(wanted), target: Target::LastGood, held, failure: None, waiting: None };
    let ended = carry_out(agent, &state, &repository, host, &intent, &ledger).await?;
    events::remember(&state, &ended.status, now);
    let reached = observe(agent, &state).await?;
    let is_live = reached.observed.live_record().is_some_and(|record| record.composition.content_digest() == content);
    let is_well = matches!(ended.status.condition, Condition::RolledBack | Condition::InSync | Condition::Drifted);
    let is_reached = is_live && is_well && reached.observed.ledger.trial.is_none();
    drop((repository, state));
    super::report::tell(agent, Ok(&ended), now).await;
    Ok((ended.status, is_reached))
}

/// Lets the next pass bring back what was rolled back; gives what was held.
///
/// # Errors
/// When the state directory cannot be read or written to.
pub async fn undo_rollback(agent: &Agent, wait: Duration) -> Result<Option<String>, PassError> {
    let state = lock(agent, wait).await?;
    let ledger = super::observe::ledger(&state)?;
    let held = ledger.rollback().map(falconer_manifests::ledger::Held::sentence);
    if held.is_some() {
        keep_ledger(&state, &ledger.without_rollback())?;
    }
    Ok(held)
}

/// The live generation and the one to go back to.
fn target(
    observed: &Observed,
    to: Option<GenerationNumber>,
) -> Result<(GenerationNumber, GenerationNumber), RollbackError> {
    let live = observed.placed_record().ok_or(RollbackError::NothingLive)?;
    let from = live.generation;
    if let Some(number) = to {
        return match observed.generations.get(&number) {
            None => Err(RollbackError::Gone { number }),
            Some(generation) if generation.record.is_none() => Err(RollbackError::Incomplete { number }),
            Some(_) => Ok((from, number)),
        };
    }
    let falco = observed.falco.version.as_deref();
    let before = observed.generations.range(..from).rev().filter_map(|(_, generation)| generation.record.as_ref());
    let differs = |content| content != live.composition.content_digest();
    // What failed with this Falco is not gone back to unless it is named.
    let mut before = before.filter(|record| {
        let content = record.composition.content_digest();
        observed.ledger.held(&content, falco).is_none() && differs(content)
    });
    let target = before.next().ok_or(RollbackError::NothingBefore { live: from })?;
    Ok((from, target.generation))
}

/// Takes the lock; a pass that is under way is waited for, as long as `wait`.
async fn lock(agent: &Agent, wait: Duration) -> Result<Locked, PassError> {
    let path = Path::new(agent.settings.state.as_str());
    let give_up = tokio::time::Instant::now() + wait;
    loop {
        match StateDirectory::open(path)?.lock() {
            Err(StoreError::Busy { .. }) if tokio::time::Instant::now() < give_up => tokio::time::sleep(LOOK).await,
            locked => return Ok(locked?),
        }
    }
}
