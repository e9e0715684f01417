//! Building, verifying and removing generations.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use falconer_manifests::digest::{Digest, Hasher};
use falconer_manifests::generation::{GenerationNumber, MANIFEST};
use falconer_manifests::name::RelativePath;
use falconer_manifests::observed::Pointer;
use falconer_manifests::remedy::Remedy;

use super::pointer::Activation;
use super::{Locked, ObservedEntry, StateDirectory, StoreError, split};
use crate::archive::ArchiveError;
use crate::layout::directory::{DIRECTORY_MODE, Directory, FILE_MODE, FileError, NewFile};
use crate::layout::{Layout, LayoutError, Proofs};

/// A file as a generation must have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationFile {
    /// Its path in the generation.
    pub path: RelativePath,
    /// Its permission bits.
    pub mode: u32,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: Digest,
}

/// Where the content of a file that is to be staged comes from. Whatever it gives is checked.
pub enum Content<'a> {
    /// From memory.
    Bytes(Cow<'a, [u8]>),
    /// From a function that writes it, e.g. out of an archive.
    Written(WriteContent<'a>),
}

/// A function that writes all of a content.
pub type WriteContent<'a> = Box<dyn FnOnce(&mut dyn Write) -> Result<(), ContentError> + 'a>;

/// Why the content of a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// The archive that it is in is not taken.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The blob that it is in cannot be read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// It cannot be read.
    #[error("reading broke off")]
    Read(#[from] io::Error),
}

impl ContentError {
    /// Who can end this.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Archive(error) => error.remedy(),
            Self::Layout(error) => error.remedy(),
            Self::Read(_) => Remedy::Operator,
        }
    }

    /// The next act of the person who reads this.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::Layout(error) => error.hint(),
            Self::Read(_) => None,
        }
    }
}

/// A generation that is complete, verified and durable, and may become the current one. Only [`Locked::stage`] and
/// [`Locked::verify`] make it, and it lives no longer than the lock.
#[derive(Debug)]
#[must_use = "a staged generation does nothing before it is activated"]
pub struct Staged<'lock> {
    locked: &'lock Locked,
    number: GenerationNumber,
}

impl Staged<'_> {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> GenerationNumber {
        self.number
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.locked.generation_path(self.number)
    }

    /// Makes it the current one, durably, in one rename.
    ///
    /// # Errors
    /// When a step fails. `current` then names what it named before, or this generation.
    pub fn activate(self) -> Result<Activation, StoreError> {
        // The names of plugins and blobs: new ones, and those that were found there, which may be of a run that was killed
        // before it came to this.
        self.locked.plugins.sync()?;
        self.locked.store.sync()?;
        self.locked.point_to(self.number)
    }
}

impl StateDirectory {
    /// When generation `number` was made, in seconds since 1970: when its record was written, which comes last. `None` when
    /// it has none.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn made(&self, number: GenerationNumber) -> Result<Option<u64>, StoreError> {
        let directory = match self.generation_directory(number, "") {
            Err(StoreError::File(error)) if error.is_not_found() || error.is_not_a_directory() => return Ok(None),
            directory => directory?,
        };
        let status = directory.stat(MANIFEST)?;
        Ok(status.and_then(|status| u64::try_from(status.st_mtime).ok()))
    }
}

impl Locked {
    /// Builds generation `number` of `files`, each checked against what it must be while it is written, and of
    /// `manifest`, which comes last. Nothing of a build that fails stays.
    ///
    /// # Errors
    /// When the number is taken, when a content cannot be had or is another one, or when the disk does not take it.
    pub fn stage<'a>(
        &self,
        number: GenerationNumber,
        files: impl IntoIterator<Item = (GenerationFile, Content<'a>)>,
        manifest: &[u8],
    ) -> Result<Staged<'_>, StoreError> {
        let name = number.to_string();
        let temporary = format!("{name}.tmp");
        if self.generations.stat(&name)?.is_some() {
            return Err(StoreError::Exists { number });
        }
        self.generations.remove_tree(&temporary)?;
        let built = build(&self.generations, &temporary, files, Some(manifest), &self.store);
        let named = built.and_then(|()| Ok(self.generations.rename(&temporary, &name)?));
        if let Err(error) = named {
            self.generations.discard(&temporary);
            return Err(error);
        }
        if let Err(error) = self.generations.sync() {
            self.generations.discard(&name);
            return Err(error.into());
        }
        Ok(Staged { locked: self, number })
    }

    /// Checks that generation `number` is exactly `files` and a manifest of that digest, and makes it durable again.
    ///
    /// # Errors
    /// [`StoreError::Differs`] when a file differs, is missing or is one too many; or when the disk fails.
    pub fn verify<'a>(
        &self,
        number: GenerationNumber,
        manifest: &Digest,
        files: impl IntoIterator<Item = &'a GenerationFile>,
    ) -> Result<Staged<'_>, StoreError> {
        let differs = |path: &str, problem| StoreError::Differs { number, path: path.into(), problem };
        let mut observed = self.observe(number)?;
        let us = rustix::process::geteuid().as_raw();
        let manifest_path = observed.keys().find(|path| path.as_str() == MANIFEST).cloned();
        match manifest_path.as_ref().and_then(|path| observed.remove(path)) {
            Some(ObservedEntry::File { digest, mode: FILE_MODE, uid, .. }) if digest == *manifest && uid == us => {}
            Some(_) => return Err(differs(MANIFEST, "is not the one that was written")),
            None => return Err(differs(MANIFEST, "is missing")),
        }
        let mut parents = BTreeSet::new();
        for file in files {
            let path = file.path.as_str();
            match observed.remove(&file.path) {
                Some(ObservedEntry::File { digest, size, .. }) if digest != file.digest || size != file.size => {
                    return Err(differs(path, "has another content"));
                }
                Some(ObservedEntry::File { mode, uid, .. }) if mode != file.mode || uid != us => {
                    return Err(differs(path, "has another mode or owner"));
                }
                Some(ObservedEntry::File { .. }) => {}
                Some(_) => return Err(differs(path, "is no regular file")),
                None => return Err(differs(path, "is missing")),
            }
            let (parent, name) = split(path);
            self.generation_directory(number, parent)?.sync_file(name)?;
            parents.extend(path.match_indices('/').filter_map(|(end, _)| path.get(..end)).map(str::to_owned));
        }
        for (path, entry) in &observed {
            let ours = matches!(entry, ObservedEntry::Directory { mode: DIRECTORY_MODE, uid, .. } if *uid == us);
            if !ours || !parents.contains(path.as_str()) {
                return Err(differs(path.as_str(), "does not belong there as it is"));
            }
        }
        // Children sort behind their parents, and are synced before them.
        for parent in parents.iter().rev() {
            self.generation_directory(number, parent)?.sync()?;
        }
        let generation = self.generation_directory(number, "")?;
        let status = generation.own_stat()?;
        if status.st_mode & 0o7777 != DIRECTORY_MODE || status.st_uid != us {
            return Err(differs(".", "has another mode or owner"));
        }
        generation.sync_file(MANIFEST)?;
        generation.sync()?;
        self.generations.sync()?;
        Ok(Staged { locked: self, number })
    }

    /// Removes a generation, or what stands at its number; `false` when there is nothing.
    ///
    /// # Errors
    /// When it is the current one, or when something of it cannot be removed.
    pub fn remove_generation(&self, number: GenerationNumber) -> Result<bool, StoreError> {
        if self.current()? == Pointer::Generation(number) {
            return Err(StoreError::InUse { number });
        }
        let name = number.to_string();
        let temporary = format!("{name}.tmp");
        if self.generations.stat(&name)?.is_none() {
            return Ok(false);
        }
        // Renamed first, so that half of a generation never bears a generation's name.
        self.generations.remove_tree(&temporary)?;
        self.generations.rename(&name, &temporary)?;
        self.generations.sync()?;
        Ok(self.generations.remove_tree(&temporary)?)
    }
}

/// Builds the directory `temporary` in `parent` of `files`, and of `manifest`, which comes last; all of it durable but for
/// the name.
pub(super) fn build<'a>(
    parent: &Directory,
    temporary: &str,
    files: impl IntoIterator<Item = (GenerationFile, Content<'a>)>,
    manifest: Option<&[u8]>,
    store: &Layout,
) -> Result<(), StoreError> {
    let root = parent.create_subdirectory(temporary)?;
    let mut directories = BTreeMap::new();
    for (file, content) in files {
        let (parent, name) = split(file.path.as_str());
        let directory = directory_for(&root, &mut directories, parent)?;
        if file.mode == FILE_MODE && store.place_kept(&file.digest, directory, name)? {
            continue;
        }
        write_checked(directory.create_file(name, file.mode)?, &file, content, store.proofs())?;
    }
    if let Some(manifest) = manifest {
        let mut last = root.create_file(MANIFEST, FILE_MODE)?;
        last.write_all(manifest)?;
        last.sync()?;
    }
    // Children sort behind their parents, and are synced before them.
    for directory in directories.values().rev() {
        directory.sync()?;
    }
    Ok(root.sync()?)
}

/// The directory `path` below `root`, created with its parents at its first use; empty for `root` itself.
fn directory_for<'a>(
    root: &'a Directory,
    directories: &'a mut BTreeMap<String, Directory>,
    path: &str,
) -> Result<&'a Directory, StoreError> {
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]).filter(|end| *end > 0);
    for end in ends {
        let path = path.get(..end).unwrap_or_default();
        if !directories.contains_key(path) {
            let (parent, name) = split(path);
            let created = directories.get(parent).unwrap_or(root).create_subdirectory(name)?;
            directories.insert(path.into(), created);
        }
    }
    Ok(directories.get(path).unwrap_or(root))
}

/// Writes a file durably, and checks that it is what it must be.
fn write_checked(
    file: NewFile,
    expected: &GenerationFile,
    content: Content<'_>,
    proofs: &Proofs,
) -> Result<(), StoreError> {
    let mut writer = Checked { file, hasher: Hasher::new(), left: expected.size, overrun: false, failed: None };
    let written = match content {
        Content::Bytes(bytes) => writer.write_all(&bytes).map_err(ContentError::Read),
        Content::Written(write) => write(&mut writer),
    };
    let unexpected = |problem| StoreError::Unexpected { path: expected.path.clone(), problem };
    // The disk's error first: the source only repeats that it could not go on.
    if let Some(error) = writer.failed {
        return Err(error.into());
    }
    if writer.overrun {
        return Err(unexpected(format!("it is longer than {} bytes", expected.size)));
    }
    written.map_err(|source| StoreError::Content { path: expected.path.clone(), source })?;
    let found = writer.hasher.finish();
    if found != expected.digest {
        return Err(unexpected(format!("it has the digest {found} instead of {}", expected.digest)));
    }
    if writer.left > 0 {
        return Err(unexpected(format!("it is shorter than {} bytes", expected.size)));
    }
    let status = writer.file.status()?;
    writer.file.sync()?;
    proofs.add(&found, &status);
    Ok(())
}

/// A new file that takes no more than it should.
struct Checked {
    file: NewFile,
    hasher: Hasher,
    left: u64,
    overrun: bool,
    failed: Option<FileError>,
}

impl Write for Checked {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let Some(left) = self.left.checked_sub(piece.len() as u64) else {
            self.overrun = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        if let Err(error) = self.file.write_all(piece) {
            let kind = error.source.kind();
            self.failed = Some(error);
            return Err(kind.into());
        }
        self.hasher.update(piece);
        self.left = left;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
