//! The layer: a gzipped tar with one file, or the archive that was given.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};

use super::{PackError, PackInput};

/// What an archive may hold at the most, unpacked, in bytes: enough for what falconer takes from a registry.
const UNPACKED_CAP: u64 = 512 * 1024 * 1024;
/// What a ustar header holds of a name without splitting it, in bytes.
const NAME_CAP: usize = 100;

/// The title and the bytes of the layer.
pub(super) fn layer(input: &PackInput<'_>) -> Result<(String, Vec<u8>), PackError> {
    let file_name = input.file_name;
    let stem = file_name.split('.').next().filter(|stem| is_plain(file_name) && !stem.is_empty());
    let stem = stem.ok_or_else(|| PackError::FileName(file_name.to_owned()))?;
    if input.bytes.starts_with(&[0x1f, 0x8b]) || file_name.ends_with(".tar.gz") || file_name.ends_with(".tgz") {
        inspect(input.bytes).map_err(|source| PackError::Archive { file_name: file_name.to_owned(), source })?;
        return Ok((file_name.to_owned(), input.bytes.to_vec()));
    }
    let bytes = wrap(input).map_err(|source| PackError::Compress { file_name: file_name.to_owned(), source })?;
    Ok((format!("{stem}.tar.gz"), bytes))
}

/// A gzipped ustar archive of the one file: no owner, no time, no name in the gzip header.
fn wrap(input: &PackInput<'_>) -> io::Result<Vec<u8>> {
    compress(|archive| append(archive, input.file_name, input.mode, input.bytes))
}

/// A regular file below a directory that becomes an archive.
#[derive(Debug, Clone)]
pub struct DirectoryFile {
    /// Its base name.
    pub name: String,
    /// Its permission bits.
    pub mode: u32,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The archive that falcoctl makes of the directory `name`: an entry for the directory itself, then every file below it
/// by its base name alone, in the order given. To be published as `name.tar.gz`.
///
/// # Errors
/// [`PackError`] when two files have one name, or a name cannot stand in an archive.
pub fn of_directory(name: &str, files: &[DirectoryFile]) -> Result<Vec<u8>, PackError> {
    let mut names = BTreeSet::from([name]);
    for file in files {
        if !is_plain(&file.name) {
            return Err(PackError::FileName(file.name.clone()));
        }
        if !names.insert(&file.name) {
            return Err(PackError::NameTwice(file.name.clone()));
        }
    }
    if !is_plain(name) || name.len() >= NAME_CAP {
        return Err(PackError::FileName(name.to_owned()));
    }
    let archive = compress(|archive| {
        let mut header = header(0o755, 0)?;
        header.set_path(format!("{name}/"))?;
        header.set_entry_type(tar::EntryType::Directory);
        seal(&mut header)?;
        archive.append(&header, io::empty())?;
        files.iter().try_for_each(|file| append(archive, &file.name, file.mode, &file.bytes))
    });
    archive.map_err(|source| PackError::Compress { file_name: name.to_owned(), source })
}

fn is_plain(name: &str) -> bool {
    let foreign = |c: char| c.is_control() || matches!(c, '/' | '\\');
    name.is_ascii() && !name.contains(foreign) && !matches!(name, "" | "." | "..") && name.len() <= NAME_CAP
}

fn compress(fill: impl FnOnce(&mut tar::Builder<GzEncoder<Vec<u8>>>) -> io::Result<()>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::default()));
    fill(&mut archive)?;
    let mut compressed = archive.into_inner()?;
    compressed.flush()?;
    compressed.finish()
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut header = header(mode, bytes.len() as u64)?;
    header.set_path(name)?;
    header.set_entry_type(tar::EntryType::Regular);
    seal(&mut header)?;
    archive.append(&header, bytes)
}

/// A header with no owner and no time.
fn header(mode: u32, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(mode & 0o777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    Ok(header)
}

/// Sets the checksum: six digits, NUL and a space, as POSIX and Go have it. The tar crate writes a seventh digit in place
/// of the space.
fn seal(header: &mut tar::Header) -> io::Result<()> {
    header.set_cksum();
    let sum = format!("{:06o}\0 ", header.cksum()?);
    for (field, byte) in header.as_old_mut().cksum.iter_mut().zip(sum.bytes()) {
        *field = byte;
    }
    Ok(())
}

/// Reads the archive to its end: all gzip members, and all headers of the tar.
fn inspect(bytes: &[u8]) -> io::Result<()> {
    let mut unpacked = MultiGzDecoder::new(bytes).take(UNPACKED_CAP);
    let mut entries = 0u64;
    for entry in tar::Archive::new(&mut unpacked).entries()? {
        entry?;
        entries += 1;
    }
    io::copy(&mut unpacked, &mut io::sink())?;
    if unpacked.limit() == 0 {
        return Err(io::Error::other(format!("it holds more than {UNPACKED_CAP} bytes")));
    }
    if entries == 0 {
        return Err(io::Error::other("it is empty"));
    }
    Ok(())
}
