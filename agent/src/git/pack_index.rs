//! Indexes of packs, looked at before libgit2 believes them.
//!
//! libgit2 (1.9) checks neither the checksum of an index nor that the offsets in it lead into its pack: one flipped bit makes
//! it read past the end of the mapped file, which ends the process. Git's own readers check offsets (`packfile.c`).

use std::path::Path;

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// The length of a SHA-1 in bytes.
const HASH: usize = 20;

/// What is wrong with the indexes in a directory of packs; `None` when each ends with the SHA-1 of all that comes before, as
/// its format wants it (gitformat-pack, "pack-*.idx files have the following format").
///
/// # Errors
/// When the directory or an index cannot be read.
pub(super) fn problem(packs: &Path) -> std::io::Result<Option<String>> {
    for entry in fs_err::read_dir(packs)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "idx") && !is_whole(&fs_err::read(&path)?) {
            return Ok(Some(format!("{} is not what was written", path.display())));
        }
    }
    Ok(None)
}

fn is_whole(index: &[u8]) -> bool {
    let split = index.len().checked_sub(HASH).and_then(|at| index.split_at_checked(at));
    split.is_some_and(|(content, hash)| digest(&SHA1_FOR_LEGACY_USE_ONLY, content).as_ref() == hash)
}
