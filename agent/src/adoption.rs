//! Points falco.yaml at what falconer places: the one edit of a file that is not its own.

use falconer_manifests::falco_config::{self, Adopted};

use crate::falco::{self, Presence};
use crate::pass::{Agent, PassError};

/// An edit of falco.yaml, worked out and not made yet.
#[derive(Debug)]
pub struct Adoption {
    /// The text that was read.
    pub before: String,
    /// The text that is to be there; `None` when falco.yaml is as it must be.
    pub after: Option<String>,
    /// Whether Falco says in its metrics what it has loaded.
    pub serves_metrics: bool,
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
    let documents = falco::documents(&agent.falco, version.as_ref())?;
    let file = documents.path.to_string();
    let evaluated = falco_config::evaluate(&documents.sources(version.as_ref(), None))
        .map_err(|source| PassError::FalcoConfig { file: file.clone(), source })?;
    let after = match falco_config::adopt(&documents.text, &agent.include(), version.as_ref()) {
        Ok(Adopted::Unchanged) => None,
        Ok(Adopted::Changed(text)) => Some(text),
        Err(source) => return Err(PassError::Adopt { file, source }),
    };
    let serves_metrics = falco_config::serves_metrics(&evaluated.settings);
    Ok(Adoption { before: documents.text, after, serves_metrics })
}

/// Makes the edit.
///
/// # Errors
/// When falco.yaml has changed since, or cannot be replaced; it is then as it was.
pub fn carry_out(agent: &Agent, adoption: &Adoption) -> Result<(), PassError> {
    match &adoption.after {
        Some(after) => Ok(falco::adopt(&agent.falco.config_file, &adoption.before, after)?),
        None => Ok(()),
    }
}
