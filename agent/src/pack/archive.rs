//! The layer: a gzipped tar with one file, or the archive that was given.

use std::io::{self, Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};

use super::{PackError, PackInput};

/// What an archive may hold at the most, unpacked, in bytes: enough for what falconer takes from a registry.
const UNPACKED_CAP: u64 = 512 * 1024 * 1024;

/// The title and the bytes of the layer.
pub(super) fn layer(input: &PackInput<'_>) -> Result<(String, Vec<u8>), PackError> {
    let file_name = input.file_name;
    let plain = file_name.is_ascii() && !file_name.contains(|c: char| c.is_control() || matches!(c, '/' | '\\'));
    // 100 bytes is what a ustar header holds without splitting the name.
    let stem = file_name.split('.').next().filter(|stem| plain && !stem.is_empty() && file_name.len() <= 100);
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
    let mut header = tar::Header::new_ustar();
    header.set_path(input.file_name)?;
    header.set_size(input.bytes.len() as u64);
    header.set_mode(input.mode & 0o777);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    header.set_cksum();
    // Six digits, NUL and a space, as POSIX and Go have it; the tar crate writes a seventh digit in place of the space.
    let sum = format!("{:06o}\0 ", header.cksum()?);
    for (field, byte) in header.as_old_mut().cksum.iter_mut().zip(sum.bytes()) {
        *field = byte;
    }
    let mut archive = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::default()));
    archive.append(&header, input.bytes)?;
    let mut compressed = archive.into_inner()?;
    compressed.flush()?;
    compressed.finish()
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
