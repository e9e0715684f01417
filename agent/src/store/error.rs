//! What can go wrong in the state directory.

use std::path::{Path, PathBuf};

use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::name::RelativePath;
use falconer_manifests::remedy::Remedy;

use super::ContentError;
use crate::layout::LayoutError;
use crate::layout::directory::FileError;

/// Why the store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The blobs could not be read or written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Another falconer holds the lock. The program then ends with exit code 75.
    #[error("another falconer is at work in {}", path.display())]
    Busy {
        /// The state directory.
        path: PathBuf,
    },
    /// A newer falconer has written the directory. Nothing was touched.
    #[error("{} says format {found}, and this falconer knows formats up to {known}", path.display())]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// The format it says.
        found: u32,
        /// The newest format that we know.
        known: u32,
    },
    /// The directory was in use, and does not say which format it has. Nothing was touched.
    #[error("{} is missing beside `{beside}`: the format of this state directory is not known", path.display())]
    NoFormat {
        /// The file that should say so.
        path: PathBuf,
        /// What shows that the directory was in use.
        beside: &'static str,
        /// The format that we write.
        known: u32,
    },
    /// Something of ours is not what we have made.
    #[error("{} {problem}", path.display())]
    Damaged {
        /// What it is.
        path: PathBuf,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// Others could have written the directory.
    #[error("the state directory {} {problem}", path.display())]
    Untrusted {
        /// The directory.
        path: PathBuf,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
        /// The next act.
        hint: String,
    },
    /// The directory is in use for something else.
    #[error("{} is no state directory: it holds `{other}`", path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// The first thing in it that is not ours.
        other: String,
    },
    /// The number of a new generation is taken.
    #[error("there is a generation {number} already")]
    Exists {
        /// The number.
        number: GenerationNumber,
    },
    /// A generation that is in use cannot be removed.
    #[error("generation {number} is the current one")]
    InUse {
        /// The number.
        number: GenerationNumber,
    },
    /// A generation is not what it must be.
    #[error("generation {number} is not intact: {path} {problem}")]
    Differs {
        /// The number.
        number: GenerationNumber,
        /// Where it differs.
        path: String,
        /// How, as the end of a sentence.
        problem: &'static str,
    },
    /// What was to be staged is not what was announced.
    #[error("the content of {path} is not what falconer.lock says: {problem}")]
    Unexpected {
        /// The file in the generation.
        path: RelativePath,
        /// How it differs.
        problem: String,
    },
    /// What was to be staged could not be read.
    #[error("cannot read the content of {path}")]
    Content {
        /// The file in the generation.
        path: RelativePath,
        /// Why.
        #[source]
        source: ContentError,
    },
}

impl StoreError {
    /// The state directory's path is that of something else.
    pub(super) fn link(path: &Path) -> Self {
        Self::Untrusted {
            path: path.to_owned(),
            problem: "is a symbolic link or no directory",
            hint: "set paths.state to the directory itself".into(),
        }
    }

    /// Who can end this.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::File(error) => error.remedy(),
            Self::Layout(error) => error.remedy(),
            Self::Content { source, .. } => source.remedy(),
            Self::Busy { .. } | Self::Differs { .. } => Remedy::Time,
            Self::NewerFormat { .. }
            | Self::NoFormat { .. }
            | Self::Damaged { .. }
            | Self::Untrusted { .. }
            | Self::NotOurs { .. } => Remedy::Operator,
            Self::Unexpected { .. } => Remedy::Author,
            Self::Exists { .. } | Self::InUse { .. } => Remedy::Us,
        }
    }

    /// The next act of the person who reads this.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::Layout(error) => error.hint(),
            Self::Content { source, .. } => source.hint(),
            Self::Busy { .. } => Some("try again later; a service may be running: systemctl status falconer".into()),
            Self::NewerFormat { .. } => Some("install the falconer that wrote it, or a newer one".into()),
            Self::NoFormat { path, known, .. } => Some(format!(
                "if no newer falconer was ever at work here: echo {known} > {}; else install that one",
                path.display()
            )),
            Self::Damaged { path, .. } => Some(format!("look at {} and move it away", path.display())),
            Self::Untrusted { path, hint, .. } => Some(format!("{}: {hint}", path.display())),
            Self::NotOurs { .. } => Some("set paths.state to a directory of its own, e.g. /var/lib/falconer".into()),
            Self::Differs { .. } => Some("the next pass builds a new generation from the store".into()),
            Self::Unexpected { .. } => Some("make falconer.lock anew: falconer lock".into()),
            Self::Exists { .. } | Self::InUse { .. } => None,
        }
    }
}
