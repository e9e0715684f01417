//! What a pass is to reach: what the branch asks for, or what stands in its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use falconer_manifests::composition::Composition;
use falconer_manifests::ledger::Held;
use falconer_manifests::plan::Target;
use falconer_manifests::status::StatusError;
use falconer_manifests::window::Waiting;

use super::gate::{Gates, suspension};
use super::observe::Host;
use super::request::{Reach, Request};
use super::{Agent, PassError, status_error, wanted};
use crate::error::chain;
use crate::git::Repository;
use crate::store::Locked;

/// What a pass is to reach, and what stands in its way.
#[derive(Debug)]
pub(super) struct Intent {
    pub(super) wanted: Option<Composition>,
    pub(super) target: Target,
    pub(super) held: Option<Held>,
    pub(super) failure: Option<StatusError>,
    pub(super) waiting: Option<Waiting>,
}

impl Intent {
    /// `wanted`, unless it is held: then the last good generation, where there is one.
    pub(super) fn after(wanted: Composition, host: &Host, failure: Option<StatusError>) -> Self {
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
    pub(super) fn last_good(host: &Host, failure: Option<StatusError>) -> Self {
        let wanted = host.observed.fallback().map(|record| record.composition.clone());
        Self { wanted, target: Target::LastGood, held: None, failure, waiting: None }
    }

    /// What is done while `waiting` holds a change back: the last good generation is kept up, or nothing is touched.
    pub(super) fn kept_up(waiting: &Waiting, host: &Host, failure: Option<StatusError>) -> Self {
        let kept = match waiting.heals {
            true => Self::last_good(host, failure),
            false => Self { wanted: None, target: Target::LastGood, held: None, failure, waiting: None },
        };
        Self { waiting: Some(waiting.clone()), ..kept }
    }
}

/// Follows the branch as far as it can be followed, and works out what it asks for. A repository of ours that turns out to
/// be damaged is made anew and filled again: it holds nothing that Git does not.
pub(super) async fn intent(
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
struct Asking(Arc<AtomicBool>);

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
