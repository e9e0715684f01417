//! A run under the model: every crash of it, every promise in every state.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use falconer_manifests::revision::Revision;

use super::promises::Before;
use super::recording::Event;
use super::replay::{Effect, Replay, Told};
use super::states::{self, Versions};
use super::view::View;
use crate::live::{Tree, live_number};

/// What a run did, and where it began.
#[derive(Debug)]
pub struct Recorded {
    /// The disk at its beginning.
    pub begin: Replay,
    /// What was done.
    pub events: Vec<Event>,
    /// The state directory, below the host's.
    pub state: &'static str,
    /// The promises that somebody else has broken before.
    pub excused: &'static [&'static str],
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// At how many moments a crash leaves something else than at the one before.
    pub moments: usize,
    /// How many different states crashes leave.
    pub states: usize,
    /// What does not hold, each with a class of fsync or an event near it.
    pub broken: Vec<String>,
    /// The classes of fsync and how often each was made.
    pub syncs: BTreeMap<String, usize>,
}

/// How far to look.
pub struct Look<'a> {
    /// The classes of fsync that are left out.
    pub without: &'a BTreeSet<String>,
    /// Whether to stop at the first promise that does not hold.
    pub until_broken: bool,
    /// Called with each new state, and the number of the moment.
    pub each: &'a mut dyn FnMut(usize, &View<'_>),
}

impl Recorded {
    /// Looks at every state that a crash of the run may leave.
    #[must_use]
    pub fn look(&self, look: Look<'_>) -> Found {
        let mut replay = self.begin.clone();
        let before = Before::of(&View::now(&replay.disk), self.state, self.excused);
        let (mut versions, mut found, mut known) = (Versions::default(), Found::default(), HashSet::new());
        versions.note(&replay.disk, Path::new(""));
        let mut packs = Packs::of(&replay, Path::new(self.state));
        let mut left_out = look.without.is_empty();
        for (at, event) in self.events.iter().enumerate() {
            let effect = replay.step(event, look.without);
            if let Event::Rename { to, .. } | Event::Link { to, .. } = event
                && let Some(to) = replay.disk.relative(to).map(Path::to_owned)
            {
                versions.note(&replay.disk, &to);
                packs.note(&replay, &to);
            }
            match effect {
                Effect::None => continue,
                Effect::Sync(class) => {
                    left_out = left_out || look.without.contains(&class);
                    *found.syncs.entry(class).or_default() += 1;
                    // Fewer states than before, none of them new.
                    continue;
                }
                Effect::Told(_) | Effect::Change if !left_out => continue,
                Effect::Told(who) => found.broken.extend(self.told(&mut replay, &who)),
                Effect::Change => {
                    let states = known.len();
                    states::each(&mut replay.disk, &mut known, at as u64, |view| {
                        found.broken.extend(before.broken(view, Some(&versions)));
                        found.broken.extend(packs.lost(view));
                        (look.each)(at, view);
                    });
                    found.moments += usize::from(known.len() > states);
                }
            }
            if look.until_broken && !found.broken.is_empty() {
                break;
            }
        }
        found.states = known.len();
        let outside = replay.outside().iter().map(|path| format!("I6 {} was written", path.display()));
        found.broken.extend(outside);
        found.broken.sort();
        found.broken.dedup();
        found
    }

    /// What is on the disk after the run, as the model has it.
    #[must_use]
    pub fn end(&self) -> Replay {
        let mut replay = self.begin.clone();
        for event in &self.events {
            let _effect = replay.step(event, &BTreeSet::new());
        }
        replay
    }

    /// What a crash might still undo of what somebody outside is just told.
    fn told(&self, replay: &mut Replay, who: &Told) -> Option<String> {
        let state = Path::new(self.state);
        let good = |view: &View<'_>| {
            let ledger = view.file(&state.join("ledger"))?;
            ledger.ledger()?.good
        };
        let now = View::now(&replay.disk);
        let attachment = |view: &View<'_>| Some(view.file(&state.join("ledger"))?.ledger()?.attachment);
        let key = |view: &View<'_>, path: &Path| view.file(path).map(|file| file.key());
        let falco_yaml = |view: &View<'_>| key(view, Path::new("etc/falco.yaml"));
        let said = |view: &View<'_>| (key(view, &state.join("suspension")), attachment(view));
        let reporting = |view: &View<'_>| key(view, &state.join("reporting"));
        let (live_now, good_now, falco_now) = (live_number(&now, state), good(&now), falco_yaml(&now));
        let (said_now, reporting_now) = (said(&now), reporting(&now));
        let mut broken = None;
        states::each(&mut replay.disk, &mut HashSet::new(), 1, |view| match who {
            Told::Falco if live_number(view, state) != live_now => {
                broken = Some("I8 Falco is told to load what a crash may take back".to_owned());
            }
            Told::Falco if falco_yaml(view) != falco_now => {
                broken = Some("I8 Falco is told to load what a crash may take back".to_owned());
            }
            Told::Reports if good(view) != good_now => {
                broken = Some("I9 a generation is reported good and a crash may take that back".to_owned());
            }
            Told::Reports if reporting(view) != reporting_now => {
                broken = Some("I9 a report is sent and a crash may take back that it was".to_owned());
            }
            Told::Operator if said(view) != said_now => {
                broken =
                    Some("I9 what somebody on the host has said is answered and a crash may take it back".to_owned());
            }
            Told::Operator if (live_number(view, state), good(view)) != (live_now.clone(), good_now) => {
                broken = Some("I9 an answer tells what a crash may take back".to_owned());
            }
            Told::Operator if falco_yaml(view) != falco_now => {
                broken = Some("I9 an adoption is answered and a crash may take it back".to_owned());
            }
            Told::Falco | Told::Operator | Told::Reports => {}
        });
        broken
    }
}

/// The packs of Git that were there when a revision was written into the ledger. A repository that is made in the run is
/// left out: it is not kept until the disk gets to it, and filled again where it is not.
struct Packs {
    state: PathBuf,
    is_made: bool,
    of: BTreeMap<Revision, BTreeSet<PathBuf>>,
}

impl Packs {
    fn of(replay: &Replay, state: &Path) -> Self {
        let is_made = replay.disk.find(&state.join("repository.git")).is_none();
        let mut packs = Self { state: state.to_owned(), is_made, of: BTreeMap::new() };
        packs.note(replay, &state.join("ledger"));
        packs
    }

    fn there(&self, view: &View<'_>) -> BTreeSet<PathBuf> {
        let names = view.files_below(&self.state.join("repository.git/objects/pack")).into_keys();
        names.filter(|name| !name.to_string_lossy().contains("_git2_")).collect()
    }

    fn revision(&self, view: &View<'_>) -> Option<Revision> {
        let ledger = view.file(&self.state.join("ledger"))?;
        ledger.ledger()?.revision.clone()
    }

    fn note(&mut self, replay: &Replay, path: &Path) {
        let view = View::now(&replay.disk);
        if path == self.state.join("ledger")
            && let Some(revision) = self.revision(&view)
        {
            let there = self.there(&view);
            self.of.entry(revision).or_insert(there);
        }
    }

    fn lost(&self, view: &View<'_>) -> Option<String> {
        if self.is_made {
            return None;
        }
        let lost = self.of.get(&self.revision(view)?)?.is_subset(&self.there(view));
        (!lost).then(|| "I5 what was fetched for the accepted revision is there: a pack is gone".to_owned())
    }
}
