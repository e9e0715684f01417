//! An independent look at a plan: which promise it would break. It knows nothing of how plans are made.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Plan, Step};
use crate::composition::{Composition, Origin};
use crate::digest::Digest;
use crate::drift::{is_intact, plugin_is_intact};
use crate::generation::{Bytes, Draft, GenerationNumber, Record};
use crate::name::RelativePath;
use crate::observed::{Inclusion, Observed};

/// A promise that a plan would break, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("step {} ({step}) breaks a promise: {promise}", number + 1)]
pub struct Breach {
    /// The place of the step in the plan, from 0.
    pub number: usize,
    /// What the step is called.
    pub step: &'static str,
    /// What it must not do.
    pub promise: String,
}

/// Every promise that the plan would break on a host that is as `observed` says; none for a plan that may be carried out.
#[must_use]
pub fn breaches(plan: &Plan, observed: &Observed) -> Vec<Breach> {
    let mut look = Look {
        observed,
        blobs: observed.blobs.clone(),
        placed: BTreeSet::new(),
        staged: None,
        validated: None,
        active: None,
        asked: false,
        confirmed: false,
        last_rank: 0,
        found: Vec::new(),
    };
    for (number, step) in plan.steps.iter().enumerate() {
        look.step(number, step);
    }
    if (look.active.is_some() || look.asked) && !look.confirmed {
        look.found.push(Breach {
            number: plan.steps.len(),
            step: "end",
            promise: "what becomes live is confirmed".to_string(),
        });
    }
    look.found
}

/// What the steps so far have made of the host.
struct Look<'a> {
    observed: &'a Observed,
    blobs: BTreeSet<Digest>,
    placed: BTreeSet<RelativePath>,
    staged: Option<&'a Draft>,
    validated: Option<GenerationNumber>,
    active: Option<GenerationNumber>,
    asked: bool,
    confirmed: bool,
    last_rank: u8,
    found: Vec<Breach>,
}

impl<'a> Look<'a> {
    fn step(&mut self, number: usize, step: &'a Step) {
        let (rank, name) = rank(step);
        let mut broken = Vec::new();
        if rank < self.last_rank {
            broken.push(
                "steps come in the order fetch, place, stage, validate, activate, ask, confirm, prune".to_string(),
            );
        }
        self.last_rank = rank;
        match step {
            Step::Fetch(fetch) => drop(self.blobs.insert(fetch.layer.clone())),
            Step::Copy(copy) => drop(self.blobs.insert(copy.sha256.clone())),
            Step::Place(plugin) => {
                broken.extend(self.needs_blob(&plugin.layer));
                if plugin_is_intact(self.observed, plugin) {
                    broken.push("a library that is as it must be is not written again".to_string());
                }
                self.placed.insert(plugin.directory.clone());
            }
            Step::Stage(draft) => self.stage(draft, &mut broken),
            Step::Validate { generation } => {
                if self.record(*generation).is_none() {
                    broken.push(format!("generation {generation} is complete before it is validated"));
                }
                self.validated = Some(*generation);
            }
            Step::Activate { generation, record } => self.activate(*generation, record, &mut broken),
            Step::Reload { pid, started } => {
                self.ask(*pid, *started, &mut broken);
                if !self.observed.falco.reloads {
                    broken.push("SIGHUP is not sent to a Falco that does nothing with it".to_string());
                }
            }
            Step::Restart { by, pid, started, .. } => {
                self.ask(*pid, *started, &mut broken);
                if self.observed.falco.restart.as_ref() != Some(by) {
                    broken.push("Falco is restarted only as its operator allows".to_string());
                }
            }
            Step::Confirm(confirm) => {
                if self.live() != Some(confirm.generation) {
                    broken.push("what is confirmed is what is live".to_string());
                }
                if self.confirmed {
                    broken.push("one change is confirmed once".to_string());
                }
                self.confirmed = true;
            }
            Step::Prune { generations, plugins, blobs, strays } => {
                self.prune(generations, plugins, blobs, &mut broken);
                self.remove(strays, &mut broken);
            }
        }
        self.found.extend(broken.into_iter().map(|promise| Breach { number, step: name, promise }));
    }

    fn stage(&mut self, draft: &'a Draft, broken: &mut Vec<String>) {
        let number = draft.record.generation;
        let newest = self.observed.generations.keys().next_back().copied().unwrap_or_default();
        if number <= newest || number <= self.observed.ledger.highest {
            broken.push(format!("generation {number} is written once: no number is used again"));
        }
        for staged in &draft.files {
            match &staged.bytes {
                Bytes::Text(text) if Digest::of(text.as_bytes()) != staged.file.sha256 => {
                    broken.push(format!("{} has the digest that its record says", staged.file.path));
                }
                Bytes::Text(_) => {}
                Bytes::Blob => broken.extend(self.needs_blob(&staged.file.sha256)),
                Bytes::Archive { layer, .. } => broken.extend(self.needs_blob(layer)),
            }
        }
        self.staged = Some(draft);
    }

    fn activate(&mut self, generation: GenerationNumber, digest: &Digest, broken: &mut Vec<String>) {
        let known = match self.staged.filter(|draft| draft.record.generation == generation) {
            Some(draft) => draft.digest() == *digest,
            None => {
                is_intact(self.observed, generation) && self.observed.ledger.record_digest(generation) == Some(digest)
            }
        };
        if !known {
            broken.push(format!("generation {generation} is complete, durable and verified before it is live"));
        }
        if self.observed.ledger.good != Some(generation) && self.validated != Some(generation) {
            broken.push(format!("generation {generation} is validated before it is live"));
        }
        let plugins = self.record(generation).into_iter().flat_map(|record| &record.composition.plugins);
        for plugin in plugins.filter(|plugin| !plugin_is_intact(self.observed, plugin)) {
            if !self.placed.contains(&plugin.directory) {
                broken.push(format!("plugin {} is on disk before what needs it is live", plugin.name));
            }
        }
        if self.active.is_some() {
            broken.push("one change has one commit point".to_string());
        }
        self.active = Some(generation);
    }

    fn ask(&mut self, pid: u32, started: u64, broken: &mut Vec<String>) {
        let falco = &self.observed.falco;
        if falco.running.as_ref().is_none_or(|running| (running.pid, running.started) != (pid, started)) {
            broken.push("only the Falco that was found is asked".to_string());
        }
        if falco.inclusion != Some(Inclusion::Included) {
            broken.push("a Falco that does not include us has nothing to load".to_string());
        }
        if self.asked {
            broken.push("one change is one reload or one restart".to_string());
        }
        if self.live().is_none_or(|generation| self.active != Some(generation) && !is_intact(self.observed, generation))
        {
            broken.push("Falco is asked after a complete generation is durably live".to_string());
        }
        self.asked = true;
    }

    fn prune(
        &self,
        generations: &[GenerationNumber],
        plugins: &[RelativePath],
        blobs: &[Digest],
        broken: &mut Vec<String>,
    ) {
        let is_empty = generations.is_empty() && plugins.is_empty() && blobs.is_empty();
        if !is_empty && !self.confirmed {
            broken.push("nothing is removed before what replaces it is confirmed".to_string());
        }
        let current = self.observed.live().map(|(number, _)| number);
        let kept: BTreeSet<_> = [self.live(), current, self.observed.ledger.good].into_iter().flatten().collect();
        for number in generations {
            if kept.contains(number) {
                broken.push(format!("generation {number} is live or good, and stays"));
            }
            if !self.observed.generations.contains_key(number) {
                broken.push(format!("generation {number} was not found, and is not ours to remove"));
            }
        }
        for record in kept.iter().filter_map(|number| self.record(*number)) {
            let composition = &record.composition;
            for plugin in composition.plugins.iter().filter(|plugin| plugins.contains(&plugin.directory)) {
                broken.push(format!("plugin {} is needed by generation {}", plugin.name, record.generation));
            }
            let needed = needed_blobs(composition);
            for blob in blobs.iter().filter(|blob| needed.contains(blob)) {
                broken.push(format!("blob {} is needed by generation {}", blob.short(), record.generation));
            }
        }
        if plugins.iter().any(|directory| !self.observed.plugins.contains_key(directory)) {
            broken.push("a directory of plugins that was not found is not ours to remove".to_string());
        }
    }

    fn remove(&self, strays: &[RelativePath], broken: &mut Vec<String>) {
        let live = self.live().map(|generation| generation.directory().to_string());
        for path in strays {
            if !self.observed.strays.contains_key(path) {
                broken.push(format!("{path} was not found, and is not ours to remove"));
            }
            if live.as_deref() == Some(path.as_str()) {
                broken.push(format!("{path} is live, and stays"));
            }
        }
    }

    fn needs_blob(&self, digest: &Digest) -> Option<String> {
        (!self.blobs.contains(digest)).then(|| format!("blob {} is in the store before it is needed", digest.short()))
    }

    /// The generation that is live after the steps so far.
    fn live(&self) -> Option<GenerationNumber> {
        self.active.or_else(|| self.observed.live().map(|(number, _)| number))
    }

    fn record(&self, generation: GenerationNumber) -> Option<&'a Record> {
        let staged = self.staged.map(|draft| &draft.record).filter(|record| record.generation == generation);
        staged.or_else(|| self.observed.generations.get(&generation)?.record.as_ref())
    }
}

fn needed_blobs(composition: &Composition) -> BTreeSet<&Digest> {
    let files = composition.files().map(|placed| match &placed.origin {
        Origin::Artifact { layer, .. } => layer,
        Origin::Repository { .. } => &placed.sha256,
    });
    files.chain(composition.plugins.iter().map(|plugin| &plugin.layer)).collect()
}

const fn rank(step: &Step) -> (u8, &'static str) {
    match step {
        Step::Fetch(_) => (1, "fetch"),
        Step::Copy(_) => (1, "copy"),
        Step::Place(_) => (2, "place"),
        Step::Stage(_) => (3, "stage"),
        Step::Validate { .. } => (4, "validate"),
        Step::Activate { .. } => (5, "activate"),
        Step::Reload { .. } => (6, "reload"),
        Step::Restart { .. } => (6, "restart"),
        Step::Confirm(_) => (7, "confirm"),
        Step::Prune { .. } => (8, "prune"),
    }
}
