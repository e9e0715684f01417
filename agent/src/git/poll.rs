//! Asks where a branch is.

use falconer_manifests::name::BranchName;
use falconer_manifests::revision::Revision;

use super::GitError;
use super::advertisement::{Advertisement, Capabilities, OTHERS, References};
use super::local;
use super::packet::{self, Packet};
use super::remote::{Carrier, Conversation, LIST_CAP, Remote, Service};

impl Remote {
    /// The commit that `branch` points to now. Over http(s) with protocol v2 this is one small request, and one more the
    /// first time; other branches are not listed by the server (git, Documentation/gitprotocol-v2, `ls-refs`).
    ///
    /// # Errors
    /// [`GitError::BranchNotFound`] and [`GitError::Empty`]; all that can go wrong on the way to a server.
    pub async fn poll(&mut self, branch: &BranchName) -> Result<Revision, GitError> {
        let reference = format!("refs/heads/{branch}");
        if let Carrier::Local(path) = &self.carrier {
            return local::poll(path, branch, &reference, &self.shown);
        }
        let was_known = self.known.is_some();
        let answer = self.references(&reference).await;
        // The server may have changed: the next poll asks it again what it can do. Not after an outage, when a whole fleet
        // would ask so at once.
        if was_known && answer.as_ref().is_err_and(|error| !is_away(error)) {
            self.known = None;
        }
        let references = answer?;
        if let Some(revision) = references.found {
            return Ok(revision);
        }
        if references.others.is_empty() {
            return Err(GitError::Empty { remote: self.shown.clone() });
        }
        Err(GitError::BranchNotFound { remote: self.shown.clone(), branch: branch.clone(), others: references.others })
    }

    /// What `reference`, by its full name, points to.
    pub(super) async fn references(&mut self, reference: &str) -> Result<References, GitError> {
        let deadline = self.deadline();
        let (mut conversation, advertisement) =
            Conversation::open(self, Service::UploadPack, reference, deadline).await?;
        let Advertisement { is_v2: true, capabilities, .. } = advertisement else {
            return Ok(advertisement.references);
        };
        let references = listed(&mut conversation, &capabilities, reference, reference).await?;
        if references.found.is_some() {
            return Ok(references);
        }
        listed(&mut conversation, &capabilities, "refs/heads/", reference).await
    }
}

/// Whether nobody has answered, or somebody in the server's place who says that it is away or has too much to do.
const fn is_away(error: &GitError) -> bool {
    match error {
        GitError::Unreachable { .. } | GitError::Late { .. } => true,
        GitError::Busy { status, .. } => matches!(status, 408 | 429 | 502 | 503 | 504),
        _ => false,
    }
}

/// Lists the references that begin with `prefix`, until enough is known.
async fn listed(
    conversation: &mut Conversation,
    capabilities: &Capabilities,
    prefix: &str,
    reference: &str,
) -> Result<References, GitError> {
    let mut references = References::default();
    let mut request = command("ls-refs", capabilities);
    packet::line(&mut request, &format!("ref-prefix {prefix}"));
    packet::flush(&mut request);
    conversation.ask(request, LIST_CAP).await?;
    loop {
        let Packet::Data(content) = conversation.packet().await? else { return Ok(references) };
        let line = packet::text(&content);
        let (id, rest) = line.split_once(' ').ok_or_else(|| conversation.protocol("a line that is no reference"))?;
        let name = rest.split(' ').next().unwrap_or_default();
        references.see(id, name, reference);
        if prefix != reference && references.others.len() >= OTHERS {
            return Ok(references);
        }
    }
}

/// The head of a request of protocol v2, up to where its arguments begin.
pub(super) fn command(name: &str, capabilities: &Capabilities) -> Vec<u8> {
    let mut request = Vec::new();
    packet::line(&mut request, &format!("command={name}"));
    if capabilities.has("agent") {
        packet::line(&mut request, AGENT);
    }
    if capabilities.has("object-format") {
        packet::line(&mut request, "object-format=sha1");
    }
    packet::delimiter(&mut request);
    request
}

/// How we introduce ourselves.
pub(super) const AGENT: &str = concat!("agent=falconer/", env!("CARGO_PKG_VERSION"));
