//! Fetches manifests and blobs, and checks what comes before anybody uses it.

use falconer_manifests::digest::Digest;
use falconer_manifests::oci::{self, media_type_of};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Response};

use super::attempt::{Answer, Ask};
use super::{Fetched, Missing, Problem, Registries, Repository, TagOrDigest};
use crate::transfer::{self, Deadline, Output};

/// The media types that we take for a manifest.
const MANIFEST_TYPES: [&str; 4] = [oci::MANIFEST, oci::INDEX, oci::DOCKER_MANIFEST, oci::DOCKER_LIST];
/// [`MANIFEST_TYPES`] as an `Accept` header.
const ACCEPT_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

impl Registries {
    pub(super) async fn fetch_manifest(
        &self,
        repository: &Repository,
        wanted: &TagOrDigest,
        deadline: Deadline,
    ) -> Result<Fetched, Problem> {
        let ask = self.ask_manifest(repository, wanted, Method::GET, deadline)?;
        let Answer { headers, body: bytes } = self.answer_with_body(&ask, self.limits.manifest_bytes).await?;
        let digest = Digest::of(&bytes);
        let stated = digest_in(&headers);
        let asked = match wanted {
            TagOrDigest::Digest(asked) => Some(asked.clone()),
            TagOrDigest::Tag(_) => None,
        };
        for expected in [asked, stated].into_iter().flatten() {
            if expected != digest {
                return Err(Problem::WrongDigest { expected, got: digest });
            }
        }
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(media_type_of);
        match &media_type {
            Some(other) if !MANIFEST_TYPES.contains(&other.as_str()) => {
                Err(Problem::Unusable(format!("the answer is of type `{other}`, which is no manifest's")))
            }
            _ => Ok(Fetched { digest, media_type, bytes }),
        }
    }

    async fn take_blob(
        &self,
        response: Response,
        digest: &Digest,
        size: u64,
        deadline: Deadline,
        out: &mut dyn Output,
    ) -> Result<(), Problem> {
        if let Some(announced) = response.content_length().filter(|announced| *announced != size) {
            return Err(Problem::WrongSize { expected: size, got: Some(announced) });
        }
        let mut came = 0;
        transfer::stream(response, deadline, self.limits.pace, |piece| {
            came += piece.len() as u64;
            if came > size {
                return Err(Problem::WrongSize { expected: size, got: None });
            }
            out.write_all(piece).map_err(Problem::Output)
        })
        .await?;
        if came < size {
            return Err(Problem::WrongSize { expected: size, got: Some(came) });
        }
        let got = out.end().map_err(Problem::Output)?;
        if got != *digest {
            return Err(Problem::WrongDigest { expected: digest.clone(), got });
        }
        Ok(())
    }

    /// The digest that the registry states for a manifest in answer to HEAD.
    pub(super) async fn stated_digest(
        &self,
        repository: &Repository,
        wanted: &TagOrDigest,
        deadline: Deadline,
    ) -> Result<Option<Digest>, Problem> {
        let ask = self.ask_manifest(repository, wanted, Method::HEAD, deadline)?;
        Ok(digest_in(self.answer(&ask).await?.headers()))
    }

    pub(super) async fn fetch_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        deadline: Deadline,
        out: &mut dyn Output,
    ) -> Result<(), Problem> {
        let url = self.url(repository, &format!("blobs/{digest}"))?;
        let ask = Ask::get(repository, url, Missing::Blob, deadline);
        let mut failed = 0;
        loop {
            let response = self.answer(&ask).await?;
            let broken = match self.take_blob(response, digest, size, deadline, out).await {
                Err(problem @ Problem::Broken(_)) => problem,
                other => return other,
            };
            failed += 1;
            if !self.limits.backoff.pause(failed, None, deadline).await {
                return Err(broken);
            }
            out.start_over().map_err(Problem::Output)?;
        }
    }

    fn ask_manifest<'a>(
        &self,
        repository: &'a Repository,
        wanted: &TagOrDigest,
        method: Method,
        deadline: Deadline,
    ) -> Result<Ask<'a>, Problem> {
        let url = self.url(repository, &format!("manifests/{}", wanted.as_str()))?;
        let ask = Ask::get(repository, url, Missing::Manifest, deadline);
        Ok(Ask { method, accept: Some(ACCEPT_MANIFEST), ..ask })
    }
}

/// The digest that the registry states for a manifest, when it is one of sha256.
fn digest_in(headers: &HeaderMap) -> Option<Digest> {
    headers.get("docker-content-digest")?.to_str().ok().and_then(|text| Digest::parse(text.trim()).ok())
}
