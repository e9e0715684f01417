//! The store room: the state directory, its generations and its ledger.
//!
//! Reading needs no lock and no rights beyond reading. Writing needs a [`Locked`], of which there is one at a time. What
//! Falco loads changes in one rename, of `current`, and only a [`Staged`] generation can be given to it: one that is
//! complete, verified and durable. A crash leaves what was there before, plus leftovers that the next lock removes.

mod document;
mod error;
mod generation;
mod observe;
mod plugins;
mod pointer;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::name::RelativePath;
use falconer_manifests::observed::Pointer;
use rustix::fs::FileType;

use crate::layout::directory::{Directory, FileError};
use crate::layout::{Layout, Proofs};

pub use self::document::{Document, WorkFile};
pub use self::error::StoreError;
pub use self::generation::{Content, ContentError, GenerationFile, Staged, WriteContent};
pub use self::observe::ObservedEntry;
pub use self::pointer::Activation;

/// The version of what is in the state directory.
const FORMAT: u32 = 1;
const FORMAT_FILE: &str = "format";
const FORMAT_TEMPORARY: &str = "format.tmp";
const LOCK: &str = "lock";
const STORE: &str = "store";
const GENERATIONS: &str = "generations";
const PLUGINS: &str = "plugins";
const WORK: &str = "tmp";
/// For whoever sends reports: a lock of its own, and a moment's repository.
pub const REPORTS: &str = "reports";

/// A state directory, to read from. It need not exist yet.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    root: Option<Directory>,
    /// What was written since the lock was taken.
    written: Arc<Proofs>,
}

impl StateDirectory {
    /// Opens the state directory at `path`, without touching it. One that does not exist reads as an empty one.
    ///
    /// # Errors
    /// When it is a symbolic link, when others could write into it, or when a newer falconer has written it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let root = match Directory::open_real(path) {
            Err(error) if error.is_not_found() => None,
            Err(error) if error.is_not_a_directory() => return Err(StoreError::link(path)),
            root => Some(root?),
        };
        if let Some(root) = &root {
            require_trusted(root)?;
            require_format(root)?;
        }
        Ok(Self { path: path.to_owned(), root, written: Arc::default() })
    }

    /// Takes the lock; the directory and what belongs in it are created where they are missing, and what an interrupted
    /// run has left is removed.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when another falconer holds it; when a newer one has written the directory, then nothing is
    /// touched; when the directory holds something else; when something cannot be created.
    pub fn lock(self) -> Result<Locked, StoreError> {
        let was_there = self.root.is_some();
        let root = match Directory::open_or_create(&self.path) {
            Err(error) if error.is_not_a_directory() => return Err(StoreError::link(&self.path)),
            root => root?,
        };
        require_trusted(&root)?;
        require_ours(&root)?;
        let lock = root.open_or_create_lock(LOCK)?;
        if !root.lock(LOCK, &lock)? {
            return Err(StoreError::Busy { path: self.path });
        }
        // Read again: a newer falconer may have held the lock in between.
        if !require_format(&root)? {
            // Whoever has created it may have been killed before its name was on the disk.
            if was_there {
                Directory::sync_all_above(&self.path)?;
            }
            root.place_file(FORMAT_FILE, FORMAT_TEMPORARY, format!("{FORMAT}\n").as_bytes())?;
        }
        let [store, generations, plugins, work] =
            [STORE, GENERATIONS, PLUGINS, WORK].map(|name| subdirectory(&root, name));
        let written = Arc::<Proofs>::default();
        let store = Layout::create_in(store?)?.with_proofs(written.clone()).with_files_ahead();
        let state = Self { root: Some(Directory::open_real(&self.path)?), path: self.path, written };
        let mut locked = Locked {
            state,
            root,
            generations: generations?,
            plugins: plugins?,
            work: work?,
            store,
            leftovers: Vec::new(),
            _lock: lock,
        };
        locked.leftovers = locked.remove_leftovers()?;
        // What was just created, or renamed by a run that was interrupted, may be in memory only. Nothing is built on it
        // before it is on the disk.
        locked.root.sync()?;
        Ok(locked)
    }

    /// Where the state directory is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a generation is, or would be.
    #[must_use]
    pub fn generation_path(&self, number: GenerationNumber) -> PathBuf {
        self.path.join(GENERATIONS).join(number.to_string())
    }

    /// Where files for a moment are, e.g. the configuration that Falco is to try.
    #[must_use]
    pub fn work_directory(&self) -> PathBuf {
        self.path.join(WORK)
    }

    /// All numbers that are taken, sorted: also those of damaged generations, and of what somebody has put in the place of
    /// one. A new generation takes a number above them.
    ///
    /// # Errors
    /// When the directory of generations cannot be read.
    pub fn generations(&self) -> Result<Vec<GenerationNumber>, StoreError> {
        let Some(generations) = self.subdirectory(GENERATIONS)? else { return Ok(Vec::new()) };
        let names = generations.names(usize::MAX)?;
        let mut numbers: Vec<_> = names.iter().filter_map(|name| generation_number(name.to_str()?)).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The blobs, to read from; `None` when nothing was ever stored.
    ///
    /// # Errors
    /// When the layout is damaged.
    pub fn open_store(&self) -> Result<Option<Layout>, StoreError> {
        let Some(store) = self.subdirectory(STORE)? else { return Ok(None) };
        Ok(Some(Layout::open_in(store)?.with_proofs(self.written.clone())))
    }

    fn subdirectory(&self, name: &str) -> Result<Option<Directory>, StoreError> {
        let Some(root) = &self.root else { return Ok(None) };
        match root.subdirectory(name) {
            Err(error) if error.is_not_found() => Ok(None),
            directory => Ok(Some(directory?)),
        }
    }
}

/// A state directory whose lock is held: the only one to write into, until it is dropped.
#[derive(Debug)]
pub struct Locked {
    state: StateDirectory,
    root: Directory,
    generations: Directory,
    plugins: Directory,
    work: Directory,
    store: Layout,
    leftovers: Vec<FileError>,
    _lock: File,
}

impl Deref for Locked {
    type Target = StateDirectory;

    fn deref(&self) -> &StateDirectory {
        &self.state
    }
}

impl Locked {
    /// The blobs, to read from and to write to.
    #[must_use]
    pub fn store(&self) -> &Layout {
        &self.store
    }

    /// What could not be removed when the lock was taken, e.g. because somebody has made it immutable. It is in nobody's way.
    #[must_use]
    pub fn leftovers(&self) -> &[FileError] {
        &self.leftovers
    }

    /// Removes something from among the generations or the plugins that was never ours; `false` when it is not there. What
    /// `current` names stays.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub fn remove_stray(&self, path: &RelativePath) -> Result<bool, StoreError> {
        let directory = match split(path.as_str()) {
            (GENERATIONS, _) => &self.generations,
            (PLUGINS, _) => &self.plugins,
            _ => return Ok(false),
        };
        if let Pointer::Generation(number) = self.current()?
            && number.directory() == *path
        {
            return Err(StoreError::InUse { number });
        }
        Ok(directory.remove_tree(path.base_name())?)
    }

    fn remove_leftovers(&self) -> Result<Vec<FileError>, StoreError> {
        let mut left = Vec::new();
        for name in Document::ALL.map(Document::temporary).into_iter().chain([FORMAT_TEMPORARY]) {
            self.root.remove_tree(name)?;
        }
        self.clear_temporary_link()?;
        for directory in [&self.generations, &self.plugins] {
            for name in directory.names(usize::MAX)?.iter().filter(|name| is_temporary(name)) {
                match directory.remove_tree(name) {
                    Err(error) if error.is_refused() => left.push(error),
                    removed => drop(removed?),
                }
            }
        }
        for name in self.work.names(usize::MAX)? {
            self.work.remove_tree(&name)?;
        }
        self.store.remove_leftovers()?;
        Ok(left)
    }
}

/// The number that a name in `generations/` stands for.
fn generation_number(name: &str) -> Option<GenerationNumber> {
    let number: u64 = name.parse().ok()?;
    // `parse` takes `+7` and `007` too.
    (number > 0 && name == number.to_string()).then_some(GenerationNumber(number))
}

fn is_temporary(name: &OsString) -> bool {
    name.to_str().is_some_and(|name| name.ends_with(".tmp"))
}

fn subdirectory(root: &Directory, name: &str) -> Result<Directory, FileError> {
    let directory = root.open_or_create_subdirectory(name)?;
    directory.set_mode()?;
    Ok(directory)
}

/// Requires that nobody but root and us can write into the directory.
fn require_trusted(root: &Directory) -> Result<(), StoreError> {
    let status = root.own_stat()?;
    let us = rustix::process::geteuid().as_raw();
    if status.st_uid != 0 && status.st_uid != us {
        return Err(StoreError::Untrusted {
            path: root.path().to_owned(),
            problem: "belongs to another user",
            hint: format!("chown it to the user that falconer runs as (now uid {us}), after looking at what is in it"),
        });
    }
    if status.st_mode & 0o022 != 0 {
        return Err(StoreError::Untrusted {
            path: root.path().to_owned(),
            problem: "can be written by its group or by everybody",
            hint: "chmod 0755 it, after looking at what is in it".into(),
        });
    }
    Ok(())
}

/// Requires that a directory without `format` holds nothing that is not ours: it may be somebody's /etc.
fn require_ours(root: &Directory) -> Result<(), StoreError> {
    if read_format(root)? {
        return Ok(());
    }
    let ours = |name: &OsString| {
        is_temporary(name)
            || name.to_str().is_some_and(|name| {
                [LOCK, STORE, GENERATIONS, PLUGINS, WORK, REPORTS, pointer::CURRENT, "lost+found"].contains(&name)
                    || Document::ALL.iter().any(|document| document.name() == name)
            })
    };
    match root.names(usize::MAX)?.iter().find(|name| !ours(name)) {
        None => Ok(()),
        // Read again: another falconer may have made the directory its own in between.
        Some(_) if read_format(root)? => Ok(()),
        Some(other) => Err(StoreError::NotOurs {
            path: root.path().to_owned(),
            other: other.to_string_lossy().escape_debug().to_string(),
        }),
    }
}

/// As [`read_format`]; refuses a directory that was in use and has none: who knows which one it had.
fn require_format(root: &Directory) -> Result<bool, StoreError> {
    if read_format(root)? {
        return Ok(true);
    }
    // Both are written long after the format, which is durable by then.
    let used = [Document::Ledger.name(), pointer::CURRENT];
    for name in used {
        // Looked for again: another falconer may have made the directory its own in between.
        if root.stat(name)?.is_some() && !read_format(root)? {
            return Err(StoreError::NoFormat { path: root.path().join(FORMAT_FILE), beside: name, known: FORMAT });
        }
    }
    Ok(false)
}

/// Whether the directory has a format, which is then ours.
fn read_format(root: &Directory) -> Result<bool, StoreError> {
    let Some(content) = root.read_file(FORMAT_FILE, 64)? else { return Ok(false) };
    let path = || root.path().join(FORMAT_FILE);
    match str::from_utf8(&content).ok().and_then(|text| text.trim().parse::<u32>().ok()) {
        Some(FORMAT) => Ok(true),
        Some(found) if found > FORMAT => Err(StoreError::NewerFormat { path: path(), found, known: FORMAT }),
        _ => Err(StoreError::Damaged { path: path(), problem: "does not hold the number of a format" }),
    }
}

/// A relative path's parent, which may be empty, and its last part.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The kind of a file, for people.
fn kind_of(mode: rustix::fs::RawMode) -> &'static str {
    match FileType::from_raw_mode(mode) {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "something unknown",
    }
}
