//! What was hashed while it was written, and has not been touched since.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use falconer_manifests::digest::Digest;
use rustix::fs::Stat;

/// From how many bytes on it pays to remember: reading less again costs nothing.
const MUCH: u64 = 1 << 20;

/// The files that whoever holds this has written: it has hashed them then. It is as short-lived as the lock under which they
/// were written, and no proof of what an earlier one has left. A file that anybody has written to, replaced or given other
/// rights since has another inode or another time of change, which nobody can set. Before Linux 6.13 that time goes by ticks
/// of some milliseconds: what comes in the same tick as our own last write is seen under the next lock.
///
/// So it spares reading what is read only to be sure of it. Whatever becomes live, or is written down as what is wanted, is
/// hashed from the very bytes that are taken.
#[derive(Debug, Default)]
pub struct Proofs(Mutex<BTreeMap<Identity, Digest>>);

/// A file as it is at a moment.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: i64,
    changed: (i64, u64),
}

impl Proofs {
    /// Remembers a file whose content, with all that was written to it, has that digest.
    pub(crate) fn add(&self, digest: &Digest, file: &Stat) {
        if is_much(file) {
            self.lock().insert(Identity::of(file), digest.clone());
        }
    }

    /// The digest of the file's content, when it was written by whoever holds this, and is as it was then.
    pub(crate) fn digest(&self, file: &Stat) -> Option<Digest> {
        is_much(file).then(|| self.lock().get(&Identity::of(file)).cloned()).flatten()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Identity, Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_much(file: &Stat) -> bool {
    u64::try_from(file.st_size).is_ok_and(|size| size >= MUCH)
}

impl Identity {
    // The types of the fields differ between architectures.
    #[allow(clippy::unnecessary_cast, trivial_numeric_casts, reason = "needed on some architectures")]
    pub(super) fn of(file: &Stat) -> Self {
        Self {
            device: file.st_dev as u64,
            inode: file.st_ino as u64,
            size: file.st_size as i64,
            changed: (file.st_ctime as i64, file.st_ctime_nsec as u64),
        }
    }
}
