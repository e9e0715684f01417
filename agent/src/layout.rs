//! OCI image layout directories (OCI image spec, image-layout.md): blobs named by their digest.
//!
//! A leaf that rooms use; it knows no room. A layout made here can be read by skopeo and oras, and one made by them here.

mod ahead;
pub mod directory;
mod error;
mod hashing;
mod index;
mod intake;
mod proofs;
#[cfg(test)]
pub(crate) mod tests;
mod writer;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use falconer_manifests::digest::Digest;
use rustix::fs::FileType;

use self::ahead::Ahead;
pub use self::ahead::{Unpacked, Unpacker, Unpacking};
use self::directory::{Directory, FileError};
pub use self::error::LayoutError;
use self::hashing::Hashing;
pub use self::hashing::digest_of;
pub use self::index::Descriptor;
pub use self::intake::{Intake, Look};
pub use self::proofs::Proofs;
pub use self::writer::BlobWriter;
use crate::aside;

/// The cap on `index.json`, in bytes.
pub const INDEX_CAP: u64 = 4 << 20;

const MARKER: &str = "oci-layout";
const MARKER_CONTENT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "index.json";
const ALGORITHM: &str = "sha256";

/// An open image layout. Writers of one layout take turns; readers may come at any time.
#[derive(Debug)]
pub struct Layout {
    root: Directory,
    blobs: Arc<Directory>,
    proofs: Arc<Proofs>,
    ahead: Option<Ahead>,
}

impl Layout {
    /// Opens an existing layout.
    ///
    /// # Errors
    /// When `path` is no layout of version 1, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, LayoutError> {
        Self::open_in(Directory::open(path)?)
    }

    /// Opens the layout at `path`, after creating what is missing of it.
    ///
    /// # Errors
    /// When something of the layout cannot be created, or when the directory holds a layout of another version.
    pub fn create(path: &Path) -> Result<Self, LayoutError> {
        match Directory::open(path) {
            Err(error) if error.is_not_found() => Self::create_in(Directory::open_or_create(path)?),
            opened => Self::create_in(opened?),
        }
    }

    /// Opens the layout that `root` holds.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_in(root: Directory) -> Result<Self, LayoutError> {
        if !marked(&root)? {
            return Err(LayoutError::NotALayout { path: root.path().to_owned(), problem: "has no file oci-layout" });
        }
        let blobs = root.subdirectory("blobs")?.subdirectory(ALGORITHM)?.into();
        Ok(Self { root, blobs, proofs: Arc::default(), ahead: None })
    }

    /// Opens the layout that `root` holds, after creating what is missing of it.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub fn create_in(root: Directory) -> Result<Self, LayoutError> {
        let marked = marked(&root)?;
        let indexed = root.stat(INDEX)?.is_some();
        let algorithms = root.open_or_create_subdirectory("blobs")?;
        let blobs = algorithms.open_or_create_subdirectory(ALGORITHM)?.into();
        if !indexed {
            root.place_file(INDEX, "index.json.tmp", index::EMPTY)?;
        }
        if !marked {
            root.place_file(MARKER, "oci-layout.tmp", MARKER_CONTENT)?;
        }
        if !indexed || !marked {
            algorithms.sync()?;
            root.sync()?;
        }
        Ok(Self { root, blobs, proofs: Arc::default(), ahead: None })
    }

    /// The same layout, which takes for read what `proofs` has, and adds to it what it writes.
    #[must_use]
    pub fn with_proofs(self, proofs: Arc<Proofs>) -> Self {
        Self { proofs, ..self }
    }

    /// What was hashed when it was written.
    pub(crate) fn proofs(&self) -> &Proofs {
        &self.proofs
    }

    /// Whether there is a blob of that name and size. Its content is not read: whoever reads it checks it.
    ///
    /// # Errors
    /// When the file system cannot tell.
    pub fn has(&self, digest: &Digest, size: u64) -> Result<bool, LayoutError> {
        let Some(status) = self.blobs.stat(digest.hex())? else { return Ok(false) };
        Ok(FileType::from_raw_mode(status.st_mode) == FileType::RegularFile
            && u64::try_from(status.st_size) == Ok(size))
    }

    /// Reads a blob of at most `cap` bytes and checks that its content is what its name says.
    ///
    /// # Errors
    /// When there is none, when it is longer, or when its content has another digest: then nothing of it is returned.
    pub fn read_blob(&self, digest: &Digest, cap: u64) -> Result<Vec<u8>, LayoutError> {
        let mut content = Vec::new();
        let mut file = self.open_blob(digest, cap)?.take(cap.saturating_add(1));
        file.read_to_end(&mut content).map_err(|source| self.unreadable(digest, source))?;
        if content.len() as u64 > cap {
            return Err(LayoutError::TooLong { digest: digest.clone(), cap });
        }
        self.require(digest, &Digest::of(&content))?;
        Ok(content)
    }

    /// Opens a blob after reading it once to check that its content is what its name says; one that was written through
    /// this layout, or one with the same proofs, was checked then. Who copies it checks the copy too, since the owner of the
    /// file could still write into it.
    ///
    /// # Errors
    /// As [`Self::read_blob`].
    pub fn open_blob_verified(&self, digest: &Digest, cap: u64) -> Result<File, LayoutError> {
        let mut file = self.open_blob(digest, cap)?;
        let status = rustix::fs::fstat(&file).map_err(|errno| self.unreadable(digest, errno.into()))?;
        if self.proofs.digest(&status).as_ref() == Some(digest) {
            return Ok(file);
        }
        let found = digest_of(&mut (&mut file).take(cap.saturating_add(1)));
        self.require(digest, &found.map_err(|source| self.unreadable(digest, source))?)?;
        file.seek(SeekFrom::Start(0)).map_err(|source| self.unreadable(digest, source))?;
        Ok(file)
    }

    /// Writes a blob and names it by its digest: its content is durable when this returns, its name after the next
    /// [`Self::sync`]. A blob that is there and intact stays as it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_blob(&self, content: &[u8]) -> Result<Digest, LayoutError> {
        let digest = Digest::of(content);
        if self.is_intact(&digest, content.len() as u64)? {
            return Ok(digest);
        }
        let mut writer = self.writer()?;
        writer.take(content)?;
        writer.finish(&digest, content.len() as u64)?;
        Ok(digest)
    }

    /// Begins a blob whose content comes in pieces.
    ///
    /// # Errors
    /// When no file can be created.
    pub fn writer(&self) -> Result<BlobWriter<'_>, LayoutError> {
        BlobWriter::new(self)
    }

    /// Begins a blob that comes from far away, of which much may come.
    ///
    /// # Errors
    /// When no file can be created.
    pub fn intake<T: Send + 'static>(&self, look: Look<T>) -> Result<Intake<'_, T>, LayoutError> {
        Intake::new(self, look)
    }

    /// What `look` sees in a blob, when what it was given is what the blob's name says; `None` when there is no such blob.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn look_into<T: Send + 'static>(
        &self,
        digest: &Digest,
        size: u64,
        look: Look<T>,
    ) -> Result<Option<T>, LayoutError> {
        if !self.has(digest, size)? {
            return Ok(None);
        }
        let file = self.open_blob(digest, size)?;
        let looked = aside::computed(move || {
            let mut reader = Hashing::new(file.take(size.saturating_add(1)));
            let seen = look(&mut reader);
            io::copy(&mut reader, &mut io::sink()).map(|_| (reader.finish(), seen))
        });
        let (found, seen) = looked.await.map_err(|source| self.unreadable(digest, source))?;
        Ok((found == *digest).then_some(seen))
    }

    /// Whether there is a blob of that size whose content is what its name says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_intact(&self, digest: &Digest, size: u64) -> Result<bool, LayoutError> {
        if !self.has(digest, size)? {
            return Ok(false);
        }
        match self.open_blob_verified(digest, size) {
            Ok(_) => Ok(true),
            Err(LayoutError::Mismatch { .. } | LayoutError::TooLong { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All blobs, sorted, with their sizes in bytes. What has another name than a digest is left out.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn blobs(&self) -> Result<Vec<(Digest, u64)>, LayoutError> {
        let mut blobs = Vec::new();
        for name in self.blobs.names(usize::MAX)? {
            let digest = name.to_str().and_then(|hex| Digest::parse(&format!("{ALGORITHM}:{hex}")).ok());
            if let (Some(digest), Some(status)) = (digest, self.blobs.stat(&name)?) {
                blobs.push((digest, u64::try_from(status.st_size).unwrap_or_default()));
            }
        }
        Ok(blobs)
    }

    /// The blobs whose content is what their names say. What cannot be read is left out too.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn intact_blobs(&self) -> Result<BTreeSet<Digest>, LayoutError> {
        let blobs = self.blobs()?;
        let intact = aside::each(&blobs, |(digest, size)| self.is_intact(digest, *size).unwrap_or(false));
        Ok(blobs.into_iter().zip(intact).filter_map(|((digest, _), is_intact)| is_intact.then_some(digest)).collect())
    }

    /// Removes a blob; `false` when there is none.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_blob(&self, digest: &Digest) -> Result<bool, LayoutError> {
        Ok(self.blobs.remove_file_if_there(digest.hex())?)
    }

    /// Waits until the names of all blobs are on the disk, also of those whose writer was killed before it could wait.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn sync(&self) -> Result<(), LayoutError> {
        Ok(self.blobs.sync()?)
    }

    /// Removes what writers that were killed have left. Nobody else may be writing.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove_leftovers(&self) -> Result<(), LayoutError> {
        for name in self.blobs.names(usize::MAX)? {
            if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp")) {
                self.blobs.remove_file_if_there(&name)?;
            }
        }
        Ok(())
    }

    /// What `tag` names: the descriptor in `index.json` that is annotated with it.
    ///
    /// # Errors
    /// When `index.json` cannot be read, is no image index, or has two different descriptors for the tag.
    pub fn resolve(&self, tag: &str) -> Result<Option<Descriptor>, LayoutError> {
        index::resolve(&self.read_index()?, tag).map_err(|problem| self.damaged(problem))
    }

    /// Every tag with what it names, sorted by tag.
    ///
    /// # Errors
    /// When `index.json` cannot be read or is no image index.
    pub fn tags(&self) -> Result<Vec<(String, Descriptor)>, LayoutError> {
        index::tags(&self.read_index()?).map_err(|problem| self.damaged(problem))
    }

    /// Lets `tag` name a blob. Other descriptors and fields stay; nothing is written when the tag names it already.
    ///
    /// # Errors
    /// When the layout has no such blob, or when `index.json` cannot be read or replaced.
    pub fn tag(&self, tag: &str, descriptor: &Descriptor) -> Result<(), LayoutError> {
        if !self.has(&descriptor.digest, descriptor.size)? {
            return Err(self.missing(&descriptor.digest));
        }
        let old = self.read_index()?;
        let new = index::with_tag(&old, tag, descriptor).map_err(|problem| self.damaged(problem))?;
        if new != old {
            // What the index names must be there whenever the index is.
            self.blobs.sync()?;
            self.root.replace_file(INDEX, "index.json.tmp", &new)?;
        }
        Ok(())
    }

    /// Where the layout is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    fn open_blob(&self, digest: &Digest, cap: u64) -> Result<File, LayoutError> {
        let file = match self.blobs.open_file(digest.hex()) {
            Err(error) if error.is_not_found() => return Err(self.missing(digest)),
            file => file?,
        };
        let length = file.metadata().map_err(|source| self.unreadable(digest, source))?.len();
        if length > cap {
            return Err(LayoutError::TooLong { digest: digest.clone(), cap });
        }
        Ok(file)
    }

    fn read_index(&self) -> Result<Vec<u8>, LayoutError> {
        self.root.read_file(INDEX, INDEX_CAP)?.ok_or_else(|| self.damaged("is not there"))
    }

    fn require(&self, digest: &Digest, found: &Digest) -> Result<(), LayoutError> {
        if digest == found {
            return Ok(());
        }
        Err(LayoutError::Mismatch { path: self.blobs.path().join(digest.hex()), found: found.clone() })
    }

    fn missing(&self, digest: &Digest) -> LayoutError {
        LayoutError::Missing { path: self.root.path().to_owned(), digest: digest.clone() }
    }

    fn damaged(&self, problem: &'static str) -> LayoutError {
        LayoutError::Index { path: self.root.path().join(INDEX), problem }
    }

    fn unreadable(&self, digest: &Digest, source: io::Error) -> LayoutError {
        FileError::new("read", self.blobs.path().join(digest.hex()), source).into()
    }
}

fn marked(root: &Directory) -> Result<bool, LayoutError> {
    let Some(marker) = root.read_file(MARKER, 4096)? else { return Ok(false) };
    let not_a_layout = |problem| LayoutError::NotALayout { path: root.path().to_owned(), problem };
    let marker: serde_json::Value =
        serde_json::from_slice(&marker).map_err(|_| not_a_layout("has an oci-layout that is no JSON"))?;
    match marker.get("imageLayoutVersion").and_then(serde_json::Value::as_str) {
        Some(version) if version.starts_with("1.") => Ok(true),
        _ => Err(not_a_layout("is not of version 1")),
    }
}
