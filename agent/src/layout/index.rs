//! `index.json` of a layout (OCI image spec, image-index.md), edited as a value so that unknown fields stay.

use falconer_manifests::digest::Digest;
use serde_json::{Map, Value, json};

/// An index without descriptors.
pub(super) const EMPTY: &[u8] =
    br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;

/// The annotation that holds a descriptor's tag (OCI image spec, annotations.md).
const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// What a tag names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What kind of content the blob is.
    pub media_type: String,
    /// The blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

type Outcome<T> = Result<T, &'static str>;

/// What `tag` names in the index.
pub(super) fn resolve(index: &[u8], tag: &str) -> Outcome<Option<Descriptor>> {
    let mut found = None;
    for entry in manifests(&mut parse(index)?)?.iter().filter(|entry| tag_of(entry) == Some(tag)) {
        let descriptor = descriptor(entry)?;
        if found.as_ref().is_some_and(|found| *found != descriptor) {
            return Err("has two descriptors for one tag");
        }
        found = Some(descriptor);
    }
    Ok(found)
}

/// Every tag of the index.
pub(super) fn tags(index: &[u8]) -> Outcome<Vec<(String, Descriptor)>> {
    let mut index = parse(index)?;
    let tagged = manifests(&mut index)?.iter().filter_map(|entry| tag_of(entry).map(|tag| (tag, entry)));
    let mut tags = tagged.map(|(tag, entry)| Ok((tag.into(), descriptor(entry)?))).collect::<Outcome<Vec<_>>>()?;
    tags.sort_by(|(one, _): &(String, _), (other, _)| one.cmp(other));
    Ok(tags)
}

/// The index in which `tag` names `target`. The descriptors are sorted by tag; those without one come first, in their order.
pub(super) fn with_tag(index: &[u8], tag: &str, target: &Descriptor) -> Outcome<Vec<u8>> {
    if resolve(index, tag)?.as_ref() == Some(target) {
        return Ok(index.to_vec());
    }
    let mut index = parse(index)?;
    let manifests = manifests(&mut index)?;
    manifests.retain(|entry| tag_of(entry) != Some(tag));
    manifests.push(json!({
        "mediaType": target.media_type,
        "digest": target.digest.as_str(),
        "size": target.size,
        "annotations": {REFERENCE_NAME: tag},
    }));
    manifests.sort_by(|one, other| tag_of(one).cmp(&tag_of(other)));
    serde_json::to_vec(&index).map_err(|_| "cannot be written as JSON")
}

fn parse(index: &[u8]) -> Outcome<Map<String, Value>> {
    match serde_json::from_slice(index) {
        Ok(Value::Object(index)) => Ok(index),
        Ok(_) => Err("is no JSON object"),
        Err(_) => Err("is no JSON"),
    }
}

fn manifests(index: &mut Map<String, Value>) -> Outcome<&mut Vec<Value>> {
    match index.get_mut("manifests") {
        Some(Value::Array(manifests)) => Ok(manifests),
        _ => Err("has no list `manifests`"),
    }
}

fn tag_of(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(REFERENCE_NAME)?.as_str()
}

fn descriptor(entry: &Value) -> Outcome<Descriptor> {
    let text = |name| entry.get(name).and_then(Value::as_str);
    Ok(Descriptor {
        media_type: text("mediaType").ok_or("has a descriptor without `mediaType`")?.into(),
        digest: text("digest")
            .and_then(|digest| Digest::parse(digest).ok())
            .ok_or("has a descriptor without a sha256 `digest`")?,
        size: entry.get("size").and_then(Value::as_u64).ok_or("has a descriptor without `size`")?,
    })
}
