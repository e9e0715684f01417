//! What a server offers before it is asked: capabilities, and in protocol v0 all references
//! (git, Documentation/gitprotocol-v2 and gitprotocol-pack).

use falconer_manifests::revision::Revision;

use super::GitError;
use super::packet::{Packet, text};
use super::remote::Conversation;

/// How many other branches are kept for the message that one is missing.
pub(super) const OTHERS: usize = 5;

/// The most capabilities of a server of protocol v2; real ones have about eight.
const CAPABILITIES: usize = 1000;

/// What a server offers.
#[derive(Debug, Clone, Default)]
pub(super) struct Advertisement {
    /// Protocol v2, where references are asked for; else they are all here.
    pub(super) is_v2: bool,
    pub(super) capabilities: Capabilities,
    pub(super) references: References,
}

/// What is kept of a list of references.
#[derive(Debug, Clone, Default)]
pub(super) struct References {
    /// The value of the one that was looked for.
    pub(super) found: Option<Revision>,
    /// A few branches that are there.
    pub(super) others: Vec<String>,
}

/// The words that a server describes itself with.
#[derive(Debug, Clone, Default)]
pub(super) struct Capabilities(Vec<String>);

impl Capabilities {
    #[cfg(test)]
    pub(super) fn of(words: &[&str]) -> Self {
        Self(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Whether `name` is offered, with a value or without.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word == name) || self.value(name).is_some()
    }

    /// The value of `name`, when it is offered with one.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// Whether the value of `name` has the word `feature`.
    pub(super) fn has_feature(&self, name: &str, feature: &str) -> bool {
        self.value(name).is_some_and(|value| value.split(' ').any(|word| word == feature))
    }
}

impl References {
    /// Looks at one reference, `reference` being the one that is looked for.
    pub(super) fn see(&mut self, id: &str, name: &str, reference: &str) {
        if name == reference {
            self.found = Revision::parse(id).ok();
        } else if let Some(branch) = name.strip_prefix("refs/heads/")
            && self.others.len() < OTHERS
        {
            self.others.push(super::error::sanitised(branch));
        }
    }
}

impl Advertisement {
    /// That of a server that is known already.
    pub(super) fn v2(capabilities: Capabilities) -> Self {
        Self { is_v2: true, capabilities, references: References::default() }
    }

    /// Reads what the server offers, up to and with its end.
    pub(super) async fn read(conversation: &mut Conversation, reference: &str) -> Result<Self, GitError> {
        let mut offered = Self::default();
        let mut after_service = false;
        loop {
            let line = match conversation.packet().await? {
                Packet::Data(content) => text(&content),
                // http puts `# service=…` and a flush in front.
                Packet::Flush if after_service => {
                    after_service = false;
                    continue;
                }
                Packet::Flush => return Ok(offered),
                Packet::Delimiter | Packet::End => return Err(conversation.protocol("a delimiter among references")),
            };
            after_service = line.starts_with("# service=");
            if after_service {
                continue;
            }
            if line == "version 2" {
                offered.is_v2 = true;
            } else if offered.is_v2 && offered.capabilities.0.len() < CAPABILITIES {
                offered.capabilities.0.push(line);
            } else if offered.is_v2 {
                return Err(conversation.protocol("too many capabilities"));
            } else if !offered.line(&line, reference) {
                return Err(conversation.protocol("a line that is no reference"));
            }
        }
    }

    /// Takes a line of protocol v0; says whether it was one.
    fn line(&mut self, line: &str, reference: &str) -> bool {
        let (line, capabilities) = match line.split_once('\0') {
            Some((line, capabilities)) => (line, Some(capabilities)),
            None => (line, None),
        };
        if let Some(capabilities) = capabilities {
            self.capabilities = Capabilities(capabilities.split(' ').map(str::to_owned).collect());
        }
        match line.split_once(' ') {
            Some(("version" | "shallow", _)) => true,
            Some((id, name)) if id.len() >= 40 => {
                self.references.see(id, name, reference);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_words_with_or_without_values() {
        let capabilities = Capabilities::of(&["agent=git/2", "fetch=shallow filter", "ls-refs", "no-done"]);
        assert!(capabilities.has("fetch") && capabilities.has("ls-refs") && !capabilities.has("ls"));
        assert_eq!(capabilities.value("agent"), Some("git/2"));
        assert_eq!(capabilities.value("ls-refs"), None);
        assert!(capabilities.has_feature("fetch", "filter") && !capabilities.has_feature("fetch", "filt"));
    }

    #[test]
    fn lines_of_protocol_v0() {
        let id = "1".repeat(40);
        let mut offered = Advertisement::default();
        for line in [
            "version 1".to_owned(),
            format!("{id} HEAD\0multi_ack side-band-64k agent=git/2"),
            format!("{id} refs/heads/main"),
            format!("{id} refs/heads/main2"),
            format!("{id} .have"),
            format!("shallow {id}"),
        ] {
            assert!(offered.line(&line, "refs/heads/main"), "{line}");
        }
        assert_eq!(offered.references.found.as_ref().map(Revision::as_str), Some(id.as_str()));
        assert_eq!(offered.references.others, ["main2"]);
        assert!(offered.capabilities.has("side-band-64k"));
        assert!(!offered.line("<html>", "refs/heads/main"));
    }
}
