//! What must hold in every state that a crash may leave.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use falconer_manifests::composition::Origin;
use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::ledger::Ledger;

use super::states::Versions;
use super::view::View;
use crate::live::{Tree, incomplete, incomplete_live, live_number, unknown_live};

/// What `eject` leaves beside falco.yaml.
const EJECTED: &str = "falconer-ejected";

/// What was there before the run, and is excused where it was damaged already.
#[derive(Debug)]
pub struct Before {
    state: PathBuf,
    excused: Vec<String>,
    by_story: &'static [&'static str],
    etc: BTreeMap<PathBuf, u64>,
}

impl Before {
    /// What `view` shows, with the state directory at `state`. Promises whose names begin with one of `by_story` are not
    /// looked at: somebody else has broken them.
    #[must_use]
    pub fn of(view: &View<'_>, state: &str, by_story: &'static [&'static str]) -> Self {
        let etc = view.files_below(Path::new("etc")).into_iter().map(|(path, content)| (path, content.key())).collect();
        let mut before = Self { state: state.into(), excused: Vec::new(), by_story, etc };
        before.excused = before.broken(view, None);
        before
    }

    /// Every promise that does not hold in this state, in words. `versions` are what files with lasting names were seen to
    /// hold.
    #[must_use]
    pub fn broken(&self, view: &View<'_>, versions: Option<&Versions>) -> Vec<String> {
        let state = self.state.as_path();
        let ledger_file = view.file(&state.join("ledger"));
        let ledger = ledger_file.as_ref().and_then(|file| file.ledger());
        let mut broken = Vec::new();
        let mut say = |promise: &str, problem: Option<String>| {
            broken.extend(problem.map(|problem| format!("{promise}: {problem}")));
        };
        say("I1 what is live is complete", incomplete_live(view, state));
        say("I1 what Falco would load is there", unloadable(view, state));
        say("I1 what falco.yaml names is complete", ledger.and_then(|ledger| incomplete_named(view, state, ledger)));
        say("I1 what falco.yaml loads without us is there", incomplete_ejected(view));
        say("I2 the good generation is complete", ledger.and_then(|ledger| incomplete_good(view, state, ledger)));
        say(
            "I2 the good generation can be built again",
            ledger.and_then(|ledger| not_rebuildable(view, state, ledger)),
        );
        let half = ledger.map(|ledger| half_generations(view, state, ledger)).unwrap_or_default();
        half.into_iter().for_each(|half| say("I2 a generation to go back to is complete", Some(half)));
        say("I3 what is live is good or on trial", unknown_live(view, state));
        say("I6 what is not ours is as it was", self.touched(view));
        wrong_blobs(view, state).into_iter().for_each(|blob| say("I4 a blob is what its name says", Some(blob)));
        if let Some(versions) = versions {
            say("W a file is an old one or a new one", torn(view, state, versions));
        }
        let by_story = |problem: &String| self.by_story.iter().any(|start| problem.starts_with(start));
        broken.retain(|problem| !self.excused.contains(problem) && !by_story(problem));
        broken
    }

    /// A file beside our own that is gone, new or another one. falco.yaml is the one that we may edit.
    fn touched(&self, view: &View<'_>) -> Option<String> {
        let found = view.files_below(Path::new("etc"));
        let ours =
            |path: &Path| path == Path::new("falco.yaml") || path.starts_with(EJECTED) || path.iter().any(is_temporary);
        let changed = found.iter().find(|(path, file)| !ours(path) && self.etc.get(*path) != Some(&file.key()));
        let gone = self.etc.keys().find(|path| !found.contains_key(*path));
        changed.map(|(path, _)| path).or(gone).map(|path| format!("{} changed", path.display()))
    }
}

/// A generation that falco.yaml itself names, in edit mode, and that is not complete.
fn incomplete_named(view: &View<'_>, state: &Path, ledger: &Ledger) -> Option<String> {
    let falco_yaml = view.file(Path::new("etc/falco.yaml"))?;
    let text = std::str::from_utf8(falco_yaml.bytes()).ok()?;
    let mut named = text.split("/generations/").skip(1).filter_map(|rest| rest.split('/').next()?.parse().ok());
    named.find_map(|number| incomplete(view, state, ledger, GenerationNumber(number)))
}

/// A file that `eject` has left and that is not there, where falco.yaml leads to it.
fn incomplete_ejected(view: &View<'_>) -> Option<String> {
    let directory = Path::new("etc").join(EJECTED);
    let text = |path: &Path| Some(String::from_utf8_lossy(view.file(path)?.bytes()).into_owned());
    let mark = format!("/{EJECTED}/");
    let named = |text: &str| -> Vec<PathBuf> {
        let rests = text.split(&mark).skip(1);
        rests.map(|rest| rest.split(['"', '\'', '\n', ',']).next().unwrap_or_default().into()).collect()
    };
    let first = named(&text(Path::new("etc/falco.yaml"))?);
    let further = first.iter().filter_map(|path| text(&directory.join(path))).flat_map(|text| named(&text));
    let missing = first.iter().cloned().chain(further).find(|path| view.file(&directory.join(path)).is_none());
    missing.map(|path| format!("{} is not there", path.display()))
}

fn incomplete_good(view: &View<'_>, state: &Path, ledger: &Ledger) -> Option<String> {
    incomplete(view, state, ledger, ledger.good?)
}

/// What is missing of a generation that has a known record.
fn half_generations(view: &View<'_>, state: &Path, ledger: &Ledger) -> Vec<String> {
    let known = ledger.records.iter().filter(|known| {
        let record = view.file(&state.join(format!("generations/{}/MANIFEST", known.generation)));
        record.is_some_and(|record| *record.digest() == known.digest)
    });
    known.filter_map(|known| incomplete(view, state, ledger, known.generation)).collect()
}

/// A plugin that the live include names and that is not there whole, or a rules file that is not there at all.
fn unloadable(view: &View<'_>, state: &Path) -> Option<String> {
    let Ok(number) = live_number(view, state)? else { return None };
    let generation = state.join(format!("generations/{number}"));
    let record_file = view.file(&generation.join("MANIFEST"))?;
    let record = record_file.record()?;
    for plugin in &record.composition.plugins {
        let directory = state.join(plugin.directory.as_str());
        for file in &plugin.files {
            let found = view.file(&directory.join(file.path.as_str()));
            if found.as_ref().map(|found| found.digest()) != Some(&file.sha256) {
                return Some(format!("{} of {} is missing or torn", file.path, plugin.directory));
            }
        }
    }
    None
}

/// A blob that is missing of those that the good generation is made of.
fn not_rebuildable(view: &View<'_>, state: &Path, ledger: &Ledger) -> Option<String> {
    let good: GenerationNumber = ledger.good?;
    let record_file = view.file(&state.join(format!("generations/{good}/MANIFEST")))?;
    let record = record_file.record()?;
    let files = record.composition.files().map(|file| match &file.origin {
        Origin::Artifact { layer, .. } => layer,
        Origin::Repository { .. } => &file.sha256,
    });
    let mut blobs = files.chain(record.composition.plugins.iter().map(|plugin| &plugin.layer));
    let missing = blobs.find(|blob| view.file(&state.join("store/blobs/sha256").join(blob.hex())).is_none());
    missing.map(|blob| format!("the blob {blob} of generation {good} is gone"))
}

fn wrong_blobs(view: &View<'_>, state: &Path) -> Vec<String> {
    let blobs = view.files_below(&state.join("store/blobs/sha256"));
    let named = blobs.iter().filter(|(name, _)| !name.to_string_lossy().starts_with('.'));
    let wrong = named.filter(|(name, content)| name.to_str() != Some(content.digest().hex()));
    wrong.map(|(name, _)| name.display().to_string()).collect()
}

/// A file whose name lasts and that never was what it is: not the old one, not the new one, not one of those between.
fn torn(view: &View<'_>, state: &Path, versions: &Versions) -> Option<String> {
    let all = view.files_below(Path::new(""));
    let torn = all.iter().find(|(path, content)| lasts(path, state) && !versions.has(path, content.key()));
    torn.map(|(path, _)| super::replay::class(path))
}

/// Whether a path is one that others read: not temporary, and not of what libgit2 keeps beside its packs.
fn lasts(path: &Path, state: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let below = path.strip_prefix(state).unwrap_or(Path::new(""));
    let is_temporary = below.components().any(|part| part.as_os_str().to_string_lossy().ends_with(".tmp"));
    let is_pack = below.starts_with("repository.git/objects/pack") && !name.contains("_git2_");
    let is_work = below.starts_with("tmp") || (below.starts_with("repository.git") && !is_pack);
    !is_temporary && !is_work && !path.iter().any(self::is_temporary) && name != "lock"
}

/// Whether this is a name beside falco.yaml that is ours until it is renamed.
fn is_temporary(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') && name.ends_with(".falconer")
}
