//! Pushes artifacts (OCI distribution spec, "Push": monolithic uploads).
//!
//! This is done over our own client and not by oci-client 0.18: that one sends the credentials to whatever token realm the
//! registry names and the blob to whatever address, and takes neither our HTTP client nor our deadline.

use falconer_manifests::digest::Digest;
use falconer_manifests::oci;
use falconer_manifests::reference::Tag;
use reqwest::Method;
use reqwest::header::LOCATION;
use url::Url;

use super::attempt::Ask;
use super::auth::Scope;
use super::realm::authority;
use super::{Missing, Problem, Registries, RegistryError, Repository, TagOrDigest};
use crate::pack::{Blob, Contents};
use crate::transfer::{self, Deadline};

const OCTETS: &str = "application/octet-stream";

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the manifest or index, which every tag now names.
    pub digest: Digest,
    /// The blobs that the registry did not have yet.
    pub uploaded: Vec<Digest>,
}

impl Registries {
    /// Pushes an artifact: the blobs that the registry does not have, the manifests and the index by their digests, then
    /// every tag; in the end the registry must state the root's digest for each of them. All bytes are sent as they are.
    ///
    /// # Errors
    /// [`RegistryError`]; tags that were put before the error stay.
    pub async fn push<'a>(
        &self,
        repository: &Repository,
        artifact: impl Into<Contents<'a>>,
        tags: &[Tag],
    ) -> Result<Pushed, RegistryError> {
        let _turn = self.turn(&repository.registry).await;
        let contents = artifact.into();
        let deadline = Deadline::after(self.limits.blob_time);
        let push = async {
            let mut uploaded = Vec::new();
            for blob in contents.blobs {
                if !self.has(repository, blob, deadline).await? {
                    self.upload(repository, blob, deadline).await?;
                    uploaded.push(blob.digest.clone());
                }
            }
            let root = (contents.root_media_type, contents.root);
            let below = contents.manifests.into_iter().map(|manifest| (oci::MANIFEST, manifest));
            for document in below.chain([root]) {
                let by_digest = TagOrDigest::Digest(document.1.digest.clone());
                self.put_manifest(repository, document, &by_digest, deadline).await?;
            }
            for tag in tags {
                let tag = TagOrDigest::Tag(tag.clone());
                self.put_manifest(repository, root, &tag, deadline).await?;
                self.confirm(repository, contents.root, &tag, deadline).await?;
            }
            Ok(Pushed { digest: contents.root.digest.clone(), uploaded })
        };
        push.await.map_err(|problem: Problem| problem.of(repository.to_string()))
    }

    async fn has(&self, repository: &Repository, blob: &Blob, deadline: Deadline) -> Result<bool, Problem> {
        let url = self.url(repository, &format!("blobs/{}", blob.digest))?;
        let ask = Ask::get(repository, url, Missing::Blob, deadline);
        match self.answer(&Ask { method: Method::HEAD, scope: Scope::Push, ..ask }).await {
            Ok(_) => Ok(true),
            Err(Problem::NotFound(_)) => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    async fn upload(&self, repository: &Repository, blob: &Blob, deadline: Deadline) -> Result<(), Problem> {
        let url = self.url(repository, "blobs/uploads/")?;
        let begin = Ask {
            method: Method::POST,
            content: Some((OCTETS, &[])),
            scope: Scope::Push,
            ..Ask::get(repository, url, Missing::Repository, deadline)
        };
        let begun = self.answer(&begin).await?;
        let location = begun.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let mut url = upload_address(&begin.url, location)?;
        url.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let put = Ask { method: Method::PUT, url, content: Some((OCTETS, &blob.bytes)), ..begin };
        self.answer(&put).await.map(drop)
    }

    async fn put_manifest(
        &self,
        repository: &Repository,
        (media_type, document): (&'static str, &Blob),
        name: &TagOrDigest,
        deadline: Deadline,
    ) -> Result<(), Problem> {
        let url = self.url(repository, &format!("manifests/{}", name.as_str()))?;
        let put = Ask {
            method: Method::PUT,
            content: Some((media_type, &document.bytes)),
            scope: Scope::Push,
            ..Ask::get(repository, url, Missing::Repository, deadline)
        };
        self.answer(&put).await.map(drop)
    }

    /// Checks that the tag names the manifest: by HEAD, or by its content where the registry states no digest.
    async fn confirm(
        &self,
        repository: &Repository,
        manifest: &Blob,
        tag: &TagOrDigest,
        deadline: Deadline,
    ) -> Result<(), Problem> {
        let got = match self.stated_digest(repository, tag, deadline).await? {
            Some(stated) => stated,
            None => self.fetch_manifest(repository, tag, deadline).await?.digest,
        };
        if got != manifest.digest {
            return Err(Problem::WrongDigest { expected: manifest.digest.clone(), got });
        }
        Ok(())
    }
}

/// Where the registry wants the blob: on its own origin, since the credentials go along.
fn upload_address(asked: &Url, location: Option<&str>) -> Result<Url, Problem> {
    let url = location.and_then(|location| asked.join(location).ok());
    let url = url.ok_or_else(|| Problem::Unusable("the registry gives no address for the upload".to_owned()))?;
    if transfer::same_origin(asked, &url) {
        Ok(url)
    } else {
        Err(Problem::Steered { host: format!("{}://{}", url.scheme(), authority(&url)), purpose: "upload a blob" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_go_to_the_registry_only() {
        let asked = Url::parse("https://r.example/v2/a/blobs/uploads/").unwrap();
        let to = |location: &str| upload_address(&asked, Some(location)).map(String::from);
        assert_eq!(to("/v2/a/blobs/uploads/1?s=x").unwrap(), "https://r.example/v2/a/blobs/uploads/1?s=x");
        assert_eq!(to("https://r.example/u").unwrap(), "https://r.example/u");
        for elsewhere in ["http://r.example/u", "https://b.example/u", "//b.example/u", "https://r.example:444/u"] {
            assert!(matches!(to(elsewhere), Err(Problem::Steered { .. })), "{elsewhere}");
        }
        assert!(matches!(upload_address(&asked, None), Err(Problem::Unusable(_))));
    }
}
