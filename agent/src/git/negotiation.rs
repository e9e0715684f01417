//! What a fetch says and hears (git, Documentation/gitprotocol-v2 `fetch`, and gitprotocol-pack for protocol v0).

use falconer_manifests::revision::Revision;

use super::advertisement::Capabilities;
use super::packet::{self, Packet, text};
use super::poll::{AGENT, command};

/// One request for a pack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) wanted: &'a Revision,
    /// What we have already.
    pub(super) have: Option<&'a Revision>,
    /// Commits of ours whose parents we do not have.
    pub(super) shallow: &'a [Revision],
    /// The number of commits of history.
    pub(super) deepen: Option<u32>,
    /// Send the pack in any case, not only when all history since `have` is known to be in it.
    pub(super) done: bool,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    /// With a pack.
    Taken,
    /// Without one, but the server has found that `have` is in the history of `wanted`.
    Ready,
    /// Without one.
    NotReady,
}

/// What one packet of an answer means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step<'p> {
    More,
    Pack(&'p [u8]),
    Failed(String),
    End(Reply),
}

/// Follows the answer to an [`Ask`].
#[derive(Debug)]
pub(super) struct Answer {
    is_v2: bool,
    done: bool,
    ready: bool,
    /// The server of protocol v0 sends the pack after `ready` without being asked again.
    no_done: bool,
    section: Section,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Before, or between, sections.
    None,
    Acknowledgments,
    /// Lines that do not matter to us.
    Other,
    Pack,
}

impl<'a> Ask<'a> {
    /// The commit alone, without its history.
    pub(super) const fn tip(wanted: &'a Revision) -> Self {
        Self { wanted, have: None, shallow: &[], deepen: Some(1), done: true }
    }

    /// The request for a server with these capabilities; blobs over `blob_limit` are not wanted.
    pub(super) fn request(
        &self,
        is_v2: bool,
        capabilities: &Capabilities,
        blob_limit: u64,
    ) -> Result<Vec<u8>, &'static str> {
        let mut out = Vec::new();
        let can = |feature: &str| {
            if is_v2 { capabilities.has_feature("fetch", feature) } else { capabilities.has(feature) }
        };
        if is_v2 {
            if !capabilities.has("fetch") {
                return Err("it does not offer to fetch");
            }
            out = command("fetch", capabilities);
            packet::line(&mut out, "no-progress");
            packet::line(&mut out, "ofs-delta");
            packet::line(&mut out, &format!("want {}", self.wanted));
        } else {
            let mut words = vec![format!("want {}", self.wanted)];
            for word in ["multi_ack_detailed", "no-done", "side-band-64k", "ofs-delta", "no-progress", "filter"] {
                if capabilities.has(word) {
                    words.push(word.to_owned());
                }
            }
            if !capabilities.has("side-band-64k") {
                return Err("it does not offer side-band-64k");
            }
            words.push(AGENT.to_owned());
            packet::line(&mut out, &words.join(" "));
        }
        if can("shallow") {
            for shallow in self.shallow {
                packet::line(&mut out, &format!("shallow {shallow}"));
            }
            if let Some(depth) = self.deepen {
                packet::line(&mut out, &format!("deepen {depth}"));
            }
        } else if !self.shallow.is_empty() {
            return Err("it does not serve shallow clones any more");
        }
        if can("filter") {
            packet::line(&mut out, &format!("filter blob:limit={}", blob_limit.saturating_add(1)));
        }
        if !is_v2 {
            packet::flush(&mut out);
        }
        if let Some(have) = self.have {
            packet::line(&mut out, &format!("have {have}"));
        }
        if self.done {
            packet::line(&mut out, "done");
        }
        if is_v2 || !self.done {
            packet::flush(&mut out);
        }
        Ok(out)
    }
}

impl Answer {
    /// Before the first packet of the answer to `ask`.
    pub(super) fn new(ask: &Ask<'_>, is_v2: bool, capabilities: &Capabilities) -> Self {
        Self { is_v2, done: ask.done, ready: false, no_done: capabilities.has("no-done"), section: Section::None }
    }

    /// Takes the next packet.
    pub(super) fn take<'p>(&mut self, packet: &'p Packet) -> Result<Step<'p>, String> {
        match (packet, self.section) {
            (Packet::Data(content), Section::Pack) => band(content),
            (Packet::Flush, Section::Pack) => Ok(Step::End(Reply::Taken)),
            (Packet::Data(content), _) if self.is_v2 => self.v2(content),
            (Packet::Data(content), _) => self.v0(content),
            (Packet::Delimiter, _) if self.is_v2 => {
                self.section = Section::None;
                Ok(Step::More)
            }
            (Packet::Flush, _) if self.is_v2 => Ok(Step::End(self.without_pack())),
            // The end of the lines about shallow commits.
            (Packet::Flush, _) => Ok(Step::More),
            (Packet::Delimiter | Packet::End, _) => Err("a delimiter out of place".to_owned()),
        }
    }

    fn v2(&mut self, content: &[u8]) -> Result<Step<'static>, String> {
        let line = text(content);
        match self.section {
            Section::None => {
                self.section = match line.as_str() {
                    "acknowledgments" => Section::Acknowledgments,
                    "packfile" => Section::Pack,
                    "shallow-info" | "wanted-refs" => Section::Other,
                    _ => return Err(format!("an unknown section {}", super::error::sanitised(&line))),
                };
            }
            Section::Acknowledgments => self.ready |= line == "ready",
            Section::Other | Section::Pack => {}
        }
        Ok(Step::More)
    }

    fn v0<'p>(&mut self, content: &'p [u8]) -> Result<Step<'p>, String> {
        if matches!(content.first(), Some(1..=3)) {
            self.section = Section::Pack;
            return band(content);
        }
        let line = text(content);
        if line == "NAK" {
            let pack_follows = self.done || (self.ready && self.no_done);
            return Ok(if pack_follows { Step::More } else { Step::End(self.without_pack()) });
        }
        match line.split(' ').next() {
            Some("ACK") => self.ready |= line.ends_with(" ready"),
            Some("shallow" | "unshallow") => {}
            _ => return Err(format!("an unknown line {}", super::error::sanitised(&line))),
        }
        Ok(Step::More)
    }

    const fn without_pack(&self) -> Reply {
        if self.ready { Reply::Ready } else { Reply::NotReady }
    }
}

/// A packet of the side band: pack, progress or a fatal message.
fn band(content: &[u8]) -> Result<Step<'_>, String> {
    match content.split_first() {
        Some((1, pack)) => Ok(Step::Pack(pack)),
        Some((2, _progress)) => Ok(Step::More),
        Some((3, message)) => Ok(Step::Failed(String::from_utf8_lossy(message).into_owned())),
        _ => Err("a packet of an unknown band".to_owned()),
    }
}

#[cfg(test)]
mod tests;
