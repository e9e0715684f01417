//! What can be wrong with a layout.

use std::path::PathBuf;

use falconer_manifests::digest::Digest;
use falconer_manifests::remedy::Remedy;

use super::directory::FileError;

/// Why a layout could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory holds something else.
    #[error("{} is no OCI image layout: it {problem}", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// `index.json` is not what it must be.
    #[error("{} {problem}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
    },
    /// There is no such blob.
    #[error("{} has no blob {digest}", path.display())]
    Missing {
        /// The layout.
        path: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A blob's content is not what its name says.
    #[error("the content of {} has the digest {found}", path.display())]
    Mismatch {
        /// The blob's file.
        path: PathBuf,
        /// What its content really is.
        found: Digest,
    },
    /// A blob is longer than it may be.
    #[error("the blob {digest} is longer than {cap} bytes")]
    TooLong {
        /// The blob.
        digest: Digest,
        /// The cap in bytes.
        cap: u64,
    },
    /// What was to be written is not what was announced.
    #[error("the content written for the blob {wanted} has {size} bytes and the digest {found}")]
    Unexpected {
        /// What was announced.
        wanted: Digest,
        /// What came.
        found: Digest,
        /// How much came, in bytes.
        size: u64,
    },
}

impl LayoutError {
    /// Who can end this.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::File(error) => error.remedy(),
            Self::NotALayout { .. } | Self::Index { .. } => Remedy::Operator,
            Self::TooLong { .. } => Remedy::Author,
            Self::Missing { .. } | Self::Mismatch { .. } | Self::Unexpected { .. } => Remedy::Time,
        }
    }

    /// The next act of the person who reads this.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(error) => error.hint(),
            Self::NotALayout { path, .. } => Some(format!(
                "name a directory that holds oci-layout, index.json and blobs, or an empty one, not {}",
                path.display()
            )),
            Self::Index { path, .. } => Some(format!("restore {}, or make the layout anew", path.display())),
            Self::Missing { path, .. } => Some(format!("copy the artifact into {} again", path.display())),
            Self::Mismatch { path, .. } => {
                Some(format!("check the disk under {}; the blob is fetched again by the next pass", path.display()))
            }
            Self::TooLong { .. } => Some("name an artifact of a sane size".into()),
            Self::Unexpected { .. } => Some("the transfer was damaged: it is tried again by the next pass".into()),
        }
    }
}
