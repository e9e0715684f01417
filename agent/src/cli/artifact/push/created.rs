//! When an artifact was made, so that making it again gives the same digests.
#![expect(
    clippy::disallowed_methods,
    reason = "the time of publishing is the publisher's: from its environment, its repository or its clock"
)]

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use falconer_manifests::remedy::Remedy;

use crate::cli::Failure;
use crate::git;

/// The end of the year 9999, in seconds since 1970: RFC 3339 has four digits for a year.
const END: u64 = 253_402_300_800;

/// A time, and where it comes from.
#[derive(Debug)]
pub(super) struct Created {
    /// RFC 3339, UTC, whole seconds.
    pub(super) time: String,
    /// `SOURCE_DATE_EPOCH`, `commit` or `now`.
    pub(super) from: &'static str,
}

/// `SOURCE_DATE_EPOCH` where it is set (reproducible-builds.org), else the time of the commit where all files lie in
/// repositories without uncommitted changes, else now.
pub(super) fn created(files: &[PathBuf]) -> Result<Created, Failure> {
    if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
        return match text.trim().parse().ok().filter(|seconds| *seconds < END) {
            Some(seconds) => Ok(at(seconds, "SOURCE_DATE_EPOCH")),
            None => {
                let hint = "set it to the seconds since 1970, or take it out of the environment".to_string();
                Err(Failure::of("SOURCE_DATE_EPOCH is no time", Remedy::Operator, Some(hint)))
            }
        };
    }
    let commits = files.iter().map(|file| git::commit_time(file)).collect::<Option<Vec<_>>>();
    if let Some(seconds) = commits.and_then(|commits| commits.into_iter().max()).filter(|seconds| *seconds < END) {
        return Ok(at(seconds, "commit"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(at(now.min(END - 1), "now"))
}

fn at(seconds: u64, from: &'static str) -> Created {
    let time = humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string();
    Created { time, from }
}
