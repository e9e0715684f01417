//! What is live on a host, and whether what must hold at every moment holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use falconer_manifests::digest::Digest;
use falconer_manifests::generation::{GenerationNumber, MANIFEST, Record};
use falconer_manifests::ledger::Ledger;

use crate::crash::content::Content;
use crate::host::Host;

/// Files and links below one directory: on a real disk, or in a state of one in memory.
pub trait Tree {
    /// The file at `path`; `None` when there is none. Links are not followed.
    fn file(&self, path: &Path) -> Option<Rc<Content>>;

    /// Where the link at `path` points to; `None` when there is none.
    fn link(&self, path: &Path) -> Option<PathBuf>;

    /// Every file below `path`, by its path from there.
    fn files_below(&self, path: &Path) -> BTreeMap<PathBuf, Rc<Content>>;
}

/// What is on the real disk below a directory.
struct OnDisk(PathBuf);

impl Tree for OnDisk {
    fn file(&self, path: &Path) -> Option<Rc<Content>> {
        std::fs::read(self.0.join(path)).ok().map(|bytes| Rc::new(Content::new(bytes)))
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        std::fs::read_link(self.0.join(path)).ok()
    }

    fn files_below(&self, path: &Path) -> BTreeMap<PathBuf, Rc<Content>> {
        let mut files = BTreeMap::new();
        collect(&self.0.join(path), Path::new(""), &mut files);
        files.into_iter().map(|(path, bytes)| (path, Rc::new(Content::new(bytes)))).collect()
    }
}

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
    let state = OnDisk(host.path("state"));
    unknown_live(&state, Path::new("")).or_else(|| incomplete_live(&state, Path::new("")))
}

/// The number of the generation that `current` names, in the state directory `state` of `tree`; the error is what it
/// names instead. `None` when there is no `current`.
#[must_use]
pub fn live_number(tree: &dyn Tree, state: &Path) -> Option<Result<GenerationNumber, String>> {
    let target = tree.link(&state.join("current"))?;
    let number = target.strip_prefix("generations").ok().and_then(|number| number.to_str()?.parse().ok());
    Some(number.map(GenerationNumber).ok_or_else(|| format!("current names {}", target.display())))
}

/// Why the ledger does not know what `current` names as good or on trial; `None` when it does, or nothing is live.
#[must_use]
pub fn unknown_live(tree: &dyn Tree, state: &Path) -> Option<String> {
    let number = match live_number(tree, state)? {
        Ok(number) => number,
        Err(other) => return Some(other),
    };
    let ledger = tree.file(&state.join("ledger"));
    let Some(ledger) = ledger.as_ref().and_then(|ledger| ledger.ledger()) else {
        return Some("no ledger beside current".into());
    };
    let known = ledger.good == Some(number) || ledger.trial == Some(number);
    (!known).then(|| format!("generation {number} is live, neither good nor on trial"))
}

/// Why what `current` names is not complete; `None` when it is, or nothing is live.
#[must_use]
pub fn incomplete_live(tree: &dyn Tree, state: &Path) -> Option<String> {
    let Ok(number) = live_number(tree, state)? else { return None };
    let ledger = tree.file(&state.join("ledger"))?;
    incomplete(tree, state, ledger.ledger()?, number)
}

/// Why generation `number` is not what `ledger` says, to the last byte; `None` when it is.
#[must_use]
pub fn incomplete(tree: &dyn Tree, state: &Path, ledger: &Ledger, number: GenerationNumber) -> Option<String> {
    let files = tree.files_below(&state.join(format!("generations/{number}")));
    let Some(manifest) = files.get(Path::new(MANIFEST)) else { return Some(format!("{number} has no record")) };
    if ledger.record_digest(number) != Some(manifest.digest()) {
        return Some(format!("the record of {number} is not the one in the ledger"));
    }
    let Some(record) = manifest.record() else { return Some(format!("the record of {number} is no record")) };
    let listed = listed(record);
    let found: BTreeMap<&Path, &Digest> = (files.iter())
        .filter(|(path, _)| path.as_path() != Path::new(MANIFEST))
        .map(|(path, content)| (path.as_path(), content.digest()))
        .collect();
    (listed != found).then(|| format!("generation {number} has {found:?}, not {listed:?}"))
}

fn listed(record: &Record) -> BTreeMap<&Path, &Digest> {
    record.files.iter().map(|file| (Path::new(file.path.as_str()), &file.sha256)).collect()
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
