//! A directory tree as it is at one moment, so that a test can tell whether anything was written.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Every path below a directory, each with what a write, a rename, a removal or a change of its mode would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, String>);

impl Snapshot {
    pub(super) fn of(root: &Path) -> Self {
        let mut found = BTreeMap::new();
        add(root, &mut found);
        Self(found)
    }

    /// The paths that are not the same in `other`.
    #[must_use]
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a Path> {
        let paths = self.0.keys().chain(other.0.keys().filter(|path| !self.0.contains_key(*path)));
        paths.filter(|path| self.0.get(*path) != other.0.get(*path)).map(PathBuf::as_path).collect()
    }
}

fn add(path: &Path, found: &mut BTreeMap<PathBuf, String>) {
    let data = path.symlink_metadata().unwrap();
    let (seconds, nanoseconds) = (data.ctime(), data.ctime_nsec());
    found.insert(
        path.to_owned(),
        format!("inode {} mode {:o} size {} changed {seconds}.{nanoseconds}", data.ino(), data.mode(), data.size()),
    );
    if data.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| add(&entry.unwrap().path(), found));
    }
}
