//! The files that are published.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::rules::{self, RulesSummary};

use super::{unpackable, wrong};
use crate::archive::{self, Limits};
use crate::cli::Failure;
use crate::error::chain;
use crate::pack::{DirectoryFile, of_directory};
use crate::pass::PassError;

/// The longest file that is published, in bytes: what an archive may unpack to on a host.
const FILE_CAP: u64 = Limits::PLUGIN.unpacked;

/// A file that becomes, or is, the archive of an artifact.
#[derive(Debug)]
pub(super) struct Input {
    /// Its base name.
    pub(super) name: String,
    /// Its content.
    pub(super) bytes: Vec<u8>,
    /// Its permission bits.
    pub(super) mode: u32,
    /// What a rules file says of itself; nothing of an archive, which falcoctl does not look into either.
    pub(super) summary: Option<RulesSummary>,
}

/// Reads the files. What their author should know is added to `notes`.
pub(super) fn read(files: &[PathBuf], kind: ArtifactType, notes: &mut Vec<String>) -> Result<Vec<Input>, Failure> {
    files.iter().map(|file| read_one(file, kind, notes)).collect()
}

fn read_one(path: &Path, kind: ArtifactType, notes: &mut Vec<String>) -> Result<Input, Failure> {
    let metadata = fs_err::metadata(path).map_err(unreadable)?;
    let mode = metadata.permissions().mode() & 0o777;
    let whole = fs_err::canonicalize(path).map_err(unreadable)?;
    let base = path.file_name().or_else(|| whole.file_name());
    let name = base.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if metadata.is_dir() {
        if kind == ArtifactType::Rulesfile {
            return Err(wrong(format!("{} is a directory", path.display()), "put the rules files into one .tar.gz"));
        }
        let mut files = Vec::new();
        gather(path, &mut files)?;
        let bytes = of_directory(&name, &files).map_err(unpackable)?;
        return Ok(Input { name: format!("{name}.tar.gz"), bytes, mode, summary: None });
    }
    let bytes = content(path)?;
    let mut summary = None;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let limits = if kind == ArtifactType::Rulesfile { Limits::RULESFILE } else { Limits::PLUGIN };
        if let Err(error) = archive::list(bytes.as_slice(), &limits) {
            notes.push(format!("hosts with falconer refuse {}: {}", path.display(), chain(&error)));
        }
    } else if kind == ArtifactType::Rulesfile {
        let text = String::from_utf8_lossy(&bytes);
        let found = rules::check(&path.display().to_string(), &text).map_err(PassError::from)?;
        notes.extend(found.warnings.iter().map(ToString::to_string));
        summary = Some(found);
    }
    Ok(Input { name, bytes, mode, summary })
}

/// The files below a directory in the order of Go's `filepath.Walk`, which falcoctl goes by: names in byte order,
/// sub-directories where their names stand.
fn gather(directory: &Path, files: &mut Vec<DirectoryFile>) -> Result<(), Failure> {
    let entries = fs_err::read_dir(directory).map_err(unreadable)?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    paths.sort();
    for path in paths {
        let metadata = fs_err::symlink_metadata(&path).map_err(unreadable)?;
        if metadata.is_dir() {
            gather(&path, files)?;
        } else if metadata.is_file() {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let mode = metadata.permissions().mode() & 0o777;
            files.push(DirectoryFile { name, mode, bytes: content(&path)? });
        } else {
            let error = format!("{} is neither a file nor a directory", path.display());
            return Err(wrong(error, "take it out of the directory: archives of artifacts hold no links"));
        }
    }
    Ok(())
}

fn content(path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    fs_err::File::open(path).and_then(|file| file.take(FILE_CAP + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_CAP {
        let error = format!("{} is longer than {FILE_CAP} bytes", path.display());
        return Err(wrong(error, "hosts do not take an artifact of that size"));
    }
    Ok(bytes)
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::of(error, Remedy::Operator, Some("name a file that can be read".to_string()))
}
