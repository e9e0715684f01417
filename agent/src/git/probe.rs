//! Tries whether a report could be pushed, and changes nothing.

use falconer_manifests::revision::Revision;

use super::GitError;
use super::local;
use super::packet;
use super::poll::AGENT;
use super::remote::{Carrier, Conversation, Remote, Service};
use super::report::{ANSWER_CAP, verdict};
use super::repository::revision;

/// A pack without objects (git, Documentation/gitformat-pack): the signature, version 2, no objects, and the SHA-1 of these.
const EMPTY_PACK: [u8; 32] = [
    b'P', b'A', b'C', b'K', 0, 0, 0, 2, 0, 0, 0, 0, 0x02, 0x9d, 0x08, 0x82, 0x3b, 0xd8, 0xa8, 0xea, 0xb5, 0x10, 0xad,
    0x6a, 0xc7, 0x5c, 0x82, 0x3c, 0xfd, 0x3e, 0xd3, 0x1e,
];

/// How much was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The server took a push that leaves the reference at this commit, where it was.
    Pushed(Revision),
    /// The server would talk about a push; the reference is not there yet, so none was made.
    Offered,
    /// The repository is a directory of this host; nothing was tried but to open it.
    Local,
}

impl Remote {
    /// Pushes to `reference` what is there already: permissions and hooks have their say, and nothing changes. Where there
    /// is no such reference yet, no push is made.
    ///
    /// # Errors
    /// As [`Remote::push_report`].
    pub async fn probe_report(&mut self, reference: &str) -> Result<Probe, GitError> {
        if let Carrier::Local(path) = &self.carrier {
            let target = local::open(path, &self.shown)?;
            let found = target.find_reference(reference).ok().and_then(|found| found.target()).and_then(revision);
            tracing::debug!(found = found.as_ref().map_or("nothing", Revision::as_str), "the reference for reports");
            return Ok(Probe::Local);
        }
        let deadline = self.deadline();
        let (mut conversation, offered) = Conversation::open(self, Service::ReceivePack, reference, deadline).await?;
        let Some(found) = offered.references.found else { return Ok(Probe::Offered) };
        if !offered.capabilities.has("report-status") {
            return Err(conversation.protocol("it does not tell how a push ended"));
        }
        let banded = offered.capabilities.has("side-band-64k");
        let band = if banded { " side-band-64k" } else { "" };
        let mut request = Vec::new();
        let command = format!("{found} {found} {reference}\0 report-status{band} {AGENT}");
        packet::data(&mut request, &[command.as_bytes()]);
        packet::flush(&mut request);
        request.extend_from_slice(&EMPTY_PACK);
        conversation.ask(request, ANSWER_CAP).await?;
        verdict(&mut conversation, banded).await?.of(reference, &self.shown)?;
        Ok(Probe::Pushed(found))
    }
}
