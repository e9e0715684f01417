//! What a person should know of a resolution that went well.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::artifact::known_as;
use crate::artifact::Dependency;
use crate::catalog::Catalog;
use crate::dependencies::{AskedBy, Chosen, Conflict};
use crate::fleet::DesiredState;
use crate::name::{ArtifactName, IndexName};
use crate::reference::Source;

/// What a person should know of a resolution that went well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Two indexes know a name as different artifacts; the later index counts.
    Shadowed {
        /// The name.
        name: ArtifactName,
        /// The index that counts.
        by: IndexName,
        /// What it knows under the name.
        source: Source,
        /// The index that does not.
        index: IndexName,
        /// What that one knows under the name.
        instead_of: Source,
    },
    /// Something that an artifact needs does not come with it.
    LeftToHosts {
        /// The artifact.
        name: ArtifactName,
        /// What it needs, as `name version`, with alternatives after `or`.
        needs: String,
    },
    /// Alternatives come, because what is named first cannot.
    Alternatives {
        /// The alternatives.
        names: Vec<ArtifactName>,
        /// Why, as who needs what.
        why: String,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shadowed { name, by, source, index, instead_of } => {
                write!(f, "{name} is {source}, as index {by} has it, and not {instead_of}, as index {index} has it")
            }
            Self::LeftToHosts { name, needs } => {
                write!(f, "{name} needs {needs}, which is left to the hosts; `dependencies: install` brings it")
            }
            Self::Alternatives { names, why } => {
                let names: Vec<_> = names.iter().map(ArtifactName::as_str).collect();
                write!(f, "{} comes as an alternative, because {why}", names.join(", "))
            }
        }
    }
}

/// What `artifact` needs, left to the hosts.
pub(super) fn left_to_hosts(artifact: &ArtifactName, dependency: &Dependency) -> Note {
    let needs: Vec<String> = dependency.names().map(|(name, version)| alloc::format!("{name} {version}")).collect();
    Note::LeftToHosts { name: artifact.clone(), needs: needs.join(" or ") }
}

/// Those of `order` that came and that are only ever named as alternatives.
pub(super) fn alternatives(order: &[&Chosen], why: &Conflict) -> Option<Note> {
    let is_named = |name: &str| order.iter().flat_map(|chosen| &chosen.dependencies).any(|one| one.name == name);
    let came = order.iter().filter(|chosen| matches!(chosen.asked_by, AskedBy::Dependency(_)));
    let names: Vec<_> =
        came.filter(|chosen| !is_named(chosen.name.as_str())).map(|chosen| chosen.name.clone()).collect();
    (!names.is_empty()).then(|| Note::Alternatives { names, why: why.to_string() })
}

/// Each earlier index that knows `name` as something else than the index that counts.
pub(super) fn shadowed(desired: &DesiredState, name: &ArtifactName, catalog: &Catalog) -> Vec<Note> {
    let mut known: Vec<_> = known_as(desired, name, catalog).collect();
    let Some((by, source)) = known.pop() else { return Vec::new() };
    let others = known.into_iter().filter(|(_, other)| *other != source);
    others
        .map(|(index, instead_of)| Note::Shadowed {
            name: name.clone(),
            by: by.name.clone(),
            source: source.clone(),
            index: index.name.clone(),
            instead_of: instead_of.clone(),
        })
        .collect()
}
