mod damage;
mod generations;
mod locking;
mod plugins;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use falconer_manifests::digest::Digest;
use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::name::RelativePath;
use tempfile::TempDir;

use super::*;

const MANIFEST_CONTENT: &[u8] = b"the manifest\n";

/// A state directory that does not exist yet, in a directory that is removed in the end.
struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path().join(path)
    }

    fn lock(&self) -> Locked {
        StateDirectory::open(&self.path()).unwrap().lock().unwrap()
    }
}

fn number(number: u64) -> GenerationNumber {
    GenerationNumber(number)
}

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

fn wanted(name: &str, content: &[u8]) -> GenerationFile {
    GenerationFile { path: path(name), mode: 0o644, size: content.len() as u64, digest: Digest::of(content) }
}

/// Three files, some of them in directories.
fn files() -> Vec<(GenerationFile, Content<'static>)> {
    [("falconer.yaml", "rules_files: []\n"), ("rules/10-a.yaml", "- rule: a\n"), ("rules/deep/b.yaml", "- rule: b\n")]
        .map(|(name, content)| (wanted(name, content.as_bytes()), Content::Bytes(content.as_bytes().into())))
        .into()
}

fn specifications() -> Vec<GenerationFile> {
    files().into_iter().map(|(file, _)| file).collect()
}

fn staged(locked: &Locked, at: u64) -> Staged<'_> {
    locked.stage(number(at), files(), MANIFEST_CONTENT).unwrap()
}

/// Everything below a directory: kind, mode, times of change, size. Nothing was written when two are the same.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, u64, i64, i64, u64)> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let data = std::fs::symlink_metadata(&path).unwrap();
        if data.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (data.mode(), data.ino(), data.ctime(), data.ctime_nsec(), data.size()));
    }
    found
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}
