//! A plugin: one artifact for each platform, and the index that names them.

use std::collections::BTreeMap;

use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::oci::{self, Descriptor, ImageIndex, Platform};

use super::{Blob, Contents, PackError, PackInput, Packed, pack_any};

/// One file, and the platform that it is for.
#[derive(Debug, Clone)]
pub struct PlatformInput<'a> {
    /// The platform.
    pub platform: Platform,
    /// The file, and what is to be said about it.
    pub input: PackInput<'a>,
}

/// An artifact of several platforms, complete, as a registry or an OCI layout stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackedIndex {
    /// What is stored for each platform, in the order in which they were given.
    pub platforms: Vec<(Platform, Packed)>,
    /// The index; tags point to its digest. Its media type is [`oci::INDEX`].
    pub index: Blob,
}

impl<'a> From<&'a PackedIndex> for Contents<'a> {
    fn from(packed: &'a PackedIndex) -> Self {
        Self {
            blobs: packed.platforms.iter().flat_map(|(_, packed)| [&packed.config, &packed.layer]).collect(),
            manifests: packed.platforms.iter().map(|(_, packed)| &packed.manifest).collect(),
            root: &packed.index,
            root_media_type: oci::INDEX,
        }
    }
}

/// Makes a plugin of one file for each platform. Like falcoctl (`pkg/oci/pusher/pusher.go`) this makes an index even for
/// one platform, whose descriptors repeat the annotations and name the type of the manifests.
///
/// # Errors
/// [`PackError`] when there is no platform, when one is given twice, or when something else cannot be published.
pub fn pack_platforms(inputs: &[PlatformInput<'_>]) -> Result<PackedIndex, PackError> {
    let first = inputs.first().ok_or(PackError::NoPlatform(ArtifactType::Plugin))?;
    let mut platforms: Vec<(Platform, Packed)> = Vec::new();
    let mut manifests = Vec::new();
    for PlatformInput { platform, input } in inputs {
        if platforms.iter().any(|(known, _)| known == platform) {
            return Err(PackError::PlatformTwice(platform.clone()));
        }
        let packed = pack_any(input)?;
        manifests.push(Descriptor {
            annotations: annotations(&[(oci::CREATED, Some(input.created)), (oci::SOURCE, input.source)]),
            platform: Some(platform.clone()),
            artifact_type: Some(input.kind.config_media_type().to_owned()),
            ..packed.manifest.descriptor(oci::MANIFEST)
        });
        platforms.push((platform.clone(), packed));
    }
    let index = Blob::of(oci::go_json(&ImageIndex {
        schema_version: 2,
        media_type: oci::INDEX.to_owned(),
        manifests,
        annotations: annotations(&[(oci::SOURCE, first.input.source)]),
    })?);
    Ok(PackedIndex { platforms, index })
}

/// Those of the annotations that have a value.
pub(super) fn annotations(pairs: &[(&str, Option<&str>)]) -> BTreeMap<String, String> {
    pairs.iter().filter_map(|(key, value)| Some(((*key).to_owned(), (*value)?.to_owned()))).collect()
}
