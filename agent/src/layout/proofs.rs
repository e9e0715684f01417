//! What was hashed while it was written, and has not been touched since.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use falconer_manifests::digest::Digest;
use rustix::fs::Stat;

/// From how many bytes on it pays to remember: reading less again costs nothing.
pub(super) const MUCH: u64 = 1 << 20;

/// The blobs that whoever holds this has written: it has hashed them then. It is as short-lived as the lock under which they
/// were written, and no proof of what an earlier one has left. A file that anybody has written to, replaced or given other
/// rights since has another inode or another time of change, which nobody can set.
#[derive(Debug, Default)]
pub struct Proofs(Mutex<BTreeMap<Digest, Identity>>);

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: i64,
    changed: (i64, u64),
}

impl Proofs {
    /// Remembers the file that has just been written.
    pub(super) fn add(&self, digest: &Digest, file: Option<Stat>) {
        if let Some(file) = file.filter(is_much) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone(), identity(&file));
        }
    }

    /// Whether the file is the one that was written, as it was then.
    pub(super) fn has(&self, digest: &Digest, file: &Stat) -> bool {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.get(digest) == Some(&identity(file))
    }
}

fn is_much(file: &Stat) -> bool {
    u64::try_from(file.st_size).is_ok_and(|size| size >= MUCH)
}

// The types of the fields differ between architectures.
#[allow(clippy::unnecessary_cast, trivial_numeric_casts, reason = "needed on some architectures")]
fn identity(file: &Stat) -> Identity {
    Identity {
        device: file.st_dev as u64,
        inode: file.st_ino as u64,
        size: file.st_size as i64,
        changed: (file.st_ctime as i64, file.st_ctime_nsec as u64),
    }
}
