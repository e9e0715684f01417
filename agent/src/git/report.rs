//! Pushes a report: one commit without parents, put where a reference points.

use std::path::Path;

use falconer_manifests::name::RelativePath;
use falconer_manifests::revision::Revision;
use git2::{Buf, ErrorCode, Odb, Oid};

use super::GitError;
use super::error::sanitised;
use super::local;
use super::packet::{self, Decoder, Packet, text};
use super::poll::AGENT;
use super::remote::{Carrier, Conversation, Remote, Service};
use super::repository::{oid, revision};
use super::verdict::Verdict;

mod branch;
mod build;
mod look;
pub(super) mod sign;
pub(super) mod verify;

pub use build::blob_id;
pub use look::Place;

/// A report and where it goes.
#[derive(Debug, Clone)]
pub struct Report<'a> {
    /// The full name of the reference, e.g. `refs/falconer/hosts/a5/web-1`.
    pub reference: &'a str,
    /// The files of the commit.
    pub files: &'a [(RelativePath, Vec<u8>)],
    /// The commit's message.
    pub message: &'a str,
    /// The author's name.
    pub author: &'a str,
    /// The author's address.
    pub email: &'a str,
    /// The commit's time, in seconds since 1970 (UTC).
    pub time: i64,
    /// What the reference must be now.
    pub expected: Expected,
    /// The SSH key that signs the commit: a private key, or the public one of a key that the user's agent holds.
    pub signing_key: Option<&'a Path>,
}

/// What a reference must be for a push to replace it. In any case nothing is replaced that came after it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Anything,
    /// Not there.
    Absent,
    /// This commit.
    Commit(Revision),
}

/// A report that is where it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedReport {
    /// The commit that the reference points to now.
    pub commit: Revision,
    /// Whether it was pushed; it was not when it was there already.
    pub changed: bool,
}

/// The most bytes of the answer to a push.
pub(super) const ANSWER_CAP: u64 = 1 << 20;

const ZERO: &str = "0000000000000000000000000000000000000000";

impl Remote {
    /// Pushes `report` as a commit without parents. The commit is made in memory: nothing is written on this machine,
    /// unless the remote is a directory of it. The old value is the one that the server listed, or compared by libgit2,
    /// so nothing that somebody else pushed meanwhile is lost (git, Documentation/gitprotocol-pack, "Pushing Data").
    ///
    /// # Errors
    /// [`GitError::Lost`] when the reference is not what was expected, [`GitError::Refused`] when the server or its hooks
    /// refuse, [`GitError::Report`], [`GitError::Unsigned`]; all that can go wrong on the way to a server.
    pub async fn push_report(&mut self, report: &Report<'_>) -> Result<PushedReport, GitError> {
        let malformed = |source| GitError::Report { what: report.reference.to_owned(), source };
        if !report.reference.starts_with("refs/") || !git2::Reference::is_valid_name(report.reference) {
            return Err(malformed(git2::Error::from_str("it is not the full name of a reference")));
        }
        let signature = match report.signing_key {
            Some(key) => {
                let payload = memory().and_then(|memory| build::payload(&memory, report, None)).map_err(malformed)?;
                Some(sign::sign(key, sign::COMMITS, payload.as_bytes()).await?)
            }
            None => None,
        };
        if let Carrier::Local(path) = &self.carrier {
            let target = local::open(path, &self.shown)?;
            return in_directory(&target, report, None, signature.as_deref(), &self.shown);
        }
        let (commit, pack) = packed(report, signature.as_deref()).map_err(malformed)?;
        self.push_pack(report, commit, &pack).await
    }

    /// Pushes `pack`, which holds `commit`, and puts the reference there.
    async fn push_pack(&mut self, report: &Report<'_>, commit: Oid, pack: &[u8]) -> Result<PushedReport, GitError> {
        let malformed = |source| GitError::Report { what: report.reference.to_owned(), source };
        let commit = revision(commit).ok_or_else(|| malformed(git2::Error::from_str("its id is not SHA-1")))?;
        let deadline = self.deadline();
        let (mut conversation, offered) =
            Conversation::open(self, Service::ReceivePack, report.reference, deadline).await?;
        let old = offered.references.found;
        expect(report, old.as_ref(), &self.shown)?;
        if old.as_ref() == Some(&commit) {
            return Ok(PushedReport { commit, changed: false });
        }
        if !offered.capabilities.has("report-status") {
            return Err(conversation.protocol("it does not tell how a push ended"));
        }
        let banded = offered.capabilities.has("side-band-64k");
        let band = if banded { " side-band-64k" } else { "" };
        let mut request = Vec::new();
        let old = old.as_ref().map_or(ZERO, Revision::as_str);
        let command = format!("{old} {commit} {}\0 report-status{band} {AGENT}", report.reference);
        packet::data(&mut request, &[command.as_bytes()]);
        packet::flush(&mut request);
        request.extend_from_slice(pack);
        conversation.ask(request, ANSWER_CAP).await?;
        let verdict = verdict(&mut conversation, banded).await?;
        verdict.of(report.reference, &self.shown)?;
        Ok(PushedReport { commit, changed: true })
    }
}

/// Reads how the push ended.
pub(super) async fn verdict(conversation: &mut Conversation, banded: bool) -> Result<Verdict, GitError> {
    let mut verdict = Verdict::default();
    let mut inner = Decoder::default();
    loop {
        let packet = conversation.packet().await?;
        let Packet::Data(content) = packet else { return Ok(verdict) };
        if !banded {
            verdict.line(&text(&content));
            continue;
        }
        match content.split_first() {
            Some((1, piece)) => inner.feed(piece),
            Some((2, message)) => verdict.said(&String::from_utf8_lossy(message)),
            Some((3, message)) => return Err(conversation.said(&String::from_utf8_lossy(message))),
            _ => return Err(conversation.protocol("a packet of an unknown band")),
        }
        while let Some(packet) = inner.next().map_err(|_| conversation.protocol("a packet has no length"))? {
            if let Packet::Data(content) = packet {
                verdict.line(&text(&content));
            }
        }
    }
}

/// Puts the report into a repository of this machine, on top of `parent` where there is one.
fn in_directory(
    target: &git2::Repository,
    report: &Report<'_>,
    parent: Option<Oid>,
    signature: Option<&str>,
    shown: &str,
) -> Result<PushedReport, GitError> {
    let failed = |source| local::unreadable(shown, source);
    let old = match target.find_reference(report.reference) {
        Ok(reference) => reference.target().and_then(revision),
        Err(error) if error.code() == ErrorCode::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    expect(report, old.as_ref(), shown)?;
    let made = build::commit(target, report, parent, signature).map_err(failed)?;
    let commit = revision(made).ok_or_else(|| failed(git2::Error::from_str("its object ids are not SHA-1")))?;
    if old.as_ref() == Some(&commit) {
        return Ok(PushedReport { commit, changed: false });
    }
    let written = match &old {
        Some(old) => oid(old).and_then(|old| target.reference_matching(report.reference, made, true, old, "")),
        None => target.reference(report.reference, made, false, ""),
    };
    match written {
        Ok(_) => Ok(PushedReport { commit, changed: true }),
        Err(error) if matches!(error.code(), ErrorCode::Modified | ErrorCode::Exists | ErrorCode::Locked) => {
            Err(lost(report, shown, sanitised(error.message())))
        }
        Err(error) => Err(failed(error)),
    }
}

fn expect(report: &Report<'_>, old: Option<&Revision>, shown: &str) -> Result<(), GitError> {
    let expected = match &report.expected {
        Expected::Anything => return Ok(()),
        Expected::Absent => None,
        Expected::Commit(commit) => Some(commit),
    };
    if expected == old {
        return Ok(());
    }
    let word = |revision: Option<&Revision>| revision.map_or("nothing", Revision::short).to_owned();
    Err(lost(report, shown, format!("it is {}, not {}", word(old), word(expected))))
}

fn lost(report: &Report<'_>, shown: &str, said: String) -> GitError {
    GitError::Lost { remote: shown.to_owned(), reference: report.reference.to_owned(), said }
}

/// The commit and a pack of all that it consists of.
fn packed(report: &Report<'_>, signature: Option<&str>) -> Result<(Oid, Vec<u8>), git2::Error> {
    let memory = memory()?;
    let id = build::commit(&memory, report, None, signature)?;
    let mut builder = memory.packbuilder()?;
    builder.set_threads(1);
    builder.insert_commit(id)?;
    let mut pack = Buf::new();
    builder.write_buf(&mut pack)?;
    Ok((id, pack.to_vec()))
}

/// A repository that is nowhere but in memory.
fn memory() -> Result<git2::Repository, git2::Error> {
    let objects = Odb::new()?;
    objects.add_new_mempack_backend(1)?;
    git2::Repository::from_odb(objects)
}
