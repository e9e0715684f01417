//! What somebody changes while Falco settles does not wait until it has.

use falconer_manifests::drift::{drift, is_intact};
use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::observed::{Inclusion, Pointer};
use falconer_manifests::outcome::Outcome;
use tokio::sync::Notify;

use super::Agent;
use super::observe::observe;
use crate::store::Locked;

/// Goes on with `confirming`, which tells when Falco has the generation and settles, unless somebody changes meanwhile what is
/// live and what would be healed. Then Falco has loaded everything that it was asked for, so it may be asked again.
pub(super) async fn unless_disturbed<T>(
    agent: &Agent,
    state: &Locked,
    generation: GenerationNumber,
    settles: &Notify,
    confirming: impl Future<Output = Result<T, Outcome>>,
) -> Result<T, Outcome> {
    tokio::select! {
        biased;
        confirmed = confirming => confirmed,
        () = disturbed(agent, state, generation, settles) => {
            tracing::warn!(%generation, "somebody has changed what is live while Falco settles");
            let reason = "it did not come to settle".to_string();
            Err(Outcome::Disturbed { generation, reason })
        }
    }
}

/// Waits until that has happened; never comes back when it does not.
async fn disturbed(agent: &Agent, state: &Locked, generation: GenerationNumber, settles: &Notify) {
    settles.notified().await;
    loop {
        agent.touched.notified().await;
        // What cannot be looked at now will be when the generation is judged.
        let Ok(now) = observe(agent, state).await else { continue };
        let is_as_made = now.observed.current == Pointer::Generation(generation)
            && now.observed.falco.inclusion == Some(Inclusion::Included)
            && is_intact(&now.observed, generation);
        let drift = drift(&now.observed);
        if !is_as_made && drift.iter().any(|drift| agent.settings.drift.heals(drift.kind)) {
            return;
        }
    }
}
