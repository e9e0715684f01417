//! One state of a disk: what a crash at some moment has left, or what is there now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::content::Content;
use super::disk::{Disk, Held, Inode, Names, Node};
use crate::live::Tree;

/// One state of a disk. What is not in it is as it is now.
#[derive(Debug)]
pub struct View<'a> {
    /// The disk.
    pub disk: &'a Disk,
    /// The names in these directories.
    pub names: BTreeMap<Inode, Rc<Names>>,
    /// What these files hold.
    pub held: BTreeMap<Inode, Held>,
    /// The keys of what is the same in all states of this moment.
    pub decided: Option<&'a Decided>,
}

/// The keys of what is the same in all states of one moment.
#[derive(Debug, Default)]
pub struct Decided(HashMap<Inode, u64>);

impl Decided {
    /// Works them out for `disk`, where `open` says what differs from state to state.
    #[must_use]
    pub fn of(disk: &Disk, open: &BTreeSet<Inode>) -> Self {
        let (mut decided, now) = (Self::default(), View::now(disk));
        let mut undecided = BTreeSet::new();
        decided.visit(&now, 0, open, &mut undecided);
        decided
    }

    /// Whether everything from `inode` on is decided.
    fn visit(&mut self, now: &View<'_>, inode: Inode, open: &BTreeSet<Inode>, met: &mut BTreeSet<Inode>) -> bool {
        if self.0.contains_key(&inode) {
            return true;
        }
        if !met.insert(inode) {
            return false;
        }
        let mut all = !open.contains(&inode);
        let named: Vec<Inode> = match &now.disk.nodes[inode] {
            Node::Directory { durable, since, now, .. } => {
                let since = since.iter().flat_map(super::disk::Act::named);
                durable.values().chain(now.values()).copied().chain(since).collect()
            }
            Node::File { .. } | Node::Link(_) => Vec::new(),
        };
        for inode in named {
            all &= self.visit(now, inode, open, met);
        }
        if all {
            self.0.insert(inode, now.key_of(inode));
        }
        all
    }
}

impl<'a> View<'a> {
    /// What is there now.
    #[must_use]
    pub fn now(disk: &'a Disk) -> Self {
        Self { disk, names: BTreeMap::new(), held: BTreeMap::new(), decided: None }
    }

    /// The names in a directory; `None` when it is none.
    #[must_use]
    pub fn names(&self, inode: Inode) -> Option<&Names> {
        match (&self.disk.nodes[inode], self.names.get(&inode)) {
            (Node::Directory { .. }, Some(names)) => Some(names),
            (Node::Directory { now, .. }, None) => Some(now),
            _ => None,
        }
    }

    /// What a file holds; `None` when it is none.
    #[must_use]
    pub fn held(&self, inode: Inode) -> Option<&Held> {
        self.held.get(&inode).or_else(|| self.disk.held(inode))
    }

    /// A number that only this state has.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key_of(0)
    }

    fn key_of(&self, inode: Inode) -> u64 {
        if let Some(key) = self.decided.and_then(|decided| decided.0.get(&inode)) {
            return *key;
        }
        let mut hasher = DefaultHasher::new();
        match &self.disk.nodes[inode] {
            Node::Link(target) => target.hash(&mut hasher),
            Node::File { .. } => self.held(inode).map(|held| (held.content.0.key(), held.mode)).hash(&mut hasher),
            Node::Directory { .. } => {
                for (name, inode) in self.names(inode).into_iter().flatten() {
                    name.hash(&mut hasher);
                    hasher.write_u64(self.key_of(*inode));
                }
            }
        }
        hasher.finish()
    }

    /// Every file and link, each with what it holds and its mode, or where it points to.
    #[must_use]
    pub fn listing(&self) -> BTreeMap<PathBuf, String> {
        let mut found = BTreeMap::new();
        self.walk(0, Path::new(""), &mut |path, inode| {
            let text = match &self.disk.nodes[inode] {
                Node::Link(target) => format!("-> {}", target.display()),
                Node::Directory { mode, .. } => format!("directory {mode:o}"),
                Node::File { .. } => self
                    .held(inode)
                    .map(|held| format!("{} {:o}", held.content.0.digest(), held.mode))
                    .unwrap_or_default(),
            };
            found.insert(path.to_owned(), text);
        });
        found
    }

    /// Puts this state on the real disk, in the place of what is at these names.
    pub fn materialise(&self, root: &Path, names: &[&str]) {
        for name in names {
            let _not_there = std::fs::remove_dir_all(root.join(name));
        }
        self.walk(0, root, &mut |path, inode| match &self.disk.nodes[inode] {
            Node::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            Node::Directory { mode, .. } => {
                std::fs::create_dir(path).unwrap();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(*mode)).unwrap();
            }
            Node::File { .. } => {
                let held = self.held(inode).unwrap();
                std::fs::write(path, held.content.0.bytes()).unwrap();
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(held.mode)).unwrap();
            }
        });
    }

    fn find(&self, path: &Path) -> Option<Inode> {
        let mut at = 0;
        for part in path.components() {
            let Component::Normal(part) = part else { return None };
            at = *self.names(at)?.get(part)?;
        }
        Some(at)
    }

    fn walk(&self, inode: Inode, path: &Path, seen: &mut impl FnMut(&Path, Inode)) {
        for (name, inode) in self.names(inode).into_iter().flatten() {
            let path = path.join(name);
            seen(&path, *inode);
            self.walk(*inode, &path, seen);
        }
    }
}

impl Tree for View<'_> {
    fn file(&self, path: &Path) -> Option<Rc<Content>> {
        self.held(self.find(path)?).map(|held| Rc::clone(&held.content.0))
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        match &self.disk.nodes[self.find(path)?] {
            Node::Link(target) => Some(target.clone()),
            Node::File { .. } | Node::Directory { .. } => None,
        }
    }

    fn files_below(&self, path: &Path) -> BTreeMap<PathBuf, Rc<Content>> {
        let mut found = BTreeMap::new();
        if let Some(inode) = self.find(path) {
            self.walk(inode, Path::new(""), &mut |path, inode| {
                let content = self.held(inode).map(|held| Rc::clone(&held.content.0));
                content.and_then(|content| found.insert(path.to_owned(), content));
            });
        }
        found
    }
}
