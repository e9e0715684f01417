//! Dependencies: what must be loaded beside an artifact.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use semver::Version;

use super::Verdict;
use super::facts::Facts;
use crate::artifact::{Dependency, Requirement};
use crate::lockfile::{LockedArtifact, Lockfile};
use crate::name::ArtifactName;
use crate::version;

/// What will be loaded once the lockfile is applied.
pub(super) struct Plugins<'a> {
    pub(super) lockfile: &'a Lockfile,
    pub(super) facts: &'a Facts,
    pub(super) managed: &'a BTreeSet<ArtifactName>,
}

/// What is known of one name.
enum There {
    /// The lockfile has it, in a version that is `None` when it cannot be read.
    Locked(Option<Version>),
    /// The host's Falco has it.
    Loaded(Version),
    /// It is not there.
    Not,
    /// Nobody tells.
    Unknown,
}

impl Plugins<'_> {
    /// Checks one dependency.
    pub(super) fn check(&self, artifact: &LockedArtifact, dependency: &Dependency) -> Verdict {
        let first = Requirement { name: dependency.name.clone(), version: dependency.version.clone() };
        let all: Vec<Requirement> = core::iter::once(first).chain(dependency.alternatives.iter().cloned()).collect();
        let listed: Vec<String> = all.iter().map(|one| format!("{} {}", one.name, one.version)).collect();
        let mut unknown = false;
        for one in &all {
            let (have, place) = match self.find(&one.name) {
                There::Not => continue,
                There::Unknown => {
                    unknown = true;
                    continue;
                }
                There::Locked(version) => (version, Place::Lockfile),
                There::Loaded(version) => (Some(version), Place::Host),
            };
            return self.verdict(artifact, one, have.as_ref(), &place);
        }
        let requirement = listed.join(" or ");
        if unknown {
            return Verdict::Unknown { requirement };
        }
        Verdict::Unmet {
            fact: match all.len() {
                1 => format!("{} does not load it", self.facts.name()),
                _ => format!("{} loads none of them", self.facts.name()),
            },
            hint: format!("add `{}: {}` to `artifacts`", dependency.name, quoted(&dependency.version)),
            requirement,
        }
    }

    fn find(&self, name: &str) -> There {
        let own = ArtifactName::parse(name).ok();
        if let Some(locked) = own.as_ref().and_then(|name| self.lockfile.artifact(name)) {
            return There::Locked(version::tolerant(&locked.version));
        }
        if own.is_some_and(|name| self.managed.contains(&name)) {
            return There::Not;
        }
        match &self.facts.plugins {
            None => There::Unknown,
            Some(plugins) => plugins.get(name).cloned().map_or(There::Not, There::Loaded),
        }
    }

    fn verdict(&self, artifact: &LockedArtifact, need: &Requirement, have: Option<&Version>, place: &Place) -> Verdict {
        let lowest = version::tolerant(&need.version);
        if have.zip(lowest.as_ref()).is_some_and(|(have, lowest)| version::meets(have, lowest)) {
            return Verdict::Met;
        }
        let have = have.map_or_else(|| "one without a version".to_string(), ToString::to_string);
        let Requirement { name, version } = need;
        let (fact, hint) = match (&lowest, place) {
            (None, _) => (
                "that is no version".to_string(),
                format!("ask for another version of {}, and tell those who publish it", artifact.name),
            ),
            (Some(_), Place::Lockfile) => (
                format!("the lockfile has {have}"),
                format!("ask for {name} {version} or a later one of that major, and run `falconer lock`"),
            ),
            (Some(_), Place::Host) => (
                format!("{} has loaded {have}", self.facts.name()),
                format!(
                    "update that plugin, add `{name}: {}` to `artifacts`, or ask for another {}",
                    quoted(version),
                    artifact.name
                ),
            ),
        };
        Verdict::Unmet { requirement: format!("{name} {version}"), fact, hint }
    }
}

enum Place {
    Lockfile,
    Host,
}

/// A version as an entry of the desired state that takes later ones of the same major.
fn quoted(text: &str) -> String {
    match version::tolerant(text) {
        Some(version) => format!("\">={version}, <{}\"", version.major.saturating_add(1)),
        None => "VERSION".to_string(),
    }
}
