//! The rounds of a pass: one plan carried out each, and what came of it.

use falconer_manifests::diff::Change;
use falconer_manifests::drift::{Drift, drift, is_intact};
use falconer_manifests::ledger::Held;
use falconer_manifests::next::{Verdict, deaf_verdict, drift_verdict, failure_verdict, next, verdict, waiting_verdict};
use falconer_manifests::observed::{Inclusion, Pointer};
use falconer_manifests::outcome::{Condition, Evidence, Outcome};
use falconer_manifests::plan::{Plan, Target, plan};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::status::StatusError;
use falconer_manifests::window::Waiting;

use super::intent::Intent;
use super::observe::{Host, observe};
use super::{Agent, PassError, apply, attachment, keep_ledger, observe_again, status_error};
use crate::git::Repository;
use crate::store::Locked;

/// One plan carried out, and what came of it.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) plan: Option<Plan>,
    pub(super) outcome: Option<Outcome>,
    pub(super) held: Option<Held>,
    pub(super) failure: Option<StatusError>,
    pub(super) changes: Vec<Change>,
    pub(super) drift: Vec<Drift>,
    pub(super) has_acted: bool,
    pub(super) waiting: Option<Waiting>,
}

/// How often a plan is carried out in one pass, where somebody disturbs it or Falco does not take it up.
const ROUNDS: usize = 5;

/// Carries an intent out. Where somebody disturbs it, it is healed and Falco is asked again; where Falco does not take it up,
/// the last good generation comes back. Both are ordinary rounds.
///
/// # Errors
/// When the host cannot be looked at, or the ledger not be written.
pub(super) async fn rounds(
    agent: &Agent,
    state: &Locked,
    repository: &Repository,
    host: &mut Host,
    intent: &Intent,
) -> Result<Round, PassError> {
    let mut round = apply_round(agent, state, repository, host, intent).await?;
    let mut fallback: Option<Intent> = None;
    for _ in 1..ROUNDS {
        match (&round.outcome, &intent.wanted) {
            (Some(Outcome::Disturbed { .. }), _) => *host = observe_again(agent, state, host).await?,
            (Some(Outcome::NotConfirmed { .. }), Some(wanted)) if fallback.is_none() => {
                *host = observe_again(agent, state, host).await?;
                let instead = Intent::after(wanted.clone(), host, intent.failure.clone());
                if instead.target != Target::LastGood {
                    break;
                }
                fallback = Some(instead);
            }
            _ => break,
        }
        let next = apply_round(agent, state, repository, host, fallback.as_ref().unwrap_or(intent)).await?;
        round = round.followed_by(next);
    }
    Ok(round)
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
            let outcome = undisturbed(agent, state, host, outcome).await?;
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

/// What did not come to be because somebody changed what was live meanwhile, or falco.yaml, is nobody's fault: not that of the
/// commit, and not Falco's.
async fn undisturbed(agent: &Agent, state: &Locked, before: &Host, outcome: Outcome) -> Result<Outcome, PassError> {
    let Outcome::NotConfirmed { generation, reason, .. } = &outcome else { return Ok(outcome) };
    let now = observe(agent, state).await?;
    let is_live = now.observed.current == Pointer::Generation(*generation);
    let is_included = now.observed.falco.inclusion == Some(Inclusion::Included);
    if is_live
        && is_included
        && is_intact(&now.observed, *generation)
        && attachment::is_as_written(agent, before, &now, *generation)
    {
        return Ok(outcome);
    }
    Ok(Outcome::Disturbed { generation: *generation, reason: reason.clone() })
}

impl Round {
    /// This round and the one after it, which healed it or rolled it back: what came of both is what came of that one.
    fn followed_by(self, next: Self) -> Self {
        let mut changes = self.changes;
        changes.extend(next.changes.iter().cloned());
        Self { changes, drift: self.drift, has_acted: true, ..next }
    }

    pub(super) fn verdict(&self, host: &Host, drift: &[Drift]) -> Verdict {
        match (&self.failure, &self.plan, &self.outcome) {
            (Some(failure), ..) => failure_verdict(&failure.message, failure.remedy, failure.hint.as_deref()),
            (None, _, None | Some(Outcome::Unchanged | Outcome::Confirmed { .. })) if self.waiting.is_some() => {
                self.waiting.as_ref().map_or_else(|| drift_verdict(drift), waiting_verdict)
            }
            (None, Some(plan), Some(outcome)) => with_doubt(verdict(plan, outcome, self.held.as_ref(), drift), host),
            _ => match &self.held {
                Some(held) => failure_verdict(&held.sentence(), Remedy::Author, None),
                None => drift_verdict(drift),
            },
        }
    }
}

/// Says so where a Falco runs and nothing shows that it has loaded what is live.
pub(super) fn with_doubt(mut verdict: Verdict, host: &Host) -> Verdict {
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
