//! `artifact pull`: the archive of an artifact, or the files in it.

use std::io::{self, Write};
use std::path::Path;

use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::digest::{Digest, Hasher};
use falconer_manifests::name::RelativePath;
use falconer_manifests::remedy::Remedy;
use serde_json::json;

use super::arguments::Pull;
use super::locate::{Located, locate};
use super::platform;
use crate::archive::{self, ArchiveError, Limits};
use crate::cli::Failure;
use crate::cli::arguments::Arguments;
use crate::cli::print::Printer;
use crate::layout::directory::{Directory, FILE_MODE, FileError, NewFile};
use crate::pass::{InspectError, layer_of};
use crate::transfer;

/// A file that was written.
struct Written {
    path: String,
    size: u64,
    sha256: Digest,
}

pub(super) async fn pull(arguments: &Arguments, printer: Printer, pull: &Pull) -> Result<u8, Failure> {
    let platform = platform(pull.platform.as_deref())?;
    let (sources, mut located) = locate(arguments, &pull.place, std::slice::from_ref(&pull.reference)).await?;
    let Some(Located { reference, .. }) = located.pop() else { return Ok(0) };
    let document = sources.document(&reference).await?;
    let root = document.digest.clone();
    let (document, manifest) = sources.for_platform(&reference, document, &platform).await?;
    let (kind, layer) = layer_of(&reference, &manifest)?;
    let title = manifest.artifact().ok().and_then(|artifact| artifact.title.map(str::to_string)).unwrap_or_default();
    let title = RelativePath::parse(&title).ok().filter(|title| !title.as_str().contains('/'));
    if title.is_none() && !pull.extract {
        let hint = "take the files themselves with --extract".to_string();
        let error = format!("the archive of {reference} has no name that a file can have");
        return Err(Failure::of(error, Remedy::Author, Some(hint)));
    }

    let directory = open(pull.dest_dir.as_deref().unwrap_or(Path::new(".")))?;
    let temporary = temporary();
    let mut out = Output(directory.create_file(&temporary, FILE_MODE).map_err(unwritten)?, Hasher::new());
    let fetched = sources.layer(&reference.source, &layer, &mut out).await;
    let placed = fetched.map_err(|error| InspectError::from(error).into()).and_then(|()| {
        out.0.sync().map_err(unwritten)?;
        match &title {
            Some(title) if !pull.extract => {
                directory.rename(&temporary, title.as_str()).map_err(unwritten)?;
                Ok(vec![Written { path: title.to_string(), size: layer.size, sha256: layer.digest.clone() }])
            }
            _ => extract(&directory, &temporary, kind),
        }
    });
    directory.discard(&temporary);
    let files = placed?;
    directory.sync().map_err(unwritten)?;

    let shown = directory.path().display();
    let lines = files.iter().map(|file| format!("{shown}/{}  {} bytes  {}", file.path, file.size, file.sha256));
    let text = format!("{reference}  {kind}  {root}\n{}", lines.collect::<Vec<_>>().join("\n"));
    let listed = files.iter().map(|file| json!({"path": file.path, "size": file.size, "sha256": file.sha256}));
    let value = json!({
        "reference": reference.to_string(),
        "type": kind,
        "digest": root,
        "manifest": document.digest,
        "layer": layer.digest,
        "directory": directory.path(),
        "files": listed.collect::<Vec<_>>(),
    });
    printer.answer(&text, &value);
    Ok(0)
}

fn open(path: &Path) -> Result<Directory, Failure> {
    match Directory::open(path) {
        Err(error) if error.is_not_found() => Directory::open_or_create(path).map_err(unwritten),
        opened => opened.map_err(unwritten),
    }
}

/// Writes the files of the archive, after the whole archive has been read and found good: none is written from a bad one.
fn extract(directory: &Directory, archive: &str, kind: ArtifactType) -> Result<Vec<Written>, Failure> {
    let limits = if kind == ArtifactType::Rulesfile { Limits::RULESFILE } else { Limits::PLUGIN };
    let listed = archive::list(directory.open_file(archive).map_err(unwritten)?, &limits).map_err(refused)?;
    let mut written = Vec::new();
    for file in listed {
        let mut parts: Vec<_> = file.path.as_str().split('/').collect();
        let Some(name) = parts.pop() else { continue };
        let mut below = None;
        for part in parts {
            let parent = below.as_ref().unwrap_or(directory);
            below = Some(parent.open_or_create_subdirectory(part).map_err(unwritten)?);
        }
        let place = below.as_ref().unwrap_or(directory);
        let temporary = temporary();
        // Its owner can always write it, and nobody gets more than the archive grants.
        let mut out =
            Output(place.create_file(&temporary, (file.mode & 0o755) | 0o600).map_err(unwritten)?, Hasher::new());
        let source = directory.open_file(archive).map_err(unwritten)?;
        let done = archive::extract(source, &limits, &file.path, Some(&file.digest), &mut out).map_err(refused);
        let done = done.and_then(|size| {
            out.0
                .sync()
                .and_then(|()| place.rename(&temporary, name))
                .and_then(|()| place.sync())
                .map_err(unwritten)?;
            Ok(size)
        });
        if done.is_err() {
            place.discard(&temporary);
        }
        written.push(Written { path: file.path.to_string(), size: done?, sha256: file.digest });
    }
    Ok(written)
}

fn temporary() -> String {
    format!(".falconer-{:016x}.tmp", fastrand::u64(..))
}

/// A new file as something to write to, with what was written so far.
struct Output(NewFile, Hasher);

impl Write for Output {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.write_all(piece).map_err(|error| error.source)?;
        self.1.update(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl transfer::Output for Output {
    fn start_over(&mut self) -> io::Result<()> {
        self.1 = Hasher::new();
        self.0.start_over().map_err(|error| error.source)
    }

    fn end(&mut self) -> io::Result<Digest> {
        Ok(self.1.clone().finish())
    }
}

fn unwritten(error: FileError) -> Failure {
    let hint = "choose a directory that you may write to with --dest-dir".to_string();
    Failure::of(error, Remedy::Operator, Some(hint))
}

fn refused(error: ArchiveError) -> Failure {
    let (remedy, hint) = (error.remedy(), error.hint());
    Failure::of(error, remedy, hint)
}
