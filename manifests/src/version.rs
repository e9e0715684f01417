//! Versions as falcoctl reads them, and which tag of a repository is wanted.
//!
//! falcoctl reads versions with blang/semver's `ParseTolerant`: `v1.0`, `1` and `01.2.3` are versions too. Build metadata
//! never counts in a comparison.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use semver::{Version, VersionReq};

use crate::finding::Malformed;
use crate::reference::Tag;

const RANGE_HINT: &str = "write ^1.2, ~1.4, 1.x or several conditions, all of which count: >=1, <2";

/// Reads a version leniently: white space around it, one `v` before it and leading zeros do not count, and missing numbers
/// are zeros. A version with less than three numbers has neither a pre-release nor build metadata. `None` for all else.
#[must_use]
pub fn tolerant(text: &str) -> Option<Version> {
    let text = text.trim();
    let mut parts: Vec<String> = text.strip_prefix('v').unwrap_or(text).splitn(3, '.').map(without_zeros).collect();
    while parts.len() < 3 {
        parts.push("0".to_string());
    }
    Version::parse(&parts.join(".")).ok()
}

/// Whether `have` will do where `need` is required: the same major, and not lower. A pre-release is lower than its release.
#[must_use]
pub fn meets(have: &Version, need: &Version) -> bool {
    have.major == need.major && have.cmp_precedence(need) != Ordering::Less
}

/// The higher one; `first` when they are equal.
#[must_use]
pub fn higher<'v>(first: &'v Version, second: &'v Version) -> &'v Version {
    if second.cmp_precedence(first) == Ordering::Greater { second } else { first }
}

/// Conditions on a version, all of which count. Its `Display` gives the text as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    text: String,
    requirement: VersionReq,
}

impl Range {
    /// Reads `^5.1`, `~1.4`, `>=1, <2`, `>=1 <2`, `=1.0.0`, `1.x`, `1.2.*` or `*`. The versions in it are read as
    /// leniently as [`tolerant`] reads them.
    ///
    /// # Errors
    /// [`Malformed`] for all else; a bare version such as `1.2` is no range.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let wrong = || Malformed {
            what: "version requirement",
            value: text.to_string(),
            problem: "is not well-formed",
            hint: RANGE_HINT,
        };
        let conditions = conditions(text).ok_or_else(wrong)?;
        let requirement = VersionReq::parse(&conditions.join(",")).map_err(|_| wrong())?;
        Ok(Self { text: text.to_string(), requirement })
    }

    /// Whether `version` is in the range. A pre-release is only when a condition names a pre-release of the same three
    /// numbers.
    #[must_use]
    pub fn allows(&self, version: &Version) -> bool {
        self.requirement.matches(version)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The tag of the highest version in the range.
///
/// A short tag that is the beginning of a longer one (`5` where there is `5.1.0`) floats: it names no version of its own
/// and is passed over. Of tags for the same version the most exact one is taken, and one without a `v`.
#[must_use]
pub fn newest(tags: &[Tag], range: &Range) -> Option<Tag> {
    let read: Vec<Candidate<'_>> = tags.iter().filter_map(Candidate::read).collect();
    let beginnings: BTreeSet<_> = read.iter().flat_map(Candidate::beginnings).collect();
    let fits = read.iter().filter(|tag| range.allows(&tag.version) && !beginnings.contains(&tag.numbers()));
    fits.max_by(|a, b| a.compare(b)).map(|candidate| candidate.tag.clone())
}

/// The tag of the lowest version that will do where `need` is required. A pre-release will only do for a pre-release of
/// the same three numbers. Tags count as with [`newest`].
#[must_use]
pub fn lowest(tags: &[Tag], need: &Version) -> Option<Tag> {
    let read: Vec<Candidate<'_>> = tags.iter().filter_map(Candidate::read).collect();
    let beginnings: BTreeSet<_> = read.iter().flat_map(Candidate::beginnings).collect();
    let same_numbers = |have: &Version| {
        (have.major, have.minor, have.patch) == (need.major, need.minor, need.patch) && !need.pre.is_empty()
    };
    let will_do = |have: &Version| meets(have, need) && (have.pre.is_empty() || same_numbers(have));
    let fits = read.iter().filter(|tag| will_do(&tag.version) && !beginnings.contains(&tag.numbers()));
    // Of equal versions the most exact tag.
    let found = fits.min_by(|a, b| a.version.cmp_precedence(&b.version).then_with(|| b.compare(a)));
    found.map(|candidate| candidate.tag.clone())
}

/// The highest version among the tags, pre-releases too.
#[must_use]
pub fn highest(tags: &[Tag]) -> Option<Version> {
    tags.iter().filter_map(|tag| tolerant(tag.as_str())).max_by(Version::cmp_precedence)
}

/// A tag that reads as a version.
struct Candidate<'t> {
    tag: &'t Tag,
    version: Version,
    /// How many numbers are written out, 1 to 3.
    length: usize,
}

/// The numbers that a tag writes out.
type Numbers = (u64, Option<u64>, Option<u64>);

impl<'t> Candidate<'t> {
    fn read(tag: &'t Tag) -> Option<Self> {
        let version = tolerant(tag.as_str())?;
        Some(Self { tag, version, length: tag.as_str().splitn(3, '.').count() })
    }

    fn numbers(&self) -> Numbers {
        self.first(self.length)
    }

    fn first(&self, length: usize) -> Numbers {
        let Version { major, minor, patch, .. } = self.version;
        (major, (length > 1).then_some(minor), (length > 2).then_some(patch))
    }

    /// What shorter tags that float over this one write out.
    fn beginnings(&self) -> impl Iterator<Item = Numbers> + '_ {
        (1..self.length).map(|length| self.first(length))
    }

    fn compare(&self, other: &Self) -> Ordering {
        let exactness = |candidate: &Self| {
            let text = candidate.tag.as_str();
            (candidate.length, text == candidate.version.to_string(), !text.starts_with('v'))
        };
        self.version
            .cmp_precedence(&other.version)
            .then_with(|| exactness(self).cmp(&exactness(other)))
            .then_with(|| other.tag.cmp(self.tag))
    }
}

/// Takes leading zeros off, but leaves one digit.
fn without_zeros(part: &str) -> String {
    let rest = part.trim_start_matches('0');
    match part.len() > rest.len() && !rest.starts_with(|first: char| first.is_ascii_digit()) {
        true => alloc::format!("0{rest}"),
        false => rest.to_string(),
    }
}

/// The conditions in the form that [`VersionReq`] reads.
fn conditions(text: &str) -> Option<Vec<String>> {
    let mut conditions = Vec::new();
    for group in text.split(',') {
        let mut operator = "";
        let mut empty = true;
        for word in group.split_whitespace() {
            let version = word.trim_start_matches(['^', '~', '<', '>', '=']);
            let (own, _) = word.split_at_checked(word.len() - version.len())?;
            if !own.is_empty() && !operator.is_empty() {
                return None;
            }
            operator = if own.is_empty() { operator } else { own };
            empty = false;
            if !version.is_empty() {
                conditions.push(condition(operator, version)?);
                operator = "";
            }
        }
        if empty || !operator.is_empty() {
            return None;
        }
    }
    Some(conditions)
}

fn condition(operator: &str, version: &str) -> Option<String> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let wild = version.split('.').any(|part| matches!(part, "x" | "X" | "*"));
    if operator.is_empty() && !wild {
        return None;
    }
    let parts: Vec<String> = version.splitn(3, '.').map(without_zeros).collect();
    Some(alloc::format!("{operator}{}", parts.join(".")))
}

#[cfg(test)]
mod tests;
