//! Points falco.yaml at what falconer places: the edit of a file that is not its own.

use falconer_manifests::falco_answers::FalcoVersion;
use falconer_manifests::falco_config::{self, Adopted, IncludeEntry, Sources};
use falconer_manifests::ledger::Attachment;
use falconer_manifests::observed::ConfigMode;

use crate::falco::{self, Documents, Presence};
use crate::pass::{self, Agent, PassError};

/// An edit of falco.yaml, worked out and not made yet.
#[derive(Debug)]
pub struct Adoption {
    /// The text that was read.
    pub before: String,
    /// The text that is to be there; `None` when falco.yaml is as it must be.
    pub after: Option<String>,
    /// Whether the ledger does not know yet that falco.yaml is ours.
    pub is_new: bool,
    /// Whether Falco says in its metrics what it has loaded.
    pub serves_metrics: bool,
    attachment: Attachment,
}

/// Works the edit out.
///
/// # Errors
/// When falco.yaml cannot be read, or cannot be edited without a doubt.
pub async fn prepare(agent: &Agent) -> Result<Adoption, PassError> {
    let version = match falco::version(&agent.falco).await? {
        Presence::Absent => None,
        Presence::Present(versions) => Some(versions.falco),
    };
    let version = version.as_ref();
    let documents = falco::documents(&agent.falco, version)?;
    let before = documents.text.clone();
    let include = agent.include();
    let text = falco_config::owner_text(documents.path.as_str(), &before)?;
    let evaluated = falco_config::evaluate(&Sources { text: &text, ..documents.sources(version, Some(&include)) })
        .map_err(|source| PassError::FalcoConfig { file: documents.path.to_string(), source })?;
    let serves_metrics = falco_config::serves_metrics(&evaluated.settings);
    let (attachment, after) = match agent.settings.falco.config {
        ConfigMode::Include => (Attachment::Include, included(agent, documents, text, version)?),
        ConfigMode::Edit => {
            let refused = |source| PassError::Adopt { file: documents.path.to_string(), source };
            // Blocks that are there stay: what they keep of the owner is in them alone.
            let text = match falco_config::without_include(&before, &include, version) {
                Ok(text) => text,
                Err(source) => return Err(refused(source)),
            };
            let sources = Sources { text: &text, ..documents.sources(version, Some(&include)) };
            let after = match pass::placed(agent).await? {
                Some(placed) => {
                    let root = agent.settings.state.join(&placed.generation.directory());
                    falco_config::with_keys(&sources, &placed.composition.keys(&root))?
                }
                None => falco_config::with_marks(&sources)?,
            };
            (Attachment::Edit, after)
        }
    };
    let is_new = pass::attachment(agent)? != attachment;
    Ok(Adoption { after: (after != before).then_some(after), before, is_new, serves_metrics, attachment })
}

/// `text` with our include, with which Falco must be able to start.
fn included(
    agent: &Agent,
    mut documents: Documents,
    text: String,
    version: Option<&FalcoVersion>,
) -> Result<String, PassError> {
    let (file, include) = (documents.path.to_string(), agent.include());
    let after = match falco_config::adopt(&text, &include, version) {
        Ok(Adopted::Unchanged) => text,
        Ok(Adopted::Changed(after)) => after,
        Err(source) => return Err(PassError::Adopt { file, source }),
    };
    // As it will be: an included file may have the old name of the list, which cannot stand beside ours.
    documents.includes.insert(include, IncludeEntry::File("rules_files: []\n".to_string()));
    match falco_config::evaluate(&Sources { text: &after, ..documents.sources(version, None) }) {
        Ok(_) => Ok(after),
        Err(source) => Err(PassError::FalcoConfig { file, source }),
    }
}

/// Makes the edit.
///
/// # Errors
/// When falco.yaml has changed since, or cannot be replaced; it is then as it was.
pub fn carry_out(agent: &Agent, adoption: &Adoption) -> Result<(), PassError> {
    pass::attach(agent, &adoption.before, adoption.after.as_deref(), adoption.attachment)
}
