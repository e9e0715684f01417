//! Every state that a crash at one moment may leave.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::disk::{Disk, Held, Inode, Names, Node};
use super::view::{Decided, View};
use crate::live::Tree as _;

/// Up to how many states of one moment are all looked at.
pub const EXHAUSTIVE: usize = 3000;
/// How many are drawn where there are more.
const DRAWN: usize = 200;
/// Up to how many acts in a directory every subset is tried.
const ACTS: usize = 10;

/// What one choice chooses between: the first is that all is lost, the last that all is kept.
enum Choice {
    Names(Inode, Vec<Rc<Names>>),
    Held(Inode, Vec<Held>),
}

impl Choice {
    fn len(&self) -> usize {
        match self {
            Self::Names(_, all) => all.len(),
            Self::Held(_, all) => all.len(),
        }
    }
}

/// Calls `seen` with each state that a crash now may leave and that is not in `known` yet. The same `seed` draws the same
/// sample.
pub fn each(disk: &mut Disk, known: &mut HashSet<u64>, seed: u64, mut seen: impl FnMut(&View<'_>)) {
    let choices = choices(disk);
    let product = choices.iter().try_fold(1_usize, |product, choice| product.checked_mul(choice.len()));
    let open = choices.iter().map(|choice| match choice {
        Choice::Names(inode, _) | Choice::Held(inode, _) => *inode,
    });
    let decided = Decided::of(disk, &open.collect());
    let mut look = |taken: &[usize]| {
        let mut view = view(disk, &choices, taken);
        view.decided = Some(&decided);
        if known.insert(view.key()) {
            seen(&view);
        }
    };
    match product.filter(|product| *product <= EXHAUSTIVE) {
        Some(product) => (0..product).for_each(|number| look(&digits(number, &choices))),
        None => some(&choices, seed).iter().for_each(|taken| look(taken)),
    }
}

fn view<'a>(disk: &'a Disk, choices: &[Choice], taken: &[usize]) -> View<'a> {
    let mut view = View::now(disk);
    for (choice, at) in choices.iter().zip(taken) {
        match choice {
            Choice::Names(inode, all) => drop(view.names.insert(*inode, Rc::clone(&all[*at]))),
            Choice::Held(inode, all) => drop(view.held.insert(*inode, all[*at].clone())),
        }
    }
    view
}

/// What is not decided yet, of all that could have a name.
fn choices(disk: &mut Disk) -> Vec<Choice> {
    let mut found = Vec::new();
    let (mut left, mut met) = (vec![0], BTreeSet::from([0]));
    while let Some(inode) = left.pop() {
        if let Node::Directory { durable, since, now, .. } = &disk.nodes[inode] {
            let named = durable.values().chain(now.values()).copied();
            let named = named.chain(since.iter().flat_map(super::disk::Act::named));
            left.extend(named.filter(|inode| met.insert(*inode)));
        }
    }
    for inode in met {
        match &disk.nodes[inode] {
            Node::Directory { since, .. } if !since.is_empty() => {
                found.push(Choice::Names(inode, names(&disk.nodes[inode])));
            }
            Node::File { since, .. } if !since.is_empty() => found.push(Choice::Held(inode, disk.leavings(inode))),
            _ => {}
        }
    }
    found
}

/// The names that a directory may have after a crash, the first all lost, the last all kept.
fn names(node: &Node) -> Vec<Rc<Names>> {
    let Node::Directory { durable, since, now, .. } = node else { return Vec::new() };
    let with = |kept: &dyn Fn(usize) -> bool| {
        let mut names = durable.clone();
        since.iter().enumerate().filter(|(at, _)| kept(*at)).for_each(|(_, act)| act.apply(&mut names));
        names
    };
    let count = since.len();
    let mut all = Vec::new();
    if count <= ACTS {
        all.extend((0..1_usize << count).map(|set| with(&|at| set >> at & 1 == 1)));
    } else {
        all.extend((0..count).map(|end| with(&|at| at < end)));
        all.extend((0..count).map(|lost| with(&|at| at != lost)));
        all.extend((0..count).map(|kept| with(&|at| at == kept)));
        let mut random = Random(count as u64);
        all.extend((0..100).map(|_| {
            let set: Vec<bool> = (0..count).map(|_| random.next() & 1 == 1).collect();
            with(&|at| set[at])
        }));
    }
    let mut distinct = BTreeSet::from([now.clone()]);
    let mut in_order: Vec<_> = all.into_iter().filter(|names| distinct.insert(names.clone())).map(Rc::new).collect();
    in_order.push(Rc::new(now.clone()));
    in_order
}

fn digits(mut number: usize, choices: &[Choice]) -> Vec<usize> {
    choices
        .iter()
        .map(|choice| {
            let digit = number % choice.len();
            number /= choice.len();
            digit
        })
        .collect()
}

/// Each choice alone, and a sample.
fn some(choices: &[Choice], seed: u64) -> Vec<Vec<usize>> {
    let lost = vec![0; choices.len()];
    let kept: Vec<usize> = choices.iter().map(|choice| choice.len() - 1).collect();
    let mut all = vec![lost.clone(), kept.clone()];
    for (at, choice) in choices.iter().enumerate() {
        for base in [&lost, &kept] {
            all.extend((0..choice.len()).map(|digit| {
                let mut taken = base.clone();
                taken[at] = digit;
                taken
            }));
        }
    }
    let mut random = Random(seed.wrapping_mul(2).wrapping_add(1));
    all.extend((0..DRAWN).map(|_| {
        // Half of them with most things kept, as it is after a while.
        let mostly = random.next() & 1 == 1;
        let draw = |choice: &Choice| match mostly && random.next() & 3 != 0 {
            true => choice.len() - 1,
            false => random.below(choice.len()),
        };
        choices.iter().map(draw).collect()
    }));
    all
}

/// Numbers that look random and are always the same (xorshift64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next one below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap_or_default() % end.max(1)
    }
}

/// What files with lasting names were seen to hold: what a crash may leave of them.
#[derive(Debug, Clone, Default)]
pub struct Versions(BTreeMap<PathBuf, HashSet<u64>>);

impl Versions {
    /// Notes what is at `path` now, or below it.
    pub fn note(&mut self, disk: &Disk, path: &Path) {
        let view = View::now(disk);
        let below = view.files_below(path).into_iter().map(|(below, content)| (path.join(below), content));
        for (path, content) in below.chain(view.file(path).map(|content| (path.to_owned(), content))) {
            self.0.entry(path).or_default().insert(content.key());
        }
    }

    /// Whether the file at `path` ever was seen to hold this.
    #[must_use]
    pub fn has(&self, path: &Path, key: u64) -> bool {
        self.0.get(path).is_some_and(|keys| keys.contains(&key))
    }
}
