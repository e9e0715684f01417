//! How falco.yaml names what is live: looked at, and written where it is ours to write.

use std::collections::BTreeMap;
use std::path::Path;

use falconer_manifests::composition::Composition;
use falconer_manifests::digest::Digest;
use falconer_manifests::falco_answers::FalcoVersion;
use falconer_manifests::falco_config::{self, Adoption, EditError, Include};
use falconer_manifests::generation::{GenerationNumber, Record};
use falconer_manifests::ledger::{Attachment, Ledger};
use falconer_manifests::observed::{ConfigMode, Inclusion, Observed};

use super::observe::{Host, ledger, observe};
use super::{Agent, PassError, keep_ledger};
use crate::falco::{self, Documents};
use crate::store::StateDirectory;

/// Whether falco.yaml names what was placed last, as the settings want it to; and what falco.yaml is with the keys of the
/// generations that are or were live, where they are to be written into it.
///
/// # Errors
/// When they are to be written into it and cannot be.
pub(super) fn inclusion(
    agent: &Agent,
    documents: &Documents,
    version: Option<&FalcoVersion>,
    observed: &Observed,
) -> Result<(Inclusion, BTreeMap<GenerationNumber, Digest>), EditError> {
    let include = agent.include();
    let not = |how: &str| Ok((Inclusion::Not(how.to_string()), BTreeMap::new()));
    if observed.falco.mode == ConfigMode::Include {
        return match falco_config::adoption(&documents.text, &include, version) {
            Adoption::Adopted => Ok((Inclusion::Included, BTreeMap::new())),
            other => not(&other.to_string()),
        };
    }
    if !observed.edits() {
        return not("it was not adopted since `config` is \"edit\"");
    }
    // Falco goes by falco.yaml, wherever `current` points.
    let Some(placed) = observed.placed_record() else { return not("nothing is live") };
    let sources = documents.sources(version, Some(&include));
    let edited =
        |record: &Record| falco_config::with_keys(&sources, &keys(agent, &record.composition, record.generation));
    let right = edited(placed)?;
    let mut all = BTreeMap::from([(placed.generation, Digest::of(right.as_bytes()))]);
    if let Some(good) = observed.good_record().filter(|good| good.generation != placed.generation)
        && let Ok(text) = edited(good)
    {
        all.insert(good.generation, Digest::of(text.as_bytes()));
    }
    let astray = falco_config::astray(&sources, &right)?;
    Ok(match astray.is_empty() {
        true => (Inclusion::Included, all),
        false => (Inclusion::Not(format!("{} not as falconer has set them", astray.join(", "))), all),
    })
}

/// What Falco is given for a generation.
pub(super) fn keys(agent: &Agent, composition: &Composition, generation: GenerationNumber) -> Include {
    composition.keys(&agent.settings.state.join(&generation.directory()))
}

/// Writes the keys of the generation into falco.yaml, unless they are there; gives the digest of the whole file. What is
/// read anew is what is written over: what its owner has changed in between stays.
///
/// # Errors
/// When falco.yaml cannot be edited without a doubt, or not be replaced; it is then as it was.
pub(super) fn edit(agent: &Agent, host: &Host, record: &Record) -> Result<Digest, PassError> {
    let version = host.version.as_ref();
    let documents = falco::documents(&agent.falco, version)?;
    let keys = keys(agent, &record.composition, record.generation);
    let text = falco_config::with_keys(&documents.sources(version, Some(&agent.include())), &keys)?;
    if text != documents.text {
        falco::adopt(&agent.falco.config_file, &documents.text, &text)?;
        tracing::info!(generation = %record.generation, file = %documents.path, "named in falco.yaml");
    }
    Ok(Digest::of(text.as_bytes()))
}

/// Whether falco.yaml and what it includes are what Falco was given with `generation`: as they were `before`, but for our keys.
pub(super) fn is_as_written(agent: &Agent, before: &Host, now: &Host, generation: GenerationNumber) -> bool {
    let (Some(then), Some(found)) = (&before.documents, &now.documents) else {
        return before.documents == now.documents;
    };
    let include = agent.include();
    let record = now.observed.generations.get(&generation).and_then(|found| found.record.as_ref());
    let written = match record.filter(|_| before.observed.edits()) {
        Some(record) => {
            let sources = then.sources(before.version.as_ref(), Some(&include));
            falco_config::with_keys(&sources, &keys(agent, &record.composition, generation)).ok()
        }
        None => Some(then.text.clone()),
    };
    let others = |documents: &Documents| {
        let all = documents.includes.iter();
        all.filter(|(path, _)| **path != include).map(|(path, entry)| (path.clone(), entry.clone())).collect::<Vec<_>>()
    };
    written.as_ref() == Some(&found.text) && others(then) == others(found)
}

/// The record of what was placed last, wherever somebody has let `current` point since.
///
/// # Errors
/// When the host cannot be looked at.
pub async fn placed(agent: &Agent) -> Result<Option<Record>, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?;
    Ok(observe(agent, &state).await?.observed.placed_record().cloned())
}

/// How falco.yaml is ours, as far as we remember.
///
/// # Errors
/// When the ledger cannot be read.
pub fn attachment(agent: &Agent) -> Result<Attachment, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?;
    Ok(ledger(&state)?.attachment)
}

/// Replaces falco.yaml while no pass is made, and remembers how it is ours. Nothing is written that is there already.
///
/// # Errors
/// When falco.yaml or the state directory cannot be written, or another falconer is at work.
pub fn attach(agent: &Agent, before: &str, after: Option<&str>, attachment: Attachment) -> Result<(), PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?;
    let is_known = ledger(&state)?.attachment == attachment;
    let replace = || match after {
        Some(after) => falco::adopt(&agent.falco.config_file, before, after),
        None => Ok(()),
    };
    // Where there is no state directory there is no pass, and none is made for a note that says nothing.
    if is_known && (after.is_none() || !state.path().exists()) {
        return Ok(replace()?);
    }
    let state = state.lock()?;
    replace()?;
    match is_known {
        true => Ok(()),
        false => keep_ledger(&state, &Ledger { attachment, ..ledger(&state)? }),
    }
}
