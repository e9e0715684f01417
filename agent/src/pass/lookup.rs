//! Answers the questions that resolving leaves open.

use std::io::Read;
use std::sync::Arc;

use falconer_manifests::artifact::{ArtifactConfig, ArtifactType};
use falconer_manifests::catalog::{At, Blob, Catalog, IndexAnswer, Lookup, ManifestAnswer, Published};
use falconer_manifests::digest::Digest;
use falconer_manifests::fleet::{DesiredState, VersionRequest};
use falconer_manifests::lockfile::{LockedFile, Lockfile};
use falconer_manifests::oci::{self, ImageIndex, ManifestOrIndex};
use falconer_manifests::reference::{Source, Tag};
use falconer_manifests::resolve::{Note, Resolution, Terms, resolve};
use falconer_manifests::version;
use futures_util::future::join_all;

use super::fetch::{Event, Wanted};
use super::{PassError, Sources};
use crate::archive::{self, ArchiveError, Limits, ListedFile};
use crate::layout::Layout;
use crate::registry::{Repository, TagOrDigest};

/// The longest manifest, in bytes.
const MANIFEST_CAP: u64 = 4 << 20;
/// The longest config blob, in bytes.
const CONFIG_CAP: u64 = 1 << 20;

/// How much an archive of that type may make us do.
pub(super) const fn limits(kind: ArtifactType) -> &'static Limits {
    match kind {
        ArtifactType::Rulesfile => &Limits::RULESFILE,
        ArtifactType::Plugin | ArtifactType::Asset => &Limits::PLUGIN,
    }
}

/// An answer to a lookup, with the key under which the catalog has it.
enum Answer {
    Index(String, IndexAnswer),
    Tags(Source, Vec<Tag>),
    Manifest(Source, At, ManifestAnswer),
    Config(Digest, ArtifactConfig),
    Files(Digest, Vec<LockedFile>),
}

impl Answer {
    fn add_to(self, catalog: &mut Catalog) {
        match self {
            Self::Index(url, answer) => drop(catalog.indexes.insert(url, answer)),
            Self::Tags(source, tags) => drop(catalog.tags.insert(source, tags)),
            Self::Manifest(source, at, answer) => drop(catalog.manifests.insert((source, at), answer)),
            Self::Config(blob, config) => drop(catalog.configs.insert(blob, config)),
            Self::Files(archive, files) => drop(catalog.files.insert(archive, files)),
        }
    }
}

/// An answer to a desired state, and what a person should know of it.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The answer.
    pub lockfile: Lockfile,
    /// What a person should know of it.
    pub notes: Vec<Note>,
}

impl Sources {
    /// Pins every artifact of `desired`; the archives that had to be looked into are in `blobs` afterwards. Questions that
    /// are open at the same time are asked at the same time. The first error counts, in the order of the questions.
    ///
    /// `admit` is asked before any archive is fetched, with all that is known by then: everything but their files.
    ///
    /// # Errors
    /// What the desired state asks for and cannot be, what keeps an index or a registry from answering, or what `admit` has
    /// against it.
    pub async fn resolve(
        &self,
        desired: &DesiredState,
        terms: &Terms<'_>,
        blobs: &Layout,
        mut admit: impl AsyncFnMut(&Lockfile) -> Result<(), PassError>,
    ) -> Result<Resolved, PassError> {
        let mut catalog = Catalog::default();
        loop {
            let lookups = match resolve(desired, &catalog, terms)? {
                Resolution::Locked { lockfile, notes } => return Ok(Resolved { lockfile, notes }),
                Resolution::Unknown(lookups) => lookups,
                Resolution::Unlisted { lockfile, archives } => {
                    admit(&lockfile).await?;
                    archives
                }
            };
            self.tell(Event::Asking { questions: lookups.len() });
            let asked = lookups.into_iter().map(async |lookup| {
                let answer = self.answer(lookup, blobs).await;
                self.tell(Event::Answered);
                answer
            });
            for answer in join_all(asked).await {
                answer?.add_to(&mut catalog);
            }
        }
    }

    /// Whether every tag of `lockfile` still names what it named, by one HEAD request for each, and every range still leads
    /// to its tag, by the list of tags. Where a registry does not tell, it is taken not to.
    ///
    /// # Errors
    /// What keeps a registry from answering.
    pub async fn still_names(&self, lockfile: &Lockfile) -> Result<bool, PassError> {
        for artifact in &lockfile.artifacts {
            let Some(tag) = &artifact.tag else { continue };
            if let Ok(VersionRequest::Range(range)) = VersionRequest::parse(&artifact.requested)
                && version::newest(&self.known_tags(&artifact.source).await?, &range).as_ref() != Some(tag)
            {
                return Ok(false);
            }
            if self.named(&artifact.source, tag).await?.as_ref() != Some(&artifact.digest) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The digest of what a tag names; `None` when there is no such tag, or the registry does not tell.
    ///
    /// # Errors
    /// What keeps a registry from answering.
    pub async fn named(&self, source: &Source, tag: &Tag) -> Result<Option<Digest>, PassError> {
        match Repository::of(source) {
            Some(repository) => match self.registries.head(&repository, &TagOrDigest::Tag(tag.clone())).await {
                Ok(digest) => Ok(digest),
                Err(error) if error.is_missing() => Ok(None),
                Err(error) => Err(error.into()),
            },
            None => Ok(self.layout(source)?.resolve(tag.as_str())?.map(|descriptor| descriptor.digest)),
        }
    }

    /// The tags there are; none where there is no such repository.
    async fn known_tags(&self, source: &Source) -> Result<Vec<Tag>, PassError> {
        match (self.tags(source).await?, source) {
            (Some(tags), _) => Ok(tags),
            (None, Source::Registry { .. }) => Ok(Vec::new()),
            (None, Source::Layout { .. }) => Ok(self.layout(source).map(|_| Vec::new())?),
        }
    }

    async fn answer(&self, lookup: Lookup, blobs: &Layout) -> Result<Answer, PassError> {
        Ok(match lookup {
            Lookup::Index { name, url } => {
                tracing::debug!(index = %name, "asking the index");
                let (digest, index) = self.index(&url).await?;
                Answer::Index(url, IndexAnswer { digest, index })
            }
            Lookup::Tags { source } => {
                let tags = self.known_tags(&source).await?;
                Answer::Tags(source, tags)
            }
            Lookup::Manifest { source, at } => {
                tracing::debug!(%source, at = %at, "asking for the manifest");
                let answer = self.manifest(&source, &at).await?;
                Answer::Manifest(source, at, answer)
            }
            Lookup::Config { source, published } => {
                let config = self.config_of(&source, &published).await?;
                Answer::Config(published.config.digest, config)
            }
            Lookup::Files { source, published } => {
                let files = self.files_of(&source, &published, blobs).await?;
                Answer::Files(published.layer.digest, files)
            }
        })
    }

    async fn manifest(&self, source: &Source, at: &At) -> Result<ManifestAnswer, PassError> {
        let Some((bytes, media_type, digest)) = self.manifest_bytes(source, at).await? else {
            return Ok(ManifestAnswer::Missing);
        };
        let unsupported = |what: String| Ok(ManifestAnswer::Unsupported { what });
        let manifest = match oci::parse(&bytes, media_type.as_deref()) {
            Ok(ManifestOrIndex::Manifest(manifest)) => manifest,
            Ok(ManifestOrIndex::Index(index)) => {
                return Ok(ManifestAnswer::Platforms { digest, manifests: platforms_of(&index) });
            }
            Err(error) => return unsupported(format!("no artifact: it {}", crate::error::chain(&error))),
        };
        let artifact = match manifest.artifact() {
            Ok(artifact) => artifact,
            Err(error) => return unsupported(format!("no Falco artifact: it {error}")),
        };
        let blob = |descriptor: &oci::Descriptor| Blob { digest: descriptor.digest.clone(), size: descriptor.size };
        Ok(ManifestAnswer::Artifact(Published {
            manifest: digest,
            kind: artifact.kind,
            config: blob(&manifest.config),
            layer: blob(artifact.layer),
        }))
    }

    pub(super) async fn manifest_bytes(
        &self,
        source: &Source,
        at: &At,
    ) -> Result<Option<(Vec<u8>, Option<String>, Digest)>, PassError> {
        if let Some(repository) = Repository::of(source) {
            let wanted = match at {
                At::Tag(tag) => TagOrDigest::Tag(tag.clone()),
                At::Digest(digest) => TagOrDigest::Digest(digest.clone()),
            };
            return match self.registries.manifest(&repository, &wanted).await {
                Ok(fetched) => Ok(Some((fetched.bytes, fetched.media_type, fetched.digest))),
                Err(error) if error.is_missing() => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        let layout = self.layout(source)?;
        let (digest, media_type) = match at {
            At::Digest(digest) => (digest.clone(), None),
            At::Tag(tag) => match layout.resolve(tag.as_str())? {
                Some(descriptor) => (descriptor.digest, Some(descriptor.media_type)),
                None => return Ok(None),
            },
        };
        Ok(Some((layout.read_blob(&digest, MANIFEST_CAP)?, media_type, digest)))
    }

    async fn config_of(&self, source: &Source, published: &Published) -> Result<ArtifactConfig, PassError> {
        let mut config = Vec::new();
        self.read(source, &published.config, CONFIG_CAP, &mut config).await?;
        ArtifactConfig::parse(&config)
            .map_err(|error| PassError::Config { artifact: format!("{source}@{}", published.manifest), source: error })
    }

    async fn files_of(
        &self,
        source: &Source,
        published: &Published,
        blobs: &Layout,
    ) -> Result<Vec<LockedFile>, PassError> {
        let listed = self.listed(source, published, blobs).await?.map_err(|error| PassError::Archive {
            artifact: format!("{source}@{}", published.manifest),
            source: error,
        })?;
        let mut files: Vec<_> = listed
            .into_iter()
            .map(|file| LockedFile { path: file.path, sha256: file.digest, size: file.size })
            .collect();
        files.sort();
        Ok(files)
    }

    /// What is in an archive, which is in `blobs` afterwards. Where a plugin comes now, it is unpacked on the way: who wants to
    /// know what is in a new one will want to place it.
    async fn listed(
        &self,
        source: &Source,
        published: &Published,
        blobs: &Layout,
    ) -> Result<Result<Vec<ListedFile>, ArchiveError>, PassError> {
        let limits = limits(published.kind);
        let layer = &published.layer;
        let list = Arc::new(|archive: &mut dyn Read| archive::list(archive, limits));
        if let Some(listed) = blobs.look_into(&layer.digest, layer.size, list.clone()).await? {
            return Ok(listed);
        }
        let wanted = Wanted { source, layer, cap: limits.compressed };
        let Some(unpacker) = blobs.unpacker().filter(|_| published.kind == ArtifactType::Plugin) else {
            return self.take_in(wanted, blobs, list).await;
        };
        let unpack = move |archive: &mut dyn Read| {
            let files = archive::unpack(archive, limits, || unpacker.begin())?.into_iter().map(|(file, unpacking)| {
                let unpacked = unpacking.end(file.digest.clone());
                Ok((file, unpacked.map_err(|error| ArchiveError::Output(error.source))?))
            });
            files.collect::<Result<Vec<_>, _>>()
        };
        let mut listed = Vec::new();
        match self.take_in(wanted, blobs, Arc::new(unpack)).await? {
            Ok(files) => {
                for (file, unpacked) in files {
                    blobs.keep(unpacked).await?;
                    listed.push(file);
                }
                Ok(Ok(listed))
            }
            Err(error) => Ok(Err(error)),
        }
    }

    pub(super) fn layout(&self, source: &Source) -> Result<Layout, PassError> {
        match source {
            Source::Layout { directory } => Ok(Layout::open(&self.base.join(directory))?),
            Source::Registry { .. } => Err(PassError::NotALayout { layout: source.to_string() }),
        }
    }
}

/// `os/architecture` of every manifest of an index that has one; what else an index may hold, e.g. attestations, has none
/// or `unknown`.
fn platforms_of(index: &ImageIndex) -> Vec<(String, Digest)> {
    let known = |descriptor: &oci::Descriptor| {
        let platform = descriptor.platform.as_ref()?;
        let name = format!("{}/{}", platform.os, platform.architecture);
        (platform.os != "unknown").then(|| (name, descriptor.digest.clone()))
    };
    index.manifests.iter().filter_map(known).collect()
}
