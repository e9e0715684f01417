//! Why an archive is not taken.

use std::io;

use falconer_manifests::digest::Digest;
use falconer_manifests::name::RelativePath;
use falconer_manifests::remedy::Remedy;

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The input is no intact gzipped tar, or could not be read.
    #[error("the archive is no intact gzipped tar")]
    Malformed(#[source] io::Error),
    /// There are too many entries.
    #[error("the archive has more than {cap} entries")]
    TooMany {
        /// The cap.
        cap: usize,
    },
    /// The archive is too long.
    #[error("the archive is longer than {cap} bytes")]
    TooLong {
        /// The cap in bytes.
        cap: u64,
    },
    /// The tar in the archive is too long.
    #[error("the archive unpacks to more than {cap} bytes")]
    TooLongUnpacked {
        /// The cap in bytes.
        cap: u64,
    },
    /// The archive is a bomb.
    #[error("the archive unpacks to more than {cap} times its length")]
    Ratio {
        /// The cap.
        cap: u64,
    },
    /// An entry is refused.
    #[error("the archive's entry `{entry}` {reason}")]
    Refused {
        /// Its name, escaped.
        entry: String,
        /// Why.
        reason: Refusal,
    },
    /// Something stands behind the end of the tar.
    #[error("something stands behind the end of the archive")]
    Trailing,
    /// The archive has no such file.
    #[error("the archive has no file {path}")]
    Missing {
        /// The file.
        path: RelativePath,
    },
    /// A file is not what it is expected to be.
    #[error("the archive's file {path} has the digest {found} instead of {wanted}")]
    Mismatch {
        /// The file.
        path: RelativePath,
        /// What it should be.
        wanted: Digest,
        /// What it is.
        found: Digest,
    },
    /// What was read could not be written on.
    #[error("cannot write what was read from the archive")]
    Output(#[source] io::Error),
}

/// Why an entry is refused; as text the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is a symbolic link.
    #[error("is a symbolic link")]
    SymbolicLink,
    /// It is a hard link.
    #[error("is a hard link")]
    HardLink,
    /// It is a device.
    #[error("is a device")]
    Device,
    /// It is a FIFO.
    #[error("is a FIFO")]
    Fifo,
    /// It is a sparse file.
    #[error("is a sparse file")]
    Sparse,
    /// It is of a kind that only some readers know.
    #[error("is neither a regular file nor a directory")]
    UnknownKind,
    /// Its header is of a format in which readers differ.
    #[error("has a header that is neither of ustar nor of GNU tar")]
    UnknownFormat,
    /// It is a directory with content.
    #[error("is a directory with content of its own")]
    DirectoryWithContent,
    /// Its name is absolute.
    #[error("has an absolute name")]
    Absolute,
    /// Its name leads upwards.
    #[error("has `..` in its name")]
    Parent,
    /// Its name is not UTF-8.
    #[error("has a name that is not UTF-8")]
    NotUtf8,
    /// Its name is no plain relative path.
    #[error("has a name with an empty part, a `.`, a backslash or a control character, or a name that is too long")]
    BadName,
    /// Its name was there before, or is at once a file's and a directory's.
    #[error("is there twice")]
    Duplicate,
    /// Header and extension give different sizes.
    #[error("has two sizes")]
    TwoSizes,
    /// It has two extensions that say the same thing.
    #[error("is an extension that says again what one before it said")]
    ExtensionTwice,
    /// It is an extension that cannot be read.
    #[error("is a malformed extension")]
    BadExtension,
    /// It is an extension that would change more than we allow.
    #[error("is an extension with a record that is not allowed here")]
    ForbiddenExtension,
    /// It is an extension without a file that it extends.
    #[error("is an extension of no file")]
    ExtensionOfNothing,
}

impl ArchiveError {
    /// Who can end this.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Output(_) => Remedy::Operator,
            // An error of the disk, not of the bytes.
            Self::Malformed(error) if error.raw_os_error().is_some() => Remedy::Operator,
            _ => Remedy::Author,
        }
    }

    /// The next act of the person who reads this.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Output(_) => "look at the disk: df, dmesg",
            Self::Malformed(error) if error.raw_os_error().is_some() => "look at the disk: df, dmesg",
            Self::Missing { .. } | Self::Mismatch { .. } => "make falconer.lock anew from what the registry serves now",
            Self::TooMany { .. } | Self::TooLong { .. } | Self::TooLongUnpacked { .. } | Self::Ratio { .. } => {
                "publish an archive that holds the artifact's files only"
            }
            Self::Malformed(_) | Self::Refused { .. } | Self::Trailing => {
                "publish the artifact again, as a gzipped tar of regular files with plain relative names"
            }
        };
        Some(text.into())
    }
}
