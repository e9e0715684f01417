//! What was found before, so that a pass with nothing to do need not look for it again.
//!
//! It lives in memory, and as long as the settings: whoever is asked once on the command line looks at everything. What is
//! remembered is only used while the same file, or the same process, is still there.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use falconer_manifests::falco_answers::FalcoVersions;

/// After this long everything is looked at again, whatever is remembered.
pub(super) const FULL_LOOK: Duration = Duration::from_secs(15 * 60);

/// The first bytes of a program that says itself what it is (elf(5)). A script may ask another program.
const ELF: [u8; 4] = *b"\x7fELF";

/// What was found before.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Found>);

#[derive(Debug, Default)]
struct Found {
    versions: Option<(ProgramFile, Instant, FalcoVersions)>,
    process: Option<(u32, u64)>,
    followers: Option<(Instant, Vec<u32>)>,
}

/// One program for as long as nobody has written to its file or put another one in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProgramFile {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl ProgramFile {
    /// The program at `path`; `None` for what says nothing by its file: a script, or what is not there.
    pub(super) fn at(path: &Path) -> Option<Self> {
        let file = fs_err::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }

    fn is_elf(path: &Path) -> bool {
        let mut begin = [0; ELF.len()];
        fs_err::File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && begin == ELF
    }
}

impl Memory {
    /// Has everything that other processes may have changed looked at again.
    pub fn doubt(&self) {
        self.found().followers = None;
    }

    /// What `program` has said of itself not long before `now`.
    pub(super) fn versions(&self, program: ProgramFile, now: Instant) -> Option<FalcoVersions> {
        let found = self.found();
        let (known, said_at, versions) = found.versions.as_ref()?;
        (*known == program && now.saturating_duration_since(*said_at) < FULL_LOOK).then(|| versions.clone())
    }

    /// Remembers what `program`, which is at `path`, has said of itself at `now`.
    pub(super) fn said(&self, path: &Path, program: ProgramFile, versions: &FalcoVersions, now: Instant) {
        if ProgramFile::is_elf(path) && ProgramFile::at(path) == Some(program) {
            self.found().versions = Some((program, now, versions.clone()));
        }
    }

    /// The process that surely was the host's Falco: its id, and when it was started.
    pub(super) fn process(&self) -> Option<(u32, u64)> {
        self.found().process
    }

    /// Remembers that process.
    pub(super) fn runs(&self, process: Option<(u32, u64)>) {
        self.found().process = process;
    }

    /// The processes that were found not long before `now` to be a second manager.
    pub(super) fn followers(&self, now: Instant) -> Option<Vec<u32>> {
        let found = self.found();
        let (looked_at, pids) = found.followers.as_ref()?;
        (now.saturating_duration_since(*looked_at) < FULL_LOOK).then(|| pids.clone())
    }

    /// Remembers those processes, for which all were looked at, at `now`.
    pub(super) fn follow(&self, pids: Vec<u32>, now: Instant) {
        self.found().followers = Some((now, pids));
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use falconer_manifests::falco_answers::versions;

    use super::*;

    #[test]
    fn what_is_remembered_ends_with_its_file_and_with_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("falco");
        let said = versions(r#"{"falco_version": "0.44.1", "engine_version": "62"}"#).unwrap();
        let (memory, now) = (Memory::default(), Instant::now());
        let knows = |at| memory.versions(ProgramFile::at(&path).unwrap(), at).is_some();

        fs_err::write(&path, "#!/bin/sh\nexec falco-of-another-place\n").unwrap();
        memory.said(&path, ProgramFile::at(&path).unwrap(), &said, now);
        assert!(!knows(now), "a script");

        fs_err::write(&path, "\x7fELF and so on").unwrap();
        memory.said(&path, ProgramFile::at(&path).unwrap(), &said, now);
        assert!(knows(now) && knows(now + FULL_LOOK / 2) && !knows(now + FULL_LOOK));
        let other = dir.path().join("other");
        fs_err::write(&other, "\x7fELF and so on").unwrap();
        fs_err::rename(&other, &path).unwrap();
        assert!(!knows(now), "another file in its place");

        assert_eq!(memory.followers(now), None);
        memory.follow(vec![7], now);
        assert_eq!((memory.followers(now), memory.followers(now + FULL_LOOK)), (Some(vec![7]), None));
        memory.doubt();
        assert_eq!(memory.followers(now), None);
    }
}
