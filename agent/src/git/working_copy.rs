//! What a working copy of somebody else's repository says about the files in it.

use std::path::Path;

use git2::StatusOptions;

/// The time of the commit that the working copy around `path` is at, in seconds since 1970; `None` where there is no
/// working copy, and where something in it is not committed. Ignored files, such as what a build makes, do not count.
/// Nothing is written.
#[must_use]
pub fn commit_time(path: &Path) -> Option<u64> {
    let start = if path.is_dir() { path } else { path.parent()? };
    let start = if start.as_os_str().is_empty() { Path::new(".") } else { start };
    let repository = git2::Repository::discover(start).ok()?;
    let mut options = StatusOptions::new();
    options.include_untracked(true).include_ignored(false).update_index(false);
    if !repository.statuses(Some(&mut options)).ok()?.is_empty() {
        return None;
    }
    let commit = repository.head().and_then(|head| head.peel_to_commit()).ok()?;
    u64::try_from(commit.time().seconds()).ok()
}
