//! What came of a generation that Falco was given: confirmed, refused, or nobody's fault.

use std::collections::BTreeMap;

use falconer_manifests::composition::INCLUDE;
use falconer_manifests::digest::Digest;
use falconer_manifests::falco_answers::Loaded;
use falconer_manifests::generation::{GenerationNumber, Record};
use falconer_manifests::observed::{Inclusion, RunningFalco};
use falconer_manifests::outcome::{Evidence, Outcome};
use falconer_manifests::plan::Confirm;
use tokio::sync::Notify;

use super::files_of;
use crate::falco::{self, Asked, Expected, Reloading};
use crate::pass::Agent;
use crate::pass::observe::Host;
use crate::store::{Locked, ObservedEntry};

/// The outcome of a generation that was not accepted before it was live: its author's fault only where nobody has changed it
/// since it was made.
pub(super) fn refused(state: &Locked, record: &Record, digest: &Digest, reason: String) -> Outcome {
    let generation = record.generation;
    let is_as_made = state.verify(generation, digest, &files_of(record)).is_ok() && has_its_plugins(state, record);
    match is_as_made {
        true => Outcome::Refused { generation, reason },
        false => Outcome::Disturbed { generation, reason },
    }
}

fn has_its_plugins(state: &Locked, record: &Record) -> bool {
    record.composition.plugins.iter().all(|plugin| {
        let found = state.observe_plugin(&plugin.directory).unwrap_or_default();
        plugin.files.iter().all(
            |file| matches!(found.get(&file.path), Some(ObservedEntry::File { digest, .. }) if *digest == file.sha256),
        )
    })
}

/// Finds out whether Falco has the generation; the error is the outcome of one that has not. With the evidence comes the
/// process that could not be asked and goes on with what it had.
pub(super) async fn confirm(
    agent: &Agent,
    host: &Host,
    wanted: &Confirm,
    edited: Option<&Digest>,
    asked: Option<Reloading>,
    settles: &Notify,
) -> Result<(Evidence, Option<RunningFalco>), Outcome> {
    let include = wanted.include.as_ref().map(|digest| (INCLUDE.to_string(), digest.clone()));
    let main = agent.falco.config_file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // As it was found where it had the keys already.
    let there = asked.as_ref().and_then(|_| host.observed.falco.edited.get(&wanted.generation));
    let main = edited.or(there).cloned().map(|digest| (main, digest));
    let config_files: BTreeMap<_, _> = include.into_iter().chain(main).collect();
    let Some(asked) = asked else {
        let evidence = match goes_on_with(host, wanted.generation) {
            true => host.observed.ledger.evidence,
            false => already_loaded(agent, host, wanted, &config_files).await,
        };
        let included = edited.is_some() || host.observed.falco.inclusion == Some(Inclusion::Included);
        // A process that has ended meanwhile is not one that goes on.
        let process = host.process.as_ref().filter(|falco| falco.is_alive());
        let process = process.filter(|_| !goes_on_with(host, wanted.generation));
        let unasked = process.filter(|_| included && evidence == Evidence::None).map(running);
        return Ok((evidence, unasked));
    };
    let (confirm_within, settle) = agent.patience();
    let process = running(&asked.falco);
    let restarted = asked.asked == Asked::Restart;
    let expected = Expected { rules_files: wanted.rules_files.clone(), config_files };
    match falco::confirm(&agent.falco, asked, &expected, settle, confirm_within, settles).await {
        Ok(confirmation) => {
            tracing::debug!(reason = %confirmation.reason, "Falco after the change");
            Ok((confirmation.evidence, None))
        }
        Err(error) => Err(Outcome::NotConfirmed {
            generation: wanted.generation,
            reason: crate::error::chain(&error),
            falco: (!matches!(error, falco::NotConfirmed::Died { .. })).then_some(process),
            restarted,
        }),
    }
}

fn running(falco: &falco::Falco) -> RunningFalco {
    RunningFalco { pid: falco.pid, started: falco.start_time_ticks }
}

/// The evidence where no reload was needed or possible: what a running Falco says without being asked to change.
async fn already_loaded(
    agent: &Agent,
    host: &Host,
    wanted: &Confirm,
    config_files: &BTreeMap<String, Digest>,
) -> Evidence {
    if host.process.is_none() {
        return Evidence::None;
    }
    let has = |loaded: &Loaded| {
        let all = config_files.iter().all(|(name, digest)| loaded.config_digests(name).contains(digest));
        all || !loaded.tells_config()
    };
    match falco::loaded(&agent.falco).await {
        Ok(loaded) if wanted.is_met_by(&loaded) && has(&loaded) => Evidence::Sha256,
        _ => Evidence::None,
    }
}

/// Whether Falco goes on with the good generation by falco.yaml, whatever somebody has done to `current`, and does not tell.
fn goes_on_with(host: &Host, generation: GenerationNumber) -> bool {
    let observed = &host.observed;
    let is_named = observed.falco.inclusion == Some(Inclusion::Included);
    observed.edits() && is_named && observed.ledger.good == Some(generation) && observed.falco.loaded.is_none()
}
