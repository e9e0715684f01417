//! Fetches indexes, wherever they are, and keeps copies of them.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use falconer_manifests::catalog::{At, Blob};
use falconer_manifests::digest::Digest;
use falconer_manifests::finding::Findings;
use falconer_manifests::index::{Index, IndexLocation, parse};
use falconer_manifests::oci::{self, ManifestOrIndex};
use falconer_manifests::reference::{Reference, Source, Tag};

use super::{PassError, Sources};
use crate::error::chain;
use crate::index::{self, CAP, Cache, CachedIndex, Fetched, IndexError, Served, Validator};
use crate::registry::{Repository, TagOrDigest};

/// The tag that counts where a reference has none.
const DEFAULT_TAG: &str = "latest";

impl Sources {
    /// How each index came to us that was asked for so far, by URL.
    #[must_use]
    pub fn indexes_served(&self) -> BTreeMap<String, Served> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The index at `url`, and the digest of its bytes. What was sent and can be read is kept, for the next time and for
    /// when the server is away.
    ///
    /// # Errors
    /// What keeps it from being fetched, or everything that is wrong with it.
    pub async fn index(&self, url: &str) -> Result<(Digest, Index), PassError> {
        let cache = self.index_cache.as_ref().filter(|_| is_remote(url));
        let known = cache.and_then(|cache| cache.read(url));
        let mut fetched = self.fetch_index(url, known).await?;
        let mut index = read(url, &fetched);
        if index.is_err() && fetched.served == Served::NotModified {
            // An older falconer has kept what this one does not take.
            fetched = self.fetch_index(url, None).await?;
            index = read(url, &fetched);
        }
        let index = index?;
        if let (Served::Fresh, Some(cache)) = (&fetched.served, cache) {
            keep(cache, url, &fetched.copy);
        }
        self.served.lock().unwrap_or_else(PoisonError::into_inner).insert(url.to_owned(), fetched.served);
        Ok((Digest::of(&fetched.copy.bytes), index))
    }

    async fn fetch_index(&self, url: &str, known: Option<CachedIndex>) -> Result<Fetched, PassError> {
        match IndexLocation::parse(url) {
            Ok(IndexLocation::Artifact(reference)) => self.index_artifact(url, &reference, known).await,
            Ok(_) | Err(_) => Ok(index::fetch(&self.clients, url, known).await?),
        }
    }

    /// An index that is the only layer of an artifact. Our copy is the newest while the tag names the same manifest, which
    /// one HEAD request tells; under a digest that needs no request at all.
    async fn index_artifact(
        &self,
        url: &str,
        reference: &Reference,
        known: Option<CachedIndex>,
    ) -> Result<Fetched, PassError> {
        let at = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => At::Digest(digest.clone()),
            (None, Some(tag)) => At::Tag(tag.clone()),
            (None, None) => At::Tag(Tag::parse(DEFAULT_TAG).map_err(|_| IndexError::Address(url.to_owned()))?),
        };
        match self.newer_artifact(url, &reference.source, &at, known.as_ref()).await {
            Ok(Some(fetched)) => Ok(fetched),
            Ok(None) => Ok(known.map(Fetched::not_modified).ok_or_else(|| not_an_index(url, "nothing"))?),
            Err(PassError::Registry(error)) if error.is_absence() => match known {
                Some(copy) => Ok(Fetched::from_cache(copy, url, chain(&error))),
                None => Err(error.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// `None` when `known` is what the artifact holds.
    async fn newer_artifact(
        &self,
        url: &str,
        source: &Source,
        at: &At,
        known: Option<&CachedIndex>,
    ) -> Result<Option<Fetched>, PassError> {
        let known = known.and_then(|copy| copy.validator.etag.as_deref());
        let named = match (at, Repository::of(source)) {
            (At::Digest(digest), _) => Some(digest.clone()),
            (At::Tag(tag), Some(repository)) if known.is_some() => {
                self.registries.head(&repository, &TagOrDigest::Tag(tag.clone())).await?
            }
            _ => None,
        };
        if named.is_some_and(|named| Some(named.as_str()) == known) {
            return Ok(None);
        }
        let found = self.manifest_bytes(source, at).await?;
        let (bytes, media_type, digest) = found.ok_or_else(|| not_an_index(url, "there is no such tag or digest"))?;
        let manifest = match oci::parse(&bytes, media_type.as_deref()) {
            Ok(ManifestOrIndex::Manifest(manifest)) => manifest,
            Ok(ManifestOrIndex::Index(_)) => return Err(not_an_index(url, "it is an image index").into()),
            Err(error) => return Err(not_an_index(url, &format!("it {}", chain(&error))).into()),
        };
        let [layer] = manifest.layers.as_slice() else {
            return Err(not_an_index(url, &format!("it has {} layers", manifest.layers.len())).into());
        };
        let mut bytes = Vec::new();
        let blob = Blob { digest: layer.digest.clone(), size: layer.size };
        self.read(source, &blob, CAP, &mut bytes).await?;
        let validator = Validator { etag: Some(digest.to_string()), last_modified: None };
        Ok(Some(Fetched::fresh(bytes, validator)))
    }
}

/// Whether the index is on another machine, so that a copy of it is worth keeping.
fn is_remote(url: &str) -> bool {
    match IndexLocation::parse(url) {
        Ok(IndexLocation::Web(_)) => true,
        Ok(IndexLocation::Artifact(reference)) => Repository::of(&reference.source).is_some(),
        Ok(IndexLocation::File(_)) | Err(_) => false,
    }
}

fn not_an_index(url: &str, what: &str) -> IndexError {
    IndexError::NotAnIndex { url: url.to_owned(), what: what.to_owned() }
}

fn read(url: &str, fetched: &Fetched) -> Result<Index, Findings> {
    parse(url, &String::from_utf8_lossy(&fetched.copy.bytes))
}

/// A copy that cannot be kept costs a request the next time, and no more.
fn keep(cache: &Cache, url: &str, copy: &CachedIndex) {
    let is_kept = cache.read(url).is_some_and(|kept| kept == *copy);
    if !is_kept && let Err(error) = cache.keep(url, copy) {
        tracing::warn!("the index cannot be kept: {}", chain(&error));
    }
}
