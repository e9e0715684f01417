//! The disk: what every file and directory holds now, and what of it is surely kept.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::content::{Content, Contents};

/// The number of a file, directory or link.
pub type Inode = usize;

/// The names in a directory.
pub type Names = BTreeMap<OsString, Inode>;

/// The content of a file, and who may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The content's key, to compare.
    key: u64,
    /// The content.
    pub content: Shared,
    /// The permission bits.
    pub mode: u32,
}

/// A content that is shared; equal by its key.
#[derive(Debug, Clone)]
pub struct Shared(pub Rc<Content>);

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for Shared {}

impl Held {
    fn new(content: Rc<Content>, mode: u32) -> Self {
        Self { key: content.key(), content: Shared(content), mode }
    }
}

/// A change of the names in a directory that stays or is lost as one.
#[derive(Debug, Clone)]
pub struct Act(Vec<(OsString, Option<Inode>)>);

impl Act {
    /// Makes the change.
    pub fn apply(&self, names: &mut Names) {
        for (name, inode) in &self.0 {
            match inode {
                Some(inode) => names.insert(name.clone(), *inode),
                None => names.remove(name),
            };
        }
    }

    /// What gets a name by it.
    pub fn named(&self) -> impl Iterator<Item = Inode> {
        self.0.iter().filter_map(|(_, inode)| *inode)
    }
}

/// A file, directory or link.
#[derive(Debug, Clone)]
pub enum Node {
    /// A file.
    File {
        /// What it held at its last fsync.
        durable: Held,
        /// What it held after each write since; the last is what it holds now.
        since: Vec<Held>,
        /// Whether an fsync has failed.
        lost: bool,
    },
    /// A directory.
    Directory {
        /// Its names at its last fsync.
        durable: Names,
        /// What was done since.
        since: Vec<Act>,
        /// Its names now.
        now: Names,
        /// Its permission bits.
        mode: u32,
    },
    /// A symbolic link, whose target comes with its name.
    Link(PathBuf),
}

/// The disk.
#[derive(Debug, Clone)]
pub struct Disk {
    /// Everything on it; the first is the root.
    pub nodes: Vec<Node>,
    root: PathBuf,
    contents: Contents,
}

impl Disk {
    /// What is on the real disk at these names below `root`, all of it surely kept.
    #[must_use]
    pub fn load(root: &Path, names: &[&str]) -> Self {
        let mut disk = Self { nodes: Vec::new(), root: root.to_owned(), contents: Contents::default() };
        disk.directory(Names::new(), 0o755);
        for name in names.iter().filter(|name| root.join(name).symlink_metadata().is_ok()) {
            let inode = disk.load_at(&root.join(name));
            let Node::Directory { durable, now, .. } = &mut disk.nodes[0] else { unreachable!() };
            durable.insert(name.into(), inode);
            now.insert(name.into(), inode);
        }
        disk
    }

    fn load_at(&mut self, path: &Path) -> Inode {
        let data = path.symlink_metadata().unwrap();
        let mode = data.permissions().mode() & 0o7777;
        if data.is_symlink() {
            return self.add(Node::Link(std::fs::read_link(path).unwrap()));
        }
        if data.is_dir() {
            let mut names = Names::new();
            for entry in std::fs::read_dir(path).unwrap().map(Result::unwrap) {
                names.insert(entry.file_name(), self.load_at(&entry.path()));
            }
            return self.directory(names, mode);
        }
        let content = self.contents.of(std::fs::read(path).unwrap());
        self.add(Node::File { durable: Held::new(content, mode), since: Vec::new(), lost: false })
    }

    /// The path below the root, if it is there.
    #[must_use]
    pub fn relative<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.strip_prefix(&self.root).ok()
    }

    /// What `path` names now; links are not followed.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<Inode> {
        let mut at = 0;
        for part in path.components() {
            let Component::Normal(part) = part else { return None };
            let Node::Directory { now, .. } = &self.nodes[at] else { return None };
            at = *now.get(part)?;
        }
        Some(at)
    }

    /// What a file holds now.
    #[must_use]
    pub fn held(&self, inode: Inode) -> Option<&Held> {
        match &self.nodes[inode] {
            Node::File { durable, since, .. } => Some(since.last().unwrap_or(durable)),
            Node::Directory { .. } | Node::Link(_) => None,
        }
    }

    /// A new empty file at `path`.
    pub fn create(&mut self, path: &Path, mode: u32) -> Inode {
        let empty = Held::new(self.contents.of(Vec::new()), mode);
        let inode = self.add(Node::File { durable: empty, since: Vec::new(), lost: false });
        self.act(path.parent().unwrap(), vec![(name(path), Some(inode))]);
        inode
    }

    /// A new empty directory at `path`.
    pub fn make_directory(&mut self, path: &Path, mode: u32) {
        let inode = self.directory(Names::new(), mode);
        self.act(path.parent().unwrap(), vec![(name(path), Some(inode))]);
    }

    /// A new link at `path`.
    pub fn make_link(&mut self, path: &Path, target: PathBuf) {
        let inode = self.add(Node::Link(target));
        self.act(path.parent().unwrap(), vec![(name(path), Some(inode))]);
    }

    /// One more name for what is at `from`.
    pub fn link(&mut self, from: &Path, to: &Path) {
        let inode = self.find(from);
        self.act(to.parent().unwrap(), vec![(name(to), inode)]);
    }

    /// Takes a name away.
    pub fn remove(&mut self, path: &Path) {
        self.act(path.parent().unwrap(), vec![(name(path), None)]);
    }

    /// Renames `from` to `to`; with `exchange` also the other way round.
    pub fn rename(&mut self, from: &Path, to: &Path, exchange: bool) {
        let inode = self.find(from);
        let other = if exchange { self.find(to) } else { None };
        let (gone, new) = ((name(from), other), (name(to), inode));
        if from.parent() == to.parent() {
            self.act(to.parent().unwrap(), vec![gone, new]);
        } else {
            self.act(to.parent().unwrap(), vec![new]);
            self.act(from.parent().unwrap(), vec![gone]);
        }
    }

    /// Writes `bytes` at a place of a file.
    pub fn write(&mut self, inode: Inode, at: usize, bytes: &[u8]) {
        self.change(inode, |old| {
            let mut new = old.to_vec();
            new.resize(new.len().max(at + bytes.len()), 0);
            new[at..at + bytes.len()].copy_from_slice(bytes);
            new
        });
    }

    /// Cuts a file, or fills it with zeros, to that length.
    pub fn truncate(&mut self, inode: Inode, length: usize) {
        self.change(inode, |old| {
            let mut new = old.to_vec();
            new.resize(length, 0);
            new
        });
    }

    /// Sets the permission bits.
    pub fn set_mode(&mut self, inode: Inode, new: u32) {
        let held = self.held(inode).cloned();
        match (&mut self.nodes[inode], held) {
            (Node::File { since, .. }, Some(held)) => since.push(Held { mode: new & 0o7777, ..held }),
            (Node::Directory { mode, .. }, _) => *mode = new & 0o7777,
            _ => {}
        }
    }

    /// Keeps what a file or a directory holds now, unless that failed.
    pub fn sync(&mut self, inode: Inode, succeeded: bool) {
        match &mut self.nodes[inode] {
            Node::File { lost, .. } if !succeeded => *lost = true,
            Node::File { durable, since, lost: false } => {
                if let Some(now) = since.pop() {
                    *durable = now;
                    since.clear();
                }
            }
            Node::Directory { durable, since, now, .. } if succeeded => {
                durable.clone_from(now);
                since.clear();
            }
            Node::File { .. } | Node::Directory { .. } | Node::Link(_) => {}
        }
    }

    /// What a crash may leave of a file's content.
    pub fn leavings(&mut self, inode: Inode) -> Vec<Held> {
        let Node::File { durable, since, .. } = &self.nodes[inode] else { return Vec::new() };
        let Some(now) = since.last().cloned() else { return vec![durable.clone()] };
        let mut all = vec![durable.clone()];
        all.extend(since.iter().cloned());
        let bytes = now.content.0.bytes().to_vec();
        let (length, half) = (bytes.len(), bytes.len() / 2);
        let zeros = |from: usize, to: usize| {
            let mut torn = bytes.clone();
            torn[from..to].fill(0);
            torn
        };
        if length > 0 && durable.content != now.content {
            for torn in [zeros(0, length), zeros(half, length), zeros(0, half), bytes[..half].to_vec()] {
                all.push(Held::new(self.contents.of(torn), now.mode));
            }
        }
        let mut distinct: Vec<Held> = Vec::new();
        all.into_iter().for_each(|held| {
            if !distinct.contains(&held) {
                distinct.push(held)
            }
        });
        distinct
    }

    fn change(&mut self, inode: Inode, new: impl FnOnce(&[u8]) -> Vec<u8>) {
        let held = self.held(inode).unwrap_or_else(|| panic!("{inode} is no file")).clone();
        let content = self.contents.of(new(held.content.0.bytes()));
        let Node::File { since, .. } = &mut self.nodes[inode] else { unreachable!() };
        since.push(Held::new(content, held.mode));
    }

    fn act(&mut self, directory: &Path, changes: Vec<(OsString, Option<Inode>)>) {
        let inode = self.find(directory).unwrap_or_else(|| panic!("no {} on the disk", directory.display()));
        let Node::Directory { since, now, .. } = &mut self.nodes[inode] else {
            panic!("{directory:?} is no directory")
        };
        let act = Act(changes);
        act.apply(now);
        since.push(act);
    }

    fn directory(&mut self, names: Names, mode: u32) -> Inode {
        self.add(Node::Directory { durable: names.clone(), since: Vec::new(), now: names, mode })
    }

    fn add(&mut self, node: Node) -> Inode {
        self.nodes.push(node);
        self.nodes.len() - 1
    }
}

fn name(path: &Path) -> OsString {
    path.file_name().map(OsStr::to_owned).unwrap_or_default()
}
