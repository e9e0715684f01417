//! Whether this host can run what is wanted: its facts, and what they allow.

use std::collections::BTreeSet;

use falconer_manifests::admit::{Facts, admit};
use falconer_manifests::lockfile::Lockfile;
use falconer_manifests::name::ArtifactName;
use falconer_manifests::observed::Pointer;
use falconer_manifests::revision::Revision;

use super::observe::Host;
use super::{Agent, PassError};
use crate::falco;

/// What this host's Falco is. The one that runs counts before the program on disk, which may have been updated since;
/// only the one that runs tells its plugins.
pub(super) async fn facts(agent: &Agent, host: &Host, platform: &str) -> Facts {
    let running = match &host.process {
        Some(_) => falco::loaded_versions(&agent.falco).await.ok(),
        None => None,
    };
    match running.as_ref().or(host.installed.as_ref()) {
        Some(versions) => Facts::of_host(versions, platform),
        None => Facts::without_falco(platform),
    }
}

/// Lets pass what this host can run; what cannot be checked is noted in `host`.
///
/// # Errors
/// Everything that does not fit.
pub(super) async fn admitted(
    agent: &Agent,
    host: &mut Host,
    revision: &Revision,
    lockfile: &Lockfile,
    platform: &str,
) -> Result<(), PassError> {
    let asks = lockfile
        .artifacts
        .iter()
        .any(|artifact| !artifact.requirements.is_empty() || !artifact.dependencies.is_empty());
    // Falco is not asked for what nobody needs to know.
    let facts = if asks { facts(agent, host, platform).await } else { Facts::without_falco(platform) };
    let admitted = admit(lockfile, &facts, &managed(host));
    let admitted = admitted.map_err(|misfits| PassError::Misfits { revision: revision.clone(), misfits })?;
    host.unchecked = admitted.unchecked().to_vec();
    Ok(())
}

/// The plugins that the live generation has loaded into Falco, but for those that the host's own falco.yaml names too:
/// these stay when ours go.
fn managed(host: &Host) -> BTreeSet<ArtifactName> {
    let Pointer::Generation(current) = &host.observed.current else { return BTreeSet::new() };
    let record = host.observed.generations.get(current).and_then(|generation| generation.record.as_ref());
    let own = host.settings.get("plugins").and_then(serde_json::Value::as_array);
    let is_own = |name: &ArtifactName| {
        own.into_iter()
            .flatten()
            .any(|entry| entry.get("name").and_then(serde_json::Value::as_str) == Some(name.as_str()))
    };
    let placed = record.iter().flat_map(|record| &record.composition.plugins);
    placed.map(|plugin| plugin.name.clone()).filter(|name| !is_own(name)).collect()
}
