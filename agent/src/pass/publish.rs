//! Stores artifacts in registries and layouts.

use falconer_manifests::reference::{Source, Tag};

use super::{PassError, Sources};
use crate::layout::{Descriptor, Layout};
use crate::pack::Contents;
use crate::registry::Repository;

impl Sources {
    /// Stores an artifact and lets every tag name it. A layout that is not there yet is made.
    ///
    /// # Errors
    /// What keeps the registry or the disk from taking it.
    pub async fn push<'a>(
        &self,
        source: &Source,
        artifact: impl Into<Contents<'a>>,
        tags: &[Tag],
    ) -> Result<(), PassError> {
        let contents = artifact.into();
        let directory = match (Repository::of(source), source) {
            (Some(repository), _) => {
                self.registries.push(&repository, contents, tags).await?;
                return Ok(());
            }
            (None, Source::Layout { directory }) => self.base.join(directory),
            (None, Source::Registry { .. }) => return Err(PassError::NotALayout { layout: source.to_string() }),
        };
        let layout = Layout::create(&directory)?;
        for blob in contents.blobs.into_iter().chain(contents.manifests).chain([contents.root]) {
            layout.write_blob(&blob.bytes)?;
        }
        let descriptor = Descriptor {
            media_type: contents.root_media_type.to_string(),
            digest: contents.root.digest.clone(),
            size: contents.root.bytes.len() as u64,
        };
        for tag in tags {
            layout.tag(tag.as_str(), &descriptor)?;
        }
        Ok(())
    }

    /// The tags of a repository or layout; `None` where there is neither.
    ///
    /// # Errors
    /// What keeps it from answering.
    pub async fn tags(&self, source: &Source) -> Result<Option<Vec<Tag>>, PassError> {
        if let Some(repository) = Repository::of(source) {
            return match self.registries.tags(&repository).await {
                Ok(tags) => Ok(Some(tags)),
                Err(error) if error.is_missing() => Ok(None),
                Err(error) => Err(error.into()),
            };
        }
        match source {
            Source::Layout { directory } if !self.base.join(directory).exists() => Ok(None),
            _ => {
                let tags = self.layout(source)?.tags()?;
                Ok(Some(tags.into_iter().filter_map(|(tag, _)| Tag::parse(&tag).ok()).collect()))
            }
        }
    }
}
