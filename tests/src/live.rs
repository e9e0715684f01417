//! What is live on a host, and whether what must hold at every moment holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use falconer_manifests::digest::Digest;
use falconer_manifests::generation::{GenerationNumber, MANIFEST, Record};
use falconer_manifests::ledger::Ledger;

use crate::host::Host;

/// What `current` names, to the last byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The link's target.
    pub target: PathBuf,
    /// Every file below it.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Live {
    /// What is live on `host`; `None` when there is no `current`.
    #[must_use]
    pub fn on(host: &Host) -> Option<Self> {
        let target = std::fs::read_link(host.path("state/current")).ok()?;
        let mut files = BTreeMap::new();
        collect(&host.path("state").join(&target), Path::new(""), &mut files);
        Some(Self { target, files })
    }

    /// The content of the rules file whose name ends in `name`.
    #[must_use]
    pub fn rules(&self, name: &str) -> String {
        let found = self.files.iter().find(|(path, _)| path.to_string_lossy().ends_with(name));
        found.map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }
}

/// What does not hold on `host` although it must at every moment: `current`, where there is one, names a complete
/// generation whose record the ledger knows as good or on trial. `None` when all holds.
#[must_use]
pub fn broken_promise(host: &Host) -> Option<String> {
    let live = Live::on(host)?;
    let number = live.target.strip_prefix("generations").ok().and_then(|number| number.to_str()?.parse().ok());
    let Some(number) = number.map(GenerationNumber) else { return Some(format!("current names {:?}", live.target)) };
    let ledger = match std::fs::read_to_string(host.path("state/ledger")).map(|text| Ledger::parse(&text)) {
        Ok(Ok(ledger)) => ledger,
        other => return Some(format!("no ledger beside current: {other:?}")),
    };
    if ledger.good != Some(number) && ledger.trial != Some(number) {
        return Some(format!("generation {number} is live, neither good nor on trial: {ledger:?}"));
    }
    let Some(manifest) = live.files.get(Path::new(MANIFEST)) else { return Some(format!("{number} has no record")) };
    if ledger.record_digest(number) != Some(&Digest::of(manifest)) {
        return Some(format!("the record of {number} is not the one in the ledger"));
    }
    let record: Record = match serde_json::from_slice(manifest) {
        Ok(record) => record,
        Err(error) => return Some(format!("the record of {number} is no record: {error}")),
    };
    let listed = record.files.iter().map(|file| (PathBuf::from(file.path.as_str()), file.sha256.clone()));
    let listed: BTreeMap<PathBuf, Digest> = listed.collect();
    let found: BTreeMap<PathBuf, Digest> = (live.files.iter())
        .filter(|(path, _)| path.as_path() != Path::new(MANIFEST))
        .map(|(path, bytes)| (path.clone(), Digest::of(bytes)))
        .collect();
    let same = listed == found;
    (!same).then(|| format!("generation {number} has {found:?}, not {listed:?}"))
}

fn collect(directory: &Path, relative: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.map(Result::unwrap) {
        let path = relative.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), &path, files);
        } else {
            files.insert(path, std::fs::read(entry.path()).unwrap_or_default());
        }
    }
}
