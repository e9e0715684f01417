//! From what was typed to where it is.

use std::collections::BTreeMap;
use std::path::Path;

use falconer_manifests::finding::Location;
use falconer_manifests::fleet::{self, DEFAULT_INDEX, IndexEntry as IndexPlace};
use falconer_manifests::index::IndexEntry;
use falconer_manifests::name::{ArtifactName, IndexName};
use falconer_manifests::reference::{Reference, Written};
use falconer_manifests::remedy::Remedy;

use super::arguments::{Indexes, Place};
use super::malformed;
use crate::cli::Failure;
use crate::cli::arguments::Arguments;
use crate::cli::lock::settings_for_lock;
use crate::pass::{PassError, Sources};
use crate::registry::Repository;
use crate::settings::Settings;
use crate::transfer;

/// An artifact that was asked for.
#[derive(Debug)]
pub(super) struct Located {
    /// As it was typed.
    pub(super) typed: String,
    /// Where it is.
    pub(super) reference: Reference,
}

/// What the indexes know together: of two that know a name the later one counts.
#[derive(Debug)]
pub(in crate::cli) struct Known {
    /// The entries that count, and the index that each is from.
    pub(in crate::cli) entries: BTreeMap<ArtifactName, (IndexName, IndexEntry)>,
    /// The entries that do not, each with the index that it is from and the one that counts.
    pub(in crate::cli) shadowed: Vec<(ArtifactName, IndexName, IndexName)>,
}

/// Where the artifacts are that were typed, and what can reach them.
pub(super) async fn locate(
    arguments: &Arguments,
    place: &Place,
    typed: &[String],
) -> Result<(Sources, Vec<Located>), Failure> {
    let written = typed.iter().map(|text| Written::parse(text).map_err(malformed));
    let written = written.collect::<Result<Vec<_>, _>>()?;
    let named = written.iter().any(|written| matches!(written, Written::Name { .. }));
    let known = if named { Some(known(arguments, &place.indexes).await?) } else { None };
    let mut located = Vec::new();
    for (typed, written) in typed.iter().zip(written) {
        let reference = match written {
            Written::Full(reference) => reference,
            Written::Name { name, tag, digest } => {
                let entry = known.as_ref().and_then(|known| known.entries.get(&name));
                let (_, entry) = entry.ok_or_else(|| unknown(&name))?;
                Reference { source: entry.source.clone(), tag, digest }
            }
        };
        located.push(Located { typed: typed.clone(), reference });
    }
    let references = located.iter().map(|located| &located.reference);
    let sources = sources(arguments, references.filter(|_| place.plain_http))?;
    Ok((sources, located))
}

/// What can reach artifacts from here: layouts are relative to the current directory, and the registries of
/// `plain_http` are spoken to without TLS.
pub(in crate::cli) fn sources<'r>(
    arguments: &Arguments,
    plain_http: impl Iterator<Item = &'r Reference>,
) -> Result<Sources, PassError> {
    let mut settings: Settings = settings_for_lock(arguments)?;
    for repository in plain_http.filter_map(|reference| Repository::of(&reference.source)) {
        settings.registries.entry(repository.registry).or_default().plain_http = true;
    }
    Sources::new(&settings, transfer::client()?, Path::new("."))
}

/// The indexes of the fleet.yaml that was named, else the official one.
pub(in crate::cli) fn indexes(indexes: &Indexes) -> Result<Vec<IndexPlace>, Failure> {
    let Some(directory) = &indexes.fleet else {
        let (name, url) = DEFAULT_INDEX;
        let at = Location { file: fleet::FILE_NAME.to_string(), line: 0, column: 0 };
        let name = IndexName::parse(name).map_err(malformed)?;
        return Ok(vec![IndexPlace { name, url: url.to_string(), at }]);
    };
    let file = directory.join(fleet::FILE_NAME);
    let text = fs_err::read_to_string(&file).map_err(|error| {
        let hint = "name the directory that holds fleet.yaml".to_string();
        Failure::of(error, Remedy::Operator, Some(hint))
    })?;
    Ok(fleet::parse(&file.display().to_string(), &text).map_err(PassError::from)?.indexes)
}

/// Fetches the indexes and puts them together.
pub(in crate::cli) async fn known(arguments: &Arguments, places: &Indexes) -> Result<Known, Failure> {
    let sources = sources(arguments, std::iter::empty())?;
    let mut known = Known { entries: BTreeMap::new(), shadowed: Vec::new() };
    for place in indexes(places)? {
        let (_, index) = sources.index(&place.url).await?;
        for entry in index.entries() {
            let before = known.entries.insert(entry.name.clone(), (place.name.clone(), entry.clone()));
            if let Some((old, _)) = before {
                known.shadowed.push((entry.name.clone(), old, place.name.clone()));
            }
        }
    }
    Ok(known)
}

fn unknown(name: &ArtifactName) -> Failure {
    let hint = format!(
        "`falconer artifact search {name}` finds names that are like it; --fleet DIR takes the indexes of a fleet.yaml"
    );
    Failure::of(format!("no index knows the artifact `{name}`"), Remedy::Operator, Some(hint))
}
