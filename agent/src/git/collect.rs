//! Reads the reports of all hosts.

use std::path::Path;

use falconer_manifests::name::RelativePath;
use falconer_manifests::revision::Revision;

use super::GitError;
use super::intake::Intake;
use super::local;
use super::negotiation::{Answer, Ask, Step};
use super::packet::{self, Packet};
use super::poll::command;
use super::remote::{Carrier, Conversation, LIST_CAP, Remote, Service};
use super::report::sign::COMMITS;
use super::report::verify::Signed;
use super::repository::{Repository, damaged, oid, revision};

mod branch;

/// The most references that are read.
const REFERENCES: usize = 100_000;

/// One commit with a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collected {
    /// The full name of the reference.
    pub reference: String,
    /// The commit.
    pub commit: Revision,
    /// The committer's time, in seconds since 1970.
    pub time: i64,
    /// The file in it, when it is there and not too large.
    pub content: Option<Vec<u8>>,
    /// The signature of the commit.
    pub signed: Option<Signed>,
}

impl Remote {
    /// The file `path` of the commit of each reference that begins with `prefix`, sorted by reference. From a server this
    /// is one list and one pack, which goes into `repository`.
    ///
    /// # Errors
    /// [`GitError::Protocol`] when the server does not speak protocol v2; all that can go wrong on the way to it.
    pub async fn collect(
        &mut self,
        prefix: &str,
        path: &RelativePath,
        repository: &Repository,
    ) -> Result<Vec<Collected>, GitError> {
        let failed = |source| damaged(repository.path(), source);
        if let Carrier::Local(directory) = &self.carrier {
            let source = local::open(directory, &self.shown)?;
            let failed = |source| local::unreadable(&self.shown, source);
            let mut found = Vec::new();
            for reference in source.references_glob(&format!("{prefix}*")).map_err(failed)? {
                let reference = reference.map_err(failed)?;
                let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
                let commit = reference.peel_to_commit().ok().and_then(|commit| revision(commit.id()));
                found.extend(commit.map(|commit| (name, commit)));
            }
            found.sort();
            return found.into_iter().map(|found| collected(&source, found, path).map_err(failed)).collect();
        }
        let deadline = self.deadline();
        let (mut conversation, offered) = Conversation::open(self, Service::UploadPack, "", deadline).await?;
        if !offered.is_v2 {
            return Err(conversation.protocol("it does not speak protocol v2"));
        }
        let mut request = command("ls-refs", &offered.capabilities);
        packet::line(&mut request, &format!("ref-prefix {prefix}"));
        packet::flush(&mut request);
        conversation.ask(request, LIST_CAP).await?;
        let mut found = Vec::new();
        while let Packet::Data(content) = conversation.packet().await? {
            let line = packet::text(&content);
            let (id, name) =
                line.split_once(' ').ok_or_else(|| conversation.protocol("a line that is no reference"))?;
            let name = name.split(' ').next().unwrap_or_default();
            if let (Ok(commit), true) = (Revision::parse(id), name.starts_with(prefix)) {
                found.push((name.to_owned(), commit));
            }
            if found.len() > REFERENCES {
                return Err(conversation.protocol("too many references"));
            }
        }
        found.sort();
        let Some((_, first)) = found.first() else { return Ok(Vec::new()) };
        let limits = self.access.limits;
        let mut request = command("fetch", &offered.capabilities);
        for line in ["no-progress", "ofs-delta"] {
            packet::line(&mut request, line);
        }
        for (_, commit) in &found {
            packet::line(&mut request, &format!("want {commit}"));
        }
        if offered.capabilities.has_feature("fetch", "shallow") {
            packet::line(&mut request, "deepen 1");
        }
        if offered.capabilities.has_feature("fetch", "filter") {
            packet::line(&mut request, &format!("filter blob:limit={}", limits.object.saturating_add(1)));
        }
        packet::line(&mut request, "done");
        packet::flush(&mut request);
        conversation.ask(request, limits.pack.saturating_add(LIST_CAP)).await?;
        let mut answer = Answer::new(&Ask::tip(first), true, &offered.capabilities);
        let mut intake = Intake::open(repository, &self.shown, limits, deadline)?;
        loop {
            let packet = conversation.packet().await?;
            match answer.take(&packet).map_err(|problem| conversation.protocol(problem))? {
                Step::More => {}
                Step::Pack(piece) => intake.take(piece)?,
                Step::Failed(message) => return Err(conversation.said(&message)),
                Step::End(_) => break,
            }
        }
        intake.finish()?;
        found.into_iter().map(|found| collected(&repository.inner, found, path).map_err(failed)).collect()
    }
}

fn collected(
    repository: &git2::Repository,
    (reference, commit): (String, Revision),
    path: &RelativePath,
) -> Result<Collected, git2::Error> {
    let id = oid(&commit)?;
    let found = repository.find_commit(id)?;
    let entry = found.tree()?.get_path(Path::new(path.as_str())).ok();
    let content = entry.and_then(|entry| Some(repository.find_blob(entry.id()).ok()?.content().to_vec()));
    let signed = repository.extract_signature(&id, Some("gpgsig")).ok();
    let signed = signed.map(|(signature, payload)| Signed {
        namespace: COMMITS,
        signature: signature.to_vec(),
        payload: payload.to_vec(),
    });
    Ok(Collected { reference, commit, time: found.committer().when().seconds(), content, signed })
}
