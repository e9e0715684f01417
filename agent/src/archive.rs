//! Artifact archives: a gzipped tar, read entry by entry and never unpacked.
//!
//! A leaf that rooms use; it knows no room and touches no file. It takes only what every tar reader reads alike: regular
//! files and directories with plain relative names. Everything else is refused by name, also where only a careless
//! reader would be fooled. Of what ustar, pax (POSIX.1-2017, pax) and GNU tar know, long names are understood; links,
//! devices, sparse files and sizes that are said twice in two ways are not.

mod error;
mod input;
mod pax;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use falconer_manifests::digest::{Digest, Hasher};
use falconer_manifests::name::RelativePath;
use tar::{Archive, EntryType, Header};

pub use self::error::{ArchiveError, Refusal};
use self::input::Input;

/// How much is read at once, in bytes.
const PIECE: usize = 128 << 10;

/// How much an archive may make us do.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many files and directories; also how many extension records.
    pub entries: usize,
    /// Bytes of the gzipped archive.
    pub compressed: u64,
    /// Bytes of the tar in it, headers included.
    pub unpacked: u64,
    /// Unpacked bytes for each compressed one. Archives of up to 1 MiB unpacked are not measured.
    pub ratio: u64,
}

impl Limits {
    /// For rules files: 8 MiB, 32 MiB unpacked.
    pub const RULESFILE: Self = Self { entries: 64, compressed: 8 << 20, unpacked: 32 << 20, ratio: 200 };

    /// For plugins and assets: 128 MiB, 512 MiB unpacked.
    pub const PLUGIN: Self = Self { entries: 64, compressed: 128 << 20, unpacked: 512 << 20, ratio: 200 };
}

/// A regular file of an archive, with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Its name.
    pub path: RelativePath,
    /// Its permission bits; setuid, setgid and sticky are dropped.
    pub mode: u32,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// A regular file of an archive, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Its name.
    pub path: RelativePath,
    /// Its permission bits; setuid, setgid and sticky are dropped.
    pub mode: u32,
    /// Its length in bytes.
    pub size: u64,
    /// The digest of its content.
    pub digest: Digest,
}

/// The regular files of an archive, in its order, with their contents: at most `limits.unpacked` bytes of memory.
///
/// # Errors
/// When anything in the archive is refused, however far behind.
pub fn entries(reader: impl Read, limits: &Limits) -> Result<Vec<ArchiveFile>, ArchiveError> {
    let mut files = Vec::new();
    walk(reader, limits, |path, mode, content| {
        let mut bytes = Vec::new();
        copy(content, |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        files.push(ArchiveFile { path: path.clone(), mode, bytes });
        Ok(())
    })?;
    Ok(files)
}

/// The regular files of an archive, in its order, with their sizes and digests: memory does not grow with the contents.
///
/// # Errors
/// When anything in the archive is refused, however far behind.
pub fn list(reader: impl Read, limits: &Limits) -> Result<Vec<ListedFile>, ArchiveError> {
    let files = unpack(reader, limits, || Ok(io::sink()))?;
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

/// As [`list`]; the content of each file goes to something that `begin` gives. What was written is worthless after an error.
///
/// # Errors
/// As [`list`]; also when what `begin` gives fails.
pub fn unpack<W: Write>(
    reader: impl Read,
    limits: &Limits,
    begin: impl Fn() -> io::Result<W>,
) -> Result<Vec<(ListedFile, W)>, ArchiveError> {
    let mut files = Vec::new();
    walk(reader, limits, |path, mode, content| {
        let mut output = begin().map_err(ArchiveError::Output)?;
        let mut hasher = Hasher::new();
        let size = copy(content, |piece| {
            hasher.update(piece);
            output.write_all(piece).map_err(ArchiveError::Output)
        })?;
        files.push((ListedFile { path: path.clone(), mode, size, digest: hasher.finish() }, output));
        Ok(())
    })?;
    Ok(files)
}

/// Writes the file `path` of an archive to `output` and gives its size in bytes. What was written is worthless after
/// an error: the whole archive is read before it is believed. Without `expected` the content is whatever it is, for an
/// `output` that checks it.
///
/// # Errors
/// When there is no such file, when its content is not `expected`, when `output` fails, or when anything in the archive
/// is refused.
pub fn extract(
    reader: impl Read,
    limits: &Limits,
    path: &RelativePath,
    expected: Option<&Digest>,
    output: &mut dyn Write,
) -> Result<u64, ArchiveError> {
    let mut written = None;
    walk(reader, limits, |found, _, content| {
        if found != path {
            return copy(content, |_| Ok(())).map(|_| ());
        }
        let mut hasher = expected.is_some().then(Hasher::new);
        let size = copy(content, |piece| {
            if let Some(hasher) = &mut hasher {
                hasher.update(piece);
            }
            output.write_all(piece).map_err(ArchiveError::Output)
        })?;
        if let (Some(wanted), Some(found)) = (expected, hasher.map(Hasher::finish))
            && found != *wanted
        {
            return Err(ArchiveError::Mismatch { path: path.clone(), wanted: wanted.clone(), found });
        }
        written = Some(size);
        Ok(())
    })?;
    written.ok_or_else(|| ArchiveError::Missing { path: path.clone() })
}

/// Reads a whole archive and gives each regular file's name, mode and content to `visit`, which reads it to its end.
fn walk(
    reader: impl Read,
    limits: &Limits,
    mut visit: impl FnMut(&RelativePath, u32, &mut dyn Read) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let input = Input::new(reader, limits);
    let exceeded = input.exceeded();
    walk_tar(input, limits, &mut visit).map_err(|error| match (exceeded.take(), error) {
        // The reader that stopped knows better why than the one that found its input ended.
        (Some(exceeded), _) => exceeded,
        (None, error) => error,
    })
}

fn walk_tar(
    input: Input<impl Read>,
    limits: &Limits,
    visit: &mut impl FnMut(&RelativePath, u32, &mut dyn Read) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let mut archive = Archive::new(input);
    let mut names = Names::default();
    let (mut members, mut extensions) = (0, 0);
    let mut extension = pax::Extension::default();
    for entry in archive.entries().map_err(ArchiveError::Malformed)?.raw(true) {
        let mut entry = entry.map_err(ArchiveError::Malformed)?;
        let header = entry.header().clone();
        let label = label(&extension, &header);
        let refuse = |reason| ArchiveError::Refused { entry: label.clone(), reason };
        require_known_format(&header).map_err(refuse)?;
        let size = header.entry_size().map_err(ArchiveError::Malformed)?;
        let kind = header.entry_type();
        let counted = if pax::is_extension(kind) { &mut extensions } else { &mut members };
        *counted += 1;
        if *counted > limits.entries {
            return Err(ArchiveError::TooMany { cap: limits.entries });
        }
        if pax::is_extension(kind) {
            extension.take(kind, size, &mut entry).map_err(|error| error.of(&label))?;
            continue;
        }
        let extension = std::mem::take(&mut extension);
        if extension.size.is_some_and(|said| said != size) {
            return Err(refuse(Refusal::TwoSizes));
        }
        let directory = require_plain(kind, size).map_err(refuse)?;
        let name = extension.name.map_or_else(|| header.path_bytes().into_owned(), Into::into);
        let Some(path) = plain_path(&name, directory).map_err(refuse)? else { continue };
        names.add(&path, directory).map_err(refuse)?;
        if !directory {
            let mode = header.mode().map_err(ArchiveError::Malformed)? & 0o777;
            let mut content = Exact { inner: &mut entry, left: size };
            visit(&path, mode, &mut content)?;
        }
    }
    if !extension.is_empty() {
        return Err(ArchiveError::Refused { entry: "the end".into(), reason: Refusal::ExtensionOfNothing });
    }
    require_end(&mut archive.into_inner())
}

/// Requires a header of ustar or of GNU tar: in others, and in Schilling's variant of ustar, readers find different names.
fn require_known_format(header: &Header) -> Result<(), Refusal> {
    let schilling = header.as_bytes().ends_with(b"tar\0");
    if header.as_gnu().is_some() || (header.as_ustar().is_some() && !schilling) {
        return Ok(());
    }
    Err(Refusal::UnknownFormat)
}

/// Gives whether the entry is a directory; anything but a directory or a regular file is refused.
fn require_plain(kind: EntryType, size: u64) -> Result<bool, Refusal> {
    match kind {
        EntryType::Regular => Ok(false),
        EntryType::Directory if size == 0 => Ok(true),
        EntryType::Directory => Err(Refusal::DirectoryWithContent),
        EntryType::Link => Err(Refusal::HardLink),
        EntryType::Symlink => Err(Refusal::SymbolicLink),
        EntryType::Char | EntryType::Block => Err(Refusal::Device),
        EntryType::Fifo => Err(Refusal::Fifo),
        EntryType::GNUSparse => Err(Refusal::Sparse),
        _ => Err(Refusal::UnknownKind),
    }
}

/// The entry's name in normal form; `None` for the root of the archive itself.
fn plain_path(name: &[u8], directory: bool) -> Result<Option<RelativePath>, Refusal> {
    let mut name = std::str::from_utf8(name).map_err(|_| Refusal::NotUtf8)?;
    if name.starts_with('/') {
        return Err(Refusal::Absolute);
    }
    while let Some(rest) = name.strip_prefix("./") {
        name = rest;
    }
    if directory {
        name = name.strip_suffix('/').unwrap_or(name);
        if matches!(name, "" | ".") {
            return Ok(None);
        }
    }
    if name.split('/').any(|part| part == "..") {
        return Err(Refusal::Parent);
    }
    RelativePath::parse(name).map(Some).map_err(|_| Refusal::BadName)
}

/// The names met so far: no name twice, and no file that is also a directory.
#[derive(Default)]
struct Names(BTreeMap<String, bool>);

impl Names {
    fn add(&mut self, path: &RelativePath, directory: bool) -> Result<(), Refusal> {
        let path = path.as_str();
        for (end, _) in path.match_indices('/') {
            if !*self.0.entry(path.get(..end).unwrap_or_default().into()).or_insert(true) {
                return Err(Refusal::Duplicate);
            }
        }
        match self.0.insert(path.into(), directory) {
            None => Ok(()),
            Some(true) if directory => Ok(()),
            Some(_) => Err(Refusal::Duplicate),
        }
    }
}

/// An entry's content, which must be as long as its header says: the end of the input is no end of the entry.
struct Exact<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}

/// Gives all of `content` to `take`, in pieces as large as can be.
fn copy(content: &mut dyn Read, mut take: impl FnMut(&[u8]) -> Result<(), ArchiveError>) -> Result<u64, ArchiveError> {
    let mut buffer = vec![0; PIECE];
    let mut size = 0;
    loop {
        let mut filled = 0;
        while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
            match content.read(free) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::Malformed(error)),
            }
        }
        size += filled as u64;
        take(buffer.get(..filled).unwrap_or_default())?;
        if filled < buffer.len() {
            return Ok(size);
        }
    }
}

/// Requires that nothing but zeros, the padding of a tar, stands behind the last entry.
fn require_end(input: &mut impl Read) -> Result<(), ArchiveError> {
    let mut zero = true;
    copy(input, |piece| {
        zero &= piece.iter().all(|byte| *byte == 0);
        if zero { Ok(()) } else { Err(ArchiveError::Trailing) }
    })
    .map(|_| ())
}

/// The entry's name for people.
fn label(extension: &pax::Extension, header: &Header) -> String {
    let name = extension.name.as_ref().map_or_else(|| header.path_bytes().into_owned(), |name| name.clone().into());
    let name: String = String::from_utf8_lossy(&name).chars().take(200).collect();
    name.escape_debug().to_string()
}
