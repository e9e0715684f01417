//! Does on the disk in memory what a run did on the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::disk::{Disk, Inode, Node};
use super::recording::Event;

/// A run being done again.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The disk as it is by now.
    pub disk: Disk,
    names: Vec<String>,
    outside: Vec<PathBuf>,
    descriptors: BTreeMap<u32, Inode>,
    places: BTreeMap<(u32, Inode), usize>,
    last: BTreeMap<Inode, String>,
    umask: u32,
    state: PathBuf,
    locked: bool,
}

/// What an event was to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that a crash could show.
    None,
    /// Something changed.
    Change,
    /// An fsync of this class: what it is of, and what was done there last.
    Sync(String),
    /// Somebody outside was told: by a signal, or by a write outside of what is ours.
    Told(Told),
}

/// Who was told something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Falco, by a signal.
    Falco,
    /// Whoever reads the answer of the program.
    Operator,
    /// The repository of reports.
    Reports,
}

impl Replay {
    /// Of a run that begins with what is on the real disk now at these names below `root`; `state` is the state directory
    /// there.
    #[must_use]
    pub fn begin(root: &Path, names: &[&str], state: &str) -> Self {
        let disk = Disk::load(root, names);
        let names = names.iter().map(ToString::to_string).collect();
        let (outside, descriptors, places, last) = Default::default();
        // What this process's children have too.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        let umask = umask.and_then(|umask| u32::from_str_radix(umask.trim(), 8).ok()).unwrap_or(0o022);
        Self { disk, names, outside, descriptors, places, last, umask, state: state.into(), locked: false }
    }

    /// What was written below the host's directory and is not ours.
    #[must_use]
    pub fn outside(&self) -> &[PathBuf] {
        &self.outside
    }

    /// Does it, unless it is an fsync of a class in `without`.
    pub fn step(&mut self, event: &Event, without: &BTreeSet<String>) -> Effect {
        match event {
            Event::Begin => {
                self.last.clear();
                return Effect::None;
            }
            Event::Lock { path } => {
                self.locked = self.ours(path).is_some_and(|path| path == self.state.join("lock"));
                return Effect::None;
            }
            Event::Answer => return Effect::Told(Told::Operator),
            Event::Signal => return Effect::Told(Told::Falco),
            Event::Connect => return Effect::None,
            Event::Seek { descriptor, path, at } => {
                if let Some(inode) = self.open_file(*descriptor, path) {
                    self.places.insert((*descriptor, inode), *at);
                }
                return Effect::None;
            }
            Event::Sync { path, succeeded } => return self.sync(path, *succeeded, without),
            Event::Write { descriptor, path, at, bytes } => {
                let Some(inode) = self.open_file(*descriptor, path) else { return self.elsewhere(path) };
                let place = self.places.entry((*descriptor, inode)).or_default();
                let from = at.unwrap_or(*place);
                if at.is_none() {
                    *place += bytes.len();
                }
                self.disk.write(inode, from, bytes);
                return Effect::Change;
            }
            _ => {}
        }
        let paths = match event {
            Event::Rename { from, to, .. } | Event::Link { from, to } => vec![from, to],
            Event::Open { path, .. }
            | Event::Truncate { path, .. }
            | Event::Symlink { path, .. }
            | Event::Remove { path }
            | Event::MakeDirectory { path, .. }
            | Event::SetMode { path, .. } => vec![path],
            _ => Vec::new(),
        };
        let ours: Option<Vec<PathBuf>> = paths.iter().map(|path| self.ours(path)).collect();
        let Some(ours) = ours else { return self.elsewhere(paths.last().copied().unwrap_or(&PathBuf::new())) };
        self.change(event, &ours)
    }

    fn change(&mut self, event: &Event, paths: &[PathBuf]) -> Effect {
        let (Some(path), Some(other)) = (paths.first(), paths.last()) else { return Effect::None };
        let disk = &mut self.disk;
        match event {
            Event::Open { descriptor, creates, truncates, mode, .. } => {
                let there = disk.find(path);
                let inode = match (there, creates) {
                    (None, false) => panic!("{} is opened and not on the disk", path.display()),
                    (None, true) => disk.create(path, *mode & !self.umask),
                    (Some(inode), _) => inode,
                };
                if *truncates
                    && there.is_some()
                    && disk.held(inode).is_some_and(|held| !held.content.0.bytes().is_empty())
                {
                    disk.truncate(inode, 0);
                }
                self.descriptors.insert(*descriptor, inode);
                self.places.insert((*descriptor, inode), 0);
                if there.is_some() && !truncates {
                    return Effect::None;
                }
            }
            Event::Truncate { length, .. } => {
                let inode = disk.find(path).unwrap_or_else(|| panic!("no {}", path.display()));
                disk.truncate(inode, *length);
            }
            Event::Rename { exchanges, .. } => disk.rename(path, other, *exchanges),
            Event::Link { .. } => disk.link(path, other),
            Event::Symlink { target, .. } => disk.make_link(path, target.clone()),
            Event::Remove { .. } => disk.remove(path),
            Event::MakeDirectory { mode, .. } => disk.make_directory(path, *mode & !self.umask),
            Event::SetMode { mode, .. } => {
                let inode = disk.find(path).unwrap_or_else(|| panic!("no {}", path.display()));
                disk.set_mode(inode, *mode);
                return Effect::Change;
            }
            _ => return Effect::None,
        }
        if !matches!(event, Event::Truncate { .. })
            && let Some(directory) = other.parent().and_then(|parent| self.disk.find(parent))
        {
            let class = self.class(other);
            self.last.insert(directory, class);
        }
        Effect::Change
    }

    fn sync(&mut self, path: &Path, succeeded: bool, without: &BTreeSet<String>) -> Effect {
        let Some(path) = self.ours(path).or_else(|| self.is_root(path).then(PathBuf::new)) else { return Effect::None };
        let Some(inode) = self.disk.find(&path) else { return Effect::None };
        let class = match &self.disk.nodes[inode] {
            Node::Directory { .. } => {
                let last = self.last.remove(&inode);
                // Whoever takes the lock makes durable what is found, in one place.
                let is_found = path == self.state && std::mem::take(&mut self.locked);
                let last = if is_found { Some("the lock was taken".into()) } else { last };
                let class = self.class(&path);
                // One place makes them durable, whatever was done there before.
                let is_collection = ["state/plugins", "state/store/blobs/sha256"].contains(&class.as_str());
                let last = last.filter(|_| !is_collection);
                format!("directory {class}, {}", last.map_or("as it was".into(), |last| format!("after {last}")))
            }
            _ => self.class(&path),
        };
        if !without.contains(&class) {
            self.disk.sync(inode, succeeded);
        }
        Effect::Sync(class)
    }

    /// The kind of place that a path is, with the state directory called `state` wherever it is.
    fn class(&self, path: &Path) -> String {
        match path.strip_prefix(&self.state) {
            Ok(below) => class(&Path::new("state").join(below)),
            Err(_) if self.state.parent() == Some(path) => "above the state directory".into(),
            Err(_) => class(path),
        }
    }

    /// The path below the root, when it is one of those that are looked at.
    fn ours(&self, path: &Path) -> Option<PathBuf> {
        let relative = self.disk.relative(path)?;
        let first = relative.components().next()?.as_os_str().to_str()?;
        self.names.iter().any(|name| name == first).then(|| relative.to_owned())
    }

    fn is_root(&self, path: &Path) -> bool {
        self.disk.relative(path).is_some_and(|relative| relative.as_os_str().is_empty())
    }

    /// The file behind a descriptor: by its path, or when it has none any more by its number.
    fn open_file(&self, descriptor: u32, path: &Path) -> Option<Inode> {
        let path = self.ours(path)?;
        let known = self.descriptors.get(&descriptor).copied();
        self.disk.find(&path).filter(|inode| self.disk.held(*inode).is_some()).or(known)
    }

    /// Something was done below the host's directory that is not ours.
    fn elsewhere(&mut self, path: &Path) -> Effect {
        let Some(relative) = self.disk.relative(path) else { return Effect::None };
        // The runtime directory does not outlive a power cut, so that nothing in it may be needed after one.
        if relative.starts_with("run") {
            return Effect::None;
        }
        if relative.starts_with("reports.git") {
            return if relative.starts_with("reports.git/refs") { Effect::Told(Told::Reports) } else { Effect::None };
        }
        // The programs' own standard streams, and what the test has opened for them.
        if relative.extension().is_none_or(|extension| extension != "log") {
            self.outside.push(relative.to_owned());
        }
        Effect::None
    }
}

/// The kind of place that a path is: numbers, digests and random parts of names are taken out.
#[must_use]
pub fn class(path: &Path) -> String {
    let part = |part: &str| -> String {
        let is_hash = |text: &str| text.len() >= 40 && text.chars().all(|c| c.is_ascii_hexdigit());
        if is_hash(part) {
            return "HASH".into();
        }
        if let Some((stem, extension)) = part.strip_prefix("pack-").and_then(|rest| rest.split_once('.'))
            && is_hash(stem)
        {
            return format!("pack-HASH.{extension}");
        }
        if part.contains("_git2_") || (part.starts_with('.') && part.ends_with(".tmp")) {
            return "RANDOM.tmp".into();
        }
        let digits = part.trim_end_matches(".tmp");
        if digits.parse::<u64>().is_ok() {
            return part.replacen(digits, "N", 1);
        }
        if part.starts_with("acme-") {
            return if part.ends_with(".tmp") { "PLUGIN.tmp".into() } else { "PLUGIN".into() };
        }
        if part.ends_with("-acme-rules.yaml") || part.ends_with("-own.yaml") {
            return "RULES".into();
        }
        if let Some((name, _)) = part.split_once(".falconer-") {
            return format!("{name}.falconer-PID");
        }
        part.to_owned()
    };
    let parts: Vec<_> = path.components().map(|one| part(&one.as_os_str().to_string_lossy())).collect();
    let text = parts.join("/");
    if text.is_empty() { ".".into() } else { text }
}
