//! Fetches a commit, and as little else as lineage needs.

use falconer_manifests::revision::Revision;

use super::GitError;
use super::advertisement::Advertisement;
use super::intake::Intake;
use super::lineage;
use super::local;
use super::negotiation::{Answer, Ask, Reply, Step};
use super::remote::{Carrier, Conversation, Remote, Service};
use super::repository::Repository;
use crate::transfer::Deadline;

/// How far back history is fetched where the server does not confirm that the last revision is in it: far enough to find
/// it when clocks were wrong, and bounded when the branch was rewritten.
const DEEP: u32 = 256;

/// What an answer has beyond its pack: lines about shallow commits and progress messages.
const TALK: u64 = 4 << 20;

impl Remote {
    /// Fetches `wanted` into `repository`, unless it is there. The first time that is the commit alone; with `last`, the
    /// revision before, it is what came since, so that [`Remote::lineage`] can tell how the two are related. When the
    /// branch was rewritten, `wanted` comes too, for whoever decides to accept it.
    ///
    /// From a server, blobs over the limit for objects are left out where the server can do that; from a directory they
    /// are always left out.
    ///
    /// # Errors
    /// [`GitError::Moved`] when the server does not have `wanted` any more, [`GitError::TooLarge`] and
    /// [`GitError::BrokenPack`] for what it sends, [`GitError::Incomplete`], [`GitError::Disk`]; all that can go wrong on
    /// the way to a server. After an error the repository is as before.
    pub async fn fetch(
        &mut self,
        repository: &Repository,
        wanted: &Revision,
        last: Option<&Revision>,
    ) -> Result<(), GitError> {
        if repository.has(wanted) {
            return Ok(());
        }
        let deadline = self.deadline();
        match (&self.carrier, last.filter(|last| *last != wanted)) {
            (Carrier::Local(path), _) => {
                local::copy(path, repository, wanted, &self.shown, self.access.limits, deadline)?;
            }
            (_, None) => self.one(repository, Ask::tip(wanted), deadline).await.map(drop)?,
            (_, Some(last)) => self.since(repository, wanted, last, deadline).await?,
        }
        if repository.has(wanted) {
            return Ok(());
        }
        Err(GitError::Incomplete { remote: self.shown.clone(), revision: wanted.clone() })
    }

    async fn since(
        &mut self,
        repository: &Repository,
        wanted: &Revision,
        last: &Revision,
        deadline: Deadline,
    ) -> Result<(), GitError> {
        if !repository.has(last) {
            // Our repository was made anew. A server that gives out any commit gives us the old tip to start from.
            match self.one(repository, Ask::tip(last), deadline).await {
                Ok(_) => {}
                Err(GitError::Moved { .. }) => {
                    let ask = Ask { deepen: Some(DEEP), ..Ask::tip(wanted) };
                    return self.one(repository, ask, deadline).await.map(drop);
                }
                Err(error) => return Err(error),
            }
        }
        let shallow = lineage::boundary(repository, last)?;
        let probe = Ask { wanted, have: Some(last), shallow: &shallow, deepen: None, done: false };
        let done = match self.one(repository, probe, deadline).await? {
            Reply::Taken => return Ok(()),
            Reply::Ready => Ask { done: true, ..probe },
            Reply::NotReady => Ask { done: true, deepen: Some(DEEP), ..probe },
        };
        self.one(repository, done, deadline).await.map(drop)
    }

    /// One request for a pack.
    async fn one(&mut self, repository: &Repository, ask: Ask<'_>, deadline: Deadline) -> Result<Reply, GitError> {
        let limits = self.access.limits;
        let (mut conversation, offered) = Conversation::open(self, Service::UploadPack, "", deadline).await?;
        let Advertisement { is_v2, capabilities, .. } = offered;
        let request = ask.request(is_v2, &capabilities, limits.object).map_err(|problem| self.protocol(problem))?;
        let cap = limits.pack.saturating_add(limits.pack / 64).saturating_add(TALK);
        conversation.ask(request, cap).await?;
        let mut answer = Answer::new(&ask, is_v2, &capabilities);
        let mut intake: Option<Intake<'_>> = None;
        let reply = loop {
            let packet = conversation.packet().await.map_err(|error| moved(error, ask.wanted))?;
            match answer.take(&packet).map_err(|problem| conversation.protocol(problem))? {
                Step::More => {}
                Step::Pack(piece) => {
                    if intake.is_none() {
                        intake = Some(Intake::open(repository, &self.shown, limits, deadline)?);
                    }
                    if let Some(intake) = &mut intake {
                        intake.take(piece)?;
                    }
                }
                Step::Failed(message) => return Err(conversation.said(&message)),
                Step::End(reply) => break reply,
            }
        };
        match (reply, intake) {
            (Reply::Taken, Some(intake)) => intake.finish().map(|()| reply),
            (Reply::Taken, None) => Err(GitError::BrokeOff { remote: self.shown.clone() }),
            (reply, _) => Ok(reply),
        }
    }
}

/// Servers refuse a commit that they do not (or no longer) offer with these words.
fn moved(error: GitError, wanted: &Revision) -> GitError {
    match error {
        GitError::Said { remote, message } if message.contains("not our ref") || message.contains("not valid") => {
            GitError::Moved { remote, wanted: wanted.clone() }
        }
        // Over ssh the message may come on stderr alone.
        GitError::SshFailed { remote, stderr } if stderr.contains("not our ref") => {
            GitError::Moved { remote, wanted: wanted.clone() }
        }
        other => other,
    }
}
