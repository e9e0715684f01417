//! What follows from how a pass ended: the new ledger, the host's condition and what comes next.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::composition::Composition;
use crate::drift::{Drift, DriftKind};
use crate::ledger::{Deaf, Held, Ledger};
use crate::outcome::{Condition, Evidence, Outcome};
use crate::plan::{Plan, Target};
use crate::remedy::Remedy;
use crate::window::Waiting;

/// Why a Falco that runs does not have what is live.
const NO_WAY_TO_ASK: &str = "it takes SIGHUP and does nothing with it, and may not be restarted";

/// The ledger after `outcome`, where the pass wanted `wanted` for the reason `target`, with this version of Falco.
#[must_use]
pub fn next(ledger: &Ledger, wanted: &Composition, target: Target, falco: Option<&str>, outcome: &Outcome) -> Ledger {
    let mut ledger = ledger.clone();
    match outcome {
        Outcome::Unchanged if target == Target::Desired => {
            ledger.applied = Some(wanted.revision.clone());
            ledger = ledger.without_rollback();
        }
        Outcome::Unchanged => {}
        Outcome::Confirmed { generation, evidence, validation, unasked } => {
            ledger.applied = Some(wanted.revision.clone());
            ledger.good = Some(*generation);
            ledger.trial = None;
            ledger.evidence = *evidence;
            ledger.validation = validation.unwrap_or(ledger.validation);
            let deaf = |falco| Deaf { asked: false, ..Deaf::new(*generation, Some(falco), NO_WAY_TO_ASK) };
            ledger.deaf = unasked.as_ref().map(deaf);
            let content = wanted.content_digest();
            ledger.held.retain(|held| held.content != content);
            if target == Target::Desired {
                ledger = ledger.without_rollback();
            }
            ledger.good_content = Some(content);
        }
        // It stays on trial, and the next plan heals it first.
        Outcome::Disturbed { .. } => {}
        Outcome::Refused { generation, reason } => {
            ledger.highest = ledger.highest.max(*generation);
            hold(&mut ledger, wanted, falco, reason, false);
        }
        Outcome::NotConfirmed { generation, reason, falco: process, restarted } => {
            // What was good before is not held for a Falco that does not listen.
            if ledger.good == Some(*generation) || ledger.good_content == Some(wanted.content_digest()) {
                ledger.good = Some(*generation);
                ledger.trial = None;
                ledger.evidence = Evidence::None;
                let deaf = Deaf::new(*generation, process.as_ref(), reason);
                ledger.deaf = Some(Deaf { restarted: *restarted, ..deaf });
            } else {
                hold(&mut ledger, wanted, falco, reason, true);
            }
        }
    }
    ledger
}

fn hold(ledger: &mut Ledger, wanted: &Composition, falco: Option<&str>, reason: &str, rolled_back: bool) {
    let content = wanted.content_digest();
    // Nor is it wanted any more in place of what somebody has rolled back.
    ledger.held.retain(|held| held.content != content && held.instead.as_ref() != Some(&content));
    ledger.hold(Held {
        revision: wanted.revision.clone(),
        content,
        falco: falco.map(ToString::to_string),
        reason: reason.to_string(),
        rolled_back,
        instead: None,
    });
}

/// How the host is, why, and what comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How the host is.
    pub condition: Condition,
    /// Why, in a sentence; empty when the host is in sync.
    pub reason: String,
    /// What comes next.
    pub next: Next,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// Who acts: `agent` when the next pass does, else the remedy.
    pub who: String,
    /// The next act.
    pub hint: String,
}

/// The verdict on a pass that came to its end. `held` is what keeps the desired state from being tried; `drift` is what
/// is left of it.
#[must_use]
pub fn verdict(plan: &Plan, outcome: &Outcome, held: Option<&Held>, drift: &[Drift]) -> Verdict {
    let author = |condition, reason| Verdict {
        condition,
        reason,
        next: step(Remedy::Author.as_str(), "commit a change of the desired state; this one is not tried again"),
    };
    match (outcome, held) {
        (Outcome::Refused { generation, reason }, _) => author(
            Condition::Failed,
            format!("generation {generation} of revision {} was refused: {reason}", plan.revision.short()),
        ),
        (Outcome::NotConfirmed { generation, reason, .. }, _) => Verdict {
            condition: Condition::Failed,
            reason: format!("generation {generation} is not confirmed: {reason}"),
            next: step(Remedy::Operator.as_str(), "look at Falco's own log; what is on disk is complete"),
        },
        (Outcome::Disturbed { generation, reason }, _) => Verdict {
            condition: Condition::Drifted,
            reason: format!("generation {generation} was changed by somebody while Falco took it up: {reason}"),
            next: step("agent", "heals it at the next pass and asks Falco again"),
        },
        (_, Some(held)) if held.instead.is_some() => Verdict {
            condition: Condition::RolledBack,
            reason: held.sentence(),
            next: step(
                Remedy::Author.as_str(),
                "commit a change of the desired state, or run `falconer rollback --undo` on this host",
            ),
        },
        (_, Some(held)) if held.rolled_back => author(Condition::RolledBack, held.sentence()),
        (_, Some(held)) => author(Condition::Failed, held.sentence()),
        (Outcome::Unchanged | Outcome::Confirmed { .. }, None) => drift_verdict(drift),
    }
}

/// The verdict where nothing but drift can be wrong.
#[must_use]
pub fn drift_verdict(drift: &[Drift]) -> Verdict {
    let Some(first) = drift.first() else {
        return Verdict {
            condition: Condition::InSync,
            reason: String::new(),
            next: step("agent", "looks again at the next pass"),
        };
    };
    let more = match drift.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    let hint = match first.kind {
        DriftKind::Config => {
            "run `falconer adopt`; with `config = \"edit\"` and `mode = \"heal\"` a pass puts it right after that"
        }
        DriftKind::NotLoaded => "look at Falco's own log, then restart Falco",
        _ => "put it right by hand, or let `[drift]` in agent.toml heal this kind",
    };
    Verdict {
        condition: Condition::Drifted,
        reason: format!("{} is {}{more}", first.path, first.kind.in_words()),
        next: step(Remedy::Operator.as_str(), hint),
    }
}

/// The verdict where the running Falco does not have the good generation, which is live on disk; `before` is the verdict
/// without that.
#[must_use]
pub fn deaf_verdict(deaf: &Deaf, before: Verdict) -> Verdict {
    let generation = deaf.generation;
    let (condition, reason, hint) = match deaf.asked {
        true => (
            Condition::Failed,
            format!(
                "falco_unhealthy: generation {generation} is complete on disk, and Falco does not run with it: {}",
                deaf.reason
            ),
            "look at Falco's own log and start it again; it is not asked again until something changes",
        ),
        false => (
            Condition::Drifted,
            format!("Falco goes on without generation {generation}: {}", deaf.reason),
            "restart Falco, or set `watch_config_files: true` in falco.yaml, or name its unit in `falco.unit` of agent.toml",
        ),
    };
    let held = matches!(before.condition, Condition::RolledBack | Condition::Failed).then_some(before.reason);
    let reason = [Some(reason), held].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let condition = if deaf.asked || before.condition == Condition::InSync { condition } else { before.condition };
    Verdict { condition, reason, next: step(Remedy::Operator.as_str(), hint) }
}

/// The verdict on a pass that an error ended.
#[must_use]
pub fn failure_verdict(message: &str, remedy: Remedy, hint: Option<&str>) -> Verdict {
    let act = match remedy {
        Remedy::Author => "commit a change of the desired state",
        Remedy::Time => "nothing: the next pass tries again",
        Remedy::Operator => "put it right on this host",
        Remedy::Us => "report this as a bug of falconer",
    };
    Verdict {
        condition: Condition::Failed,
        reason: message.to_string(),
        next: step(remedy.as_str(), hint.unwrap_or(act)),
    }
}

/// The verdict on a pass that left a change for later, and found or left nothing worse.
#[must_use]
pub fn waiting_verdict(waiting: &Waiting) -> Verdict {
    let who = if waiting.opens.is_some() { "agent" } else { Remedy::Operator.as_str() };
    Verdict { condition: Condition::Pending, reason: waiting.reason.clone(), next: step(who, &waiting.hint) }
}

fn step(who: &str, hint: &str) -> Next {
    Next { who: who.to_string(), hint: hint.to_string() }
}
