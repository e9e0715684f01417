//! Looking at what is really in a generation.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;

use falconer_manifests::digest::Digest;
use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::name::RelativePath;
use rustix::fs::{FileType, Stat};

use super::{GENERATIONS, PLUGINS, StateDirectory, StoreError, generation_number, is_temporary, kind_of, split};
use crate::layout::directory::{Directory, FileError};
use crate::layout::{Proofs, digest_of};

/// No generation of ours has more entries.
const ENTRIES_CAP: usize = 4096;

/// No file of ours is longer, in bytes. Longer ones are not read.
const FILE_CAP: u64 = 64 << 20;

/// No generation of ours is longer, in bytes. What comes behind is not read.
const TOTAL_CAP: u64 = 512 << 20;

/// No generation of ours is deeper.
const DEPTH_CAP: usize = 16;

/// What is at a path in a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObservedEntry {
    /// A regular file.
    File {
        /// The digest of its content.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// Its permission bits, setuid, setgid and sticky included.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points to, escaped.
        target: String,
    },
    /// A directory. What is in it has entries of its own.
    Directory {
        /// Its permission bits, setuid, setgid and sticky included.
        mode: u32,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// Something else, or something that could not be looked into; as text what it is.
    Other(String),
}

impl StateDirectory {
    /// Everything in generation `number`, extra entries included; nothing when there is no such directory. No link is
    /// followed. What is too much, too long, too deep or unreadable is [`ObservedEntry::Other`], so that it is found to
    /// differ and does not stop anybody. A name that is no [`RelativePath`] has its odd bytes written as `%` and two hex
    /// digits.
    ///
    /// # Errors
    /// When the system itself is short of something, e.g. of file descriptors.
    pub fn observe(&self, number: GenerationNumber) -> Result<BTreeMap<RelativePath, ObservedEntry>, StoreError> {
        let caps = Caps { file: FILE_CAP, total: TOTAL_CAP };
        observe_in(self.subdirectory(GENERATIONS)?.map(|all| all.subdirectory(number.to_string())), caps, &self.written)
    }

    /// What stands at the path of generation `number`, itself; `None` when there is nothing.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn observe_root(&self, number: GenerationNumber) -> Result<Option<ObservedEntry>, StoreError> {
        let Some(generations) = self.subdirectory(GENERATIONS)? else { return Ok(None) };
        let Some(status) = generations.stat(number.to_string())? else { return Ok(None) };
        Ok(Some(shallow(&generations, number.to_string().as_ref(), &status)?))
    }

    /// What lies among the generations and the plugins and has no name that we give, but for what is being built or
    /// removed; by its path in the state directory.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn observe_strays(&self) -> Result<BTreeMap<RelativePath, ObservedEntry>, StoreError> {
        let mut strays = BTreeMap::new();
        for (place, is_ours) in [(GENERATIONS, is_generation as fn(&str) -> bool), (PLUGINS, is_plugin)] {
            let Some(directory) = self.subdirectory(place)? else { continue };
            for name in directory.names(ENTRIES_CAP)? {
                let Some(status) = directory.stat(&name)? else { continue };
                if name.to_str().is_some_and(is_ours) || is_temporary(&name) {
                    continue;
                }
                if let Some(path) = relative_path(place, &name) {
                    strays.insert(path, shallow(&directory, &name, &status)?);
                }
            }
        }
        Ok(strays)
    }

    /// Reads a file of a generation, of at most `cap` bytes; `None` when there is none. Its content is not verified.
    ///
    /// # Errors
    /// When something else stands there, when it is longer, or when it cannot be read.
    pub fn read_generation_file(
        &self,
        number: GenerationNumber,
        path: &RelativePath,
        cap: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let (parent, name) = split(path.as_str());
        let directory = match self.generation_directory(number, parent) {
            Err(StoreError::File(error)) if error.is_not_found() => return Ok(None),
            directory => directory?,
        };
        Ok(directory.read_file(name, cap)?)
    }

    /// The directory `path` in a generation; empty for the generation itself.
    pub(super) fn generation_directory(&self, number: GenerationNumber, path: &str) -> Result<Directory, StoreError> {
        let absent = || FileError::new("open", self.generation_path(number), io::ErrorKind::NotFound.into());
        let mut directory = self.subdirectory(GENERATIONS)?.ok_or_else(absent)?.subdirectory(number.to_string())?;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            directory = directory.subdirectory(part)?;
        }
        Ok(directory)
    }
}

/// How much is read, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caps {
    /// Of one file. Longer ones are not read.
    pub(super) file: u64,
    /// Of all. What comes behind is not read.
    pub(super) total: u64,
}

/// Everything in a directory; nothing when it is not there.
pub(super) fn observe_in(
    directory: Option<Result<Directory, FileError>>,
    caps: Caps,
    written: &Proofs,
) -> Result<BTreeMap<RelativePath, ObservedEntry>, StoreError> {
    let mut walk = Walk { entries: BTreeMap::new(), file_cap: caps.file, bytes_left: caps.total, written };
    match directory {
        None => {}
        Some(Err(error)) if error.is_not_found() || error.is_not_a_directory() => {}
        Some(directory) => walk.directory(&directory?, "", DEPTH_CAP)?,
    }
    Ok(walk.entries)
}

struct Walk<'a> {
    entries: BTreeMap<RelativePath, ObservedEntry>,
    file_cap: u64,
    bytes_left: u64,
    written: &'a Proofs,
}

impl Walk<'_> {
    fn directory(&mut self, directory: &Directory, path: &str, depth: usize) -> Result<(), FileError> {
        for name in directory.names(ENTRIES_CAP + 1)? {
            let full = self.entries.len() >= ENTRIES_CAP;
            let Some(path) = relative_path(path, &name) else { continue };
            if full {
                self.entries.insert(path, ObservedEntry::Other(format!("one of more than {ENTRIES_CAP} entries")));
                return Ok(());
            }
            // Gone since it was listed: so it is not there.
            let Some(status) = directory.stat(&name)? else { continue };
            let entry = match FileType::from_raw_mode(status.st_mode) {
                FileType::RegularFile => self.file(directory, &name, &status),
                FileType::Directory => self.subdirectory(directory, &name, &path, depth),
                FileType::Symlink => directory.read_link(&name).map(|target| ObservedEntry::Symlink {
                    target: target.to_string_lossy().escape_debug().to_string(),
                }),
                _ => Ok(ObservedEntry::Other(kind_of(status.st_mode).into())),
            };
            match entry {
                Ok(entry) => {
                    self.entries.insert(path, entry);
                }
                Err(error) if error.is_not_found() => {}
                Err(error) if is_about_the_entry(&error) => {
                    let text = format!("{} that cannot be read: {}", kind_of(status.st_mode), error.source);
                    self.entries.insert(path, ObservedEntry::Other(text));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn subdirectory(
        &mut self,
        parent: &Directory,
        name: &OsStr,
        path: &RelativePath,
        depth: usize,
    ) -> Result<ObservedEntry, FileError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Ok(ObservedEntry::Other(format!("a directory deeper than {DEPTH_CAP} others")));
        };
        let directory = parent.subdirectory(name)?;
        let status = directory.own_stat()?;
        self.directory(&directory, path.as_str(), depth)?;
        Ok(directory_entry(&status))
    }

    fn file(&mut self, directory: &Directory, name: &OsStr, status: &Stat) -> Result<ObservedEntry, FileError> {
        let size = u64::try_from(status.st_size).unwrap_or_default();
        if size > self.file_cap.min(self.bytes_left) {
            return Ok(ObservedEntry::Other(format!("a regular file of {size} bytes, too long to be ours")));
        }
        self.bytes_left -= size;
        let file = directory.open_file(name)?;
        let opened = rustix::fs::fstat(&file)
            .map_err(|errno| FileError::new("look at", directory.path().join(name), errno.into()))?;
        let digest = match self.written.digest(&opened) {
            Some(digest) => digest,
            // A file that grows meanwhile is not read for ever, and has another digest than that of its beginning.
            None => digest_of(&mut file.take(size.saturating_add(1)))
                .map_err(|source| FileError::new("read", directory.path().join(name), source))?,
        };
        Ok(ObservedEntry::File { digest, size, mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid })
    }
}

/// What stands there, without a look into it.
pub(super) fn shallow(parent: &Directory, name: &OsStr, status: &Stat) -> Result<ObservedEntry, FileError> {
    Ok(match FileType::from_raw_mode(status.st_mode) {
        FileType::Directory => directory_entry(status),
        FileType::Symlink => {
            ObservedEntry::Symlink { target: parent.read_link(name)?.to_string_lossy().escape_debug().to_string() }
        }
        _ => ObservedEntry::Other(kind_of(status.st_mode).into()),
    })
}

fn is_generation(name: &str) -> bool {
    generation_number(name).is_some()
}

/// Whether a name ends in a dash and the beginning of a digest, as those of our plugins do.
fn is_plugin(name: &str) -> bool {
    let is_hex = |digits: &str| digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    name.rsplit_once('-').is_some_and(|(before, digits)| !before.is_empty() && is_hex(digits))
}

fn directory_entry(status: &Stat) -> ObservedEntry {
    ObservedEntry::Directory { mode: status.st_mode & 0o7777, uid: status.st_uid, gid: status.st_gid }
}

/// Whether only this entry is at fault, so that looking at the others goes on.
fn is_about_the_entry(error: &FileError) -> bool {
    use rustix::io::Errno;
    matches!(
        Errno::from_io_error(&error.source),
        Some(Errno::ACCESS | Errno::PERM | Errno::IO | Errno::LOOP | Errno::NOTDIR | Errno::STALE)
    ) || error.source.kind() == io::ErrorKind::InvalidInput
}

/// The path of `name` in `parent`; `None` when it is too long to be a path of ours even so.
fn relative_path(parent: &str, name: &OsStr) -> Option<RelativePath> {
    let join = |name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
    if let Some(path) = name.to_str().and_then(|name| RelativePath::parse(&join(name)).ok()) {
        return Some(path);
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-+@,: ".contains(byte);
    let escaped: String = name
        .as_bytes()
        .iter()
        .map(|byte| if plain(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    RelativePath::parse(&join(&escaped)).ok()
}
