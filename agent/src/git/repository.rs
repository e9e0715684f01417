//! Our own repository: bare, no references, no checkout, read by commit and path.

use std::path::{Path, PathBuf};

use falconer_manifests::name::RelativePath;
use falconer_manifests::revision::Revision;
use git2::{ErrorCode, ObjectType, Odb, Oid, RepositoryInitOptions, RepositoryOpenFlags, Tree};

use super::{GitError, pack_index};

/// A bare repository of ours: the objects of the revisions that were fetched, and nothing else.
pub struct Repository {
    pub(super) inner: git2::Repository,
    path: PathBuf,
}

impl Repository {
    /// Opens the repository in `path`, or makes an empty one where there is nothing. Writes nothing when it is there.
    ///
    /// # Errors
    /// [`GitError::Damaged`] when there is something that is no repository, [`GitError::Disk`] when it cannot be made
    /// or belongs to another user.
    pub fn open_or_create(path: &Path) -> Result<Self, GitError> {
        match fs_err::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Self::create(path),
            Err(error) => return Err(GitError::Disk(error)),
            Ok(found) if found.is_dir() => {}
            // Behind a link there may be somebody else's repository.
            Ok(_) => return Err(damaged(path, git2::Error::from_str("it is no directory"))),
        }
        let inner = open_here(path).map_err(|source| match source.code() {
            ErrorCode::Owner => GitError::Disk(std::io::Error::other(source)),
            _ => damaged(path, source),
        })?;
        let repository = Self { inner, path: path.to_owned() };
        // libgit2 opens what a power cut has left of a new repository, and fetching into it would fail for ever.
        if !repository.pack_directory().is_dir() {
            return Err(damaged(path, git2::Error::from_str("it has no objects/pack")));
        }
        if let Some(problem) = pack_index::problem(&repository.pack_directory()).map_err(GitError::Disk)? {
            return Err(damaged(path, git2::Error::from_str(&problem)));
        }
        Ok(repository)
    }

    /// Throws away all that is in `path`, which must be a place of ours, and makes an empty repository there.
    ///
    /// # Errors
    /// [`GitError::Disk`].
    pub fn create_anew(path: &Path) -> Result<Self, GitError> {
        clear(path)?;
        Self::create(path)
    }

    /// Whether the commit `revision` and its tree are here. Files are not looked for: large ones are not fetched.
    #[must_use]
    pub fn has(&self, revision: &Revision) -> bool {
        oid(revision).and_then(|oid| self.inner.find_commit(oid)).and_then(|commit| commit.tree()).is_ok()
    }

    /// The number of pack files. Each fetch adds one and nothing ever joins them, so past some thirty
    /// [`Repository::create_anew`] is due.
    ///
    /// # Errors
    /// [`GitError::Disk`].
    pub fn packs(&self) -> Result<usize, GitError> {
        let mut packs = 0;
        for entry in fs_err::read_dir(self.pack_directory()).map_err(GitError::Disk)? {
            let name = entry.map_err(GitError::Disk)?.path();
            packs += usize::from(name.extension().is_some_and(|extension| extension == "pack"));
        }
        Ok(packs)
    }

    /// The content of the file `path` in `revision`, at most `limit` bytes; none where there is no such file.
    ///
    /// # Errors
    /// [`GitError::Mode`] when the path is, or leads through, something else than an ordinary file (mode 100644) in
    /// directories: symbolic links, executables, submodules. [`GitError::FileTooLarge`] is known before the file is
    /// read. [`GitError::NotFetched`] and [`GitError::Damaged`] when objects are missing or broken.
    pub fn read_file(&self, revision: &Revision, path: &RelativePath, limit: u64) -> Result<Option<Vec<u8>>, GitError> {
        let Some((blob, mode)) = self.find(revision, path)? else { return Ok(None) };
        if mode != 0o100_644 {
            return Err(wrong_mode(path.clone(), revision, mode));
        }
        let too_large = || GitError::FileTooLarge { path: path.clone(), revision: revision.clone(), limit };
        let odb = self.odb()?;
        let (size, kind) = match odb.read_header(blob) {
            // Blobs over the limit of a fetch are left out of it, and nothing else is.
            Err(error) if error.code() == ErrorCode::NotFound => return Err(too_large()),
            other => other.map_err(|source| damaged(&self.path, source))?,
        };
        if size as u64 > limit {
            return Err(too_large());
        }
        let object = odb.read(blob).map_err(|source| damaged(&self.path, source))?;
        if kind != ObjectType::Blob {
            return Err(damaged(&self.path, git2::Error::from_str("a file is not a blob")));
        }
        Ok(Some(object.data().to_vec()))
    }

    pub(super) fn odb(&self) -> Result<Odb<'_>, GitError> {
        self.inner.odb().map_err(|source| damaged(&self.path, source))
    }

    /// A second handle of the same repository, whose changes do not touch the first.
    pub(super) fn reopened(&self) -> Result<git2::Repository, GitError> {
        open_here(&self.path).map_err(|source| damaged(&self.path, source))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn pack_directory(&self) -> PathBuf {
        self.path.join("objects/pack")
    }

    /// Made beside its place and renamed: a kill never leaves half of one under its name. A power cut may, because nothing
    /// waits for the disk here; then it is found damaged, and made anew.
    fn create(path: &Path) -> Result<Self, GitError> {
        let temporary = path.with_extension("git.tmp");
        clear(&temporary)?;
        let mut options = RepositoryInitOptions::new();
        options.bare(true).no_reinit(true).mkpath(true).external_template(false);
        let made = git2::Repository::init_opts(&temporary, &options).and_then(|inner| {
            // Bounds what copying from another repository holds in memory (git, config/pack).
            let mut config = inner.config()?.open_level(git2::ConfigLevel::Local)?;
            config.set_i64("pack.windowMemory", 8 << 20)?;
            config.set_i64("pack.deltaCacheSize", 4 << 20)
        });
        made.map_err(|source| GitError::Disk(std::io::Error::other(source)))?;
        fs_err::rename(&temporary, path).map_err(GitError::Disk)?;
        let inner = open_here(path).map_err(|source| damaged(path, source))?;
        Ok(Self { inner, path: path.to_owned() })
    }

    /// Walks `path` part by part. The mode is that in the tree, not a normal form of it.
    fn find(&self, revision: &Revision, path: &RelativePath) -> Result<Option<(Oid, u32)>, GitError> {
        let unreadable = |source: git2::Error| damaged(&self.path, source);
        let commit = match oid(revision).and_then(|oid| self.inner.find_commit(oid)) {
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Err(GitError::NotFetched { revision: revision.clone() });
            }
            other => other.map_err(unreadable)?,
        };
        let mut tree = commit.tree().map_err(unreadable)?;
        let mut walked = String::new();
        let mut parts = path.as_str().split('/').peekable();
        while let Some(part) = parts.next() {
            let Some((id, mode)) = entry(&tree, part) else { return Ok(None) };
            walked.push_str(part);
            if parts.peek().is_none() {
                return Ok(Some((id, mode)));
            }
            match mode {
                0o040_000 => tree = self.inner.find_tree(id).map_err(unreadable)?,
                0o100_000..=0o100_777 => return Ok(None),
                _ => {
                    let walked = RelativePath::parse(&walked).unwrap_or_else(|_| path.clone());
                    return Err(wrong_mode(walked, revision, mode));
                }
            }
            walked.push('/');
        }
        Ok(None)
    }
}

pub(super) fn oid(revision: &Revision) -> Result<Oid, git2::Error> {
    Oid::from_str(revision.as_str())
}

pub(super) fn revision(oid: Oid) -> Option<Revision> {
    Revision::parse(&oid.to_string()).ok()
}

pub(super) fn damaged(path: &Path, source: git2::Error) -> GitError {
    GitError::Damaged { path: path.to_owned(), source }
}

/// Removes a repository that nobody needs any more.
pub fn discard(path: &Path) {
    // What is left is removed before the next is made.
    let _left_behind = clear(path);
}

/// Removes what stands at `path`, a link itself and not what it points to.
fn clear(path: &Path) -> Result<(), GitError> {
    let cleared = match fs_err::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.is_dir() => fs_err::remove_dir_all(path),
        Ok(_) => fs_err::remove_file(path),
    };
    cleared.map_err(GitError::Disk)
}

/// Opens exactly this directory, whatever is above it and whatever the environment says.
fn open_here(path: &Path) -> Result<git2::Repository, git2::Error> {
    let flags = RepositoryOpenFlags::NO_SEARCH | RepositoryOpenFlags::BARE;
    git2::Repository::open_ext(path, flags, std::iter::empty::<&Path>())
}

fn entry(tree: &Tree<'_>, name: &str) -> Option<(Oid, u32)> {
    let entry = tree.get_name(name)?;
    Some((entry.id(), entry.filemode_raw().cast_unsigned()))
}

fn wrong_mode(path: RelativePath, revision: &Revision, mode: u32) -> GitError {
    let kind = match mode {
        0o120_000 => "a symbolic link",
        0o160_000 => "a submodule",
        0o040_000 => "a directory",
        0o100_000..=0o100_777 if mode & 0o111 != 0 => "an executable file",
        _ => "of an unusual mode",
    };
    GitError::Mode { path, revision: revision.clone(), mode, kind }
}
