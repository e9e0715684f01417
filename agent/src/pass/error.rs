//! What can end a pass.

use falconer_manifests::admit::Misfit;
use falconer_manifests::falco_config::{AdoptError, EvaluateError};
use falconer_manifests::finding::Findings;
use falconer_manifests::generation::DraftError;
use falconer_manifests::name::RelativePath;
use falconer_manifests::remedy::Remedy;
use falconer_manifests::revision::Revision;
use falconer_manifests::schema::{NEWER_HINT, NewerDocument};
use falconer_manifests::window::Waiting;

use super::report::SinkError;
use crate::archive::ArchiveError;
use crate::falco::FalcoError;
use crate::git::GitError;
use crate::index::IndexError;
use crate::layout::LayoutError;
use crate::registry::RegistryError;
use crate::settings::SettingsError;
use crate::store::StoreError;

/// What can end a pass.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] reqwest::Error),
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// An index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// An OCI layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The place for drift reports.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The state directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The host's Falco.
    #[error(transparent)]
    Falco(#[from] FalcoError),
    /// falco.yaml cannot be edited.
    #[error("{file} cannot be edited")]
    Adopt {
        /// The file.
        file: String,
        /// Why.
        source: AdoptError,
    },
    /// falco.yaml cannot be evaluated.
    #[error("{file} cannot be understood")]
    FalcoConfig {
        /// The file.
        file: String,
        /// Why.
        source: EvaluateError,
    },
    /// The desired state is not what it must be.
    #[error("{0}")]
    Desired(#[from] Findings),
    /// The ledger is not what it must be.
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    /// A newer falconer was at work here.
    #[error(transparent)]
    Newer(#[from] NewerDocument),
    /// A document of the desired state is not in the repository.
    #[error("revision {} has no {path}", revision.short())]
    NoDocument {
        /// The revision.
        revision: Revision,
        /// The document.
        path: RelativePath,
    },
    /// A document of the desired state is not text.
    #[error("{path} at revision {} is not UTF-8", revision.short())]
    NotText {
        /// The revision.
        revision: Revision,
        /// The document.
        path: RelativePath,
    },
    /// The lockfile does not answer the desired state.
    #[error("{path} at revision {} does not answer fleet.yaml: {why}", revision.short())]
    StaleLock {
        /// The revision.
        revision: Revision,
        /// The lockfile.
        path: RelativePath,
        /// Why not.
        why: String,
    },
    /// This host's Falco cannot run what is wanted.
    #[error("this host cannot run revision {}: {}", revision.short(), sentences(misfits))]
    Misfits {
        /// The revision.
        revision: Revision,
        /// Why not; never empty.
        misfits: Vec<Misfit>,
    },
    /// A lockfile is required and not committed.
    #[error("revision {} has no {path}, and this host requires one", revision.short())]
    NoLock {
        /// The revision.
        revision: Revision,
        /// The lockfile.
        path: RelativePath,
    },
    /// The branch does not continue the revision that was accepted last.
    #[error("branch {branch} was rewritten: {} does not descend from {}, which this host has accepted", to.short(), from.short())]
    Rewritten {
        /// The branch.
        branch: String,
        /// The revision that was accepted last.
        from: Revision,
        /// The revision that the branch names now.
        to: Revision,
    },
    /// Nothing may be asked of a registry now.
    #[error("{}", .0.reason)]
    Waits(Waiting),
    /// Artifacts were never resolved for this revision, and only the host was to be looked at.
    #[error("the artifacts of revision {} are not resolved yet", .0.short())]
    NotResolved(Revision),
    /// The config blob of an artifact is not what it must be.
    #[error("the config of {artifact} is not well-formed")]
    Config {
        /// The artifact.
        artifact: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The archive of an artifact is not what it must be.
    #[error("the archive of {artifact} is not taken")]
    Archive {
        /// The artifact.
        artifact: String,
        /// Why.
        source: ArchiveError,
    },
    /// A registry where a layout is meant.
    #[error("{layout} is no layout")]
    NotALayout {
        /// The source.
        layout: String,
    },
    /// Bytes cannot be taken.
    #[error("cannot write")]
    Write(#[source] std::io::Error),
    /// Signals cannot be listened to.
    #[error("signals cannot be listened to")]
    Signals(#[source] std::io::Error),
    /// A record cannot be written as text.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A document of ours cannot be written as text.
    #[error("{document} cannot be written as text: {reason}")]
    Render {
        /// The document.
        document: &'static str,
        /// Why.
        reason: String,
    },
}

/// The ledger cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LedgerError(pub Findings);

fn sentences(misfits: &[Misfit]) -> String {
    misfits.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl PassError {
    /// Who can end it.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Settings(error) => error.remedy(),
            Self::Git(error) => error.remedy(),
            Self::Registry(error) => error.remedy(),
            Self::Index(error) => error.remedy(),
            Self::Layout(error) => error.remedy(),
            Self::Sink(error) => error.remedy(),
            Self::Store(error) => error.remedy(),
            Self::Falco(error) => error.remedy(),
            Self::Adopt { source, .. } => source.remedy(),
            Self::FalcoConfig { source, .. } => source.remedy(),
            Self::Archive { source, .. } => source.remedy(),
            Self::Desired(_)
            | Self::NoDocument { .. }
            | Self::NotText { .. }
            | Self::StaleLock { .. }
            | Self::Misfits { .. }
            | Self::NoLock { .. }
            | Self::Rewritten { .. }
            | Self::Config { .. } => Remedy::Author,
            Self::Waits(_) | Self::NotResolved(_) => Remedy::Time,
            Self::Ledger(_) | Self::Newer(_) | Self::Write(_) | Self::Signals(_) => Remedy::Operator,
            Self::Tls(_) | Self::NotALayout { .. } | Self::Draft(_) | Self::Render { .. } => Remedy::Us,
        }
    }

    /// Whether somebody could not be asked: Git, an index or a registry.
    #[must_use]
    pub const fn is_of_asking(&self) -> bool {
        matches!(self, Self::Git(_) | Self::Registry(_) | Self::Index(_))
    }

    /// The next act.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Settings(error) => return Some(error.hint()),
            Self::Git(error) => return error.hint(),
            Self::Registry(error) => return error.hint(),
            Self::Index(error) => return Some(error.hint().to_string()),
            Self::Layout(error) => return error.hint(),
            Self::Sink(error) => return error.hint(),
            Self::Store(error) => return error.hint(),
            Self::Falco(error) => return Some(error.hint().to_string()),
            Self::Adopt { source, .. } => return Some(source.hint().to_string()),
            Self::FalcoConfig { source, .. } => return Some(source.hint().to_string()),
            Self::Archive { source, .. } => return source.hint(),
            Self::Desired(_) | Self::Ledger(_) => return None,
            Self::Misfits { misfits, .. } => return misfits.first().map(|misfit| misfit.hint.clone()),
            Self::Newer(_) => NEWER_HINT,
            Self::Tls(_) => "report this as a bug of falconer",
            Self::NoDocument { .. } => {
                "commit it, or set `path` under `[repository]` in agent.toml to the directory that holds it"
            }
            Self::NotText { .. } => "save it as UTF-8",
            Self::StaleLock { .. } | Self::NoLock { .. } => {
                "run `falconer lock` in the repository and commit what it writes"
            }
            Self::Rewritten { .. } => {
                "push a commit on top of the accepted revision; history that hosts follow is not rewritten"
            }
            Self::Waits(waiting) => return Some(waiting.hint.clone()),
            Self::NotResolved(_) => "nothing: the next pass asks for them",
            Self::Config { .. } => "publish the artifact again",
            Self::Write(_) => "make room on the disk",
            Self::Signals(_) => "start falconer again",
            Self::NotALayout { .. } | Self::Draft(_) | Self::Render { .. } => {
                "this is a bug of falconer; report it with this message"
            }
        };
        Some(hint.to_string())
    }
}
