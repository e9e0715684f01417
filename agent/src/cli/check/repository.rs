//! A desired-state repository in a working copy.

use std::path::{Path, PathBuf};

use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::fleet::{self, DesiredState, RulesEntry};
use falconer_manifests::lockfile::{self, LockedArtifact, LockedContent, Lockfile};
use falconer_manifests::oci::Descriptor;
use falconer_manifests::remedy::Remedy;

use super::super::lock::settings_for_lock;
use super::{Arguments, Failure, Found, finding, rules_file, shown, take};
use crate::archive::{self, Limits};
use crate::pass::{PassError, Sources};
use crate::transfer;

/// Checks fleet.yaml, falconer.lock beside it, and the rules files that it names, and puts all rules that Falco would load into
/// their order: those of artifacts are brought into `work`.
pub(super) async fn check(
    arguments: &Arguments,
    directory: &Path,
    work: &Path,
    found: &mut Found,
) -> Result<(), Failure> {
    let file = directory.join(fleet::FILE_NAME);
    let name = shown(&file);
    let text = fs_err::read_to_string(&file).map_err(|error| {
        let hint = "name a directory that holds fleet.yaml, or rules files".to_string();
        Failure::of(error, Remedy::Operator, Some(hint))
    })?;
    let desired = match fleet::parse(&name, &text) {
        Ok(desired) => desired,
        Err(findings) => {
            take::<()>(Err(findings), &mut found.findings);
            return Ok(());
        }
    };
    let lockfile = locked(directory, &desired, found);
    for entry in &desired.rules_files {
        match entry {
            RulesEntry::File { path, at } => {
                let file = directory.join(path.as_str());
                match file.is_file() {
                    true => rules_file(&file, &shown(&file), found)?,
                    false => found.findings.push(falconer_manifests::finding::Finding {
                        location: at.clone(),
                        message: format!("there is no file {path}"),
                        hint: "commit it, or take the entry out".to_string(),
                    }),
                }
            }
            RulesEntry::Host { path, .. } => {
                let only_there = || format!("only hosts have {path}");
                found.missing.get_or_insert_with(only_there);
            }
            RulesEntry::Artifact { name, .. } => {
                let pinned = lockfile.as_ref().and_then(|lockfile| lockfile.artifact(name));
                match pinned {
                    Some(artifact) if artifact.kind == ArtifactType::Rulesfile => {
                        let fetched = fetch(arguments, artifact, work).await;
                        match fetched {
                            Ok(files) => found.rules.extend(files),
                            Err(error) => {
                                let chain = crate::error::chain(&error);
                                found.missing.get_or_insert(format!("{name} cannot be had: {chain}"));
                            }
                        }
                    }
                    _ => drop(found.missing.get_or_insert_with(|| format!("{name} is not pinned in falconer.lock"))),
                }
            }
        }
    }
    Ok(())
}

/// The lockfile, when it answers fleet.yaml.
fn locked(directory: &Path, desired: &DesiredState, found: &mut Found) -> Option<Lockfile> {
    let file = directory.join(lockfile::FILE_NAME);
    let text = fs_err::read_to_string(&file).ok()?;
    let name = shown(&file);
    match Lockfile::parse(&name, &text) {
        Ok(lockfile) if lockfile.inputs == fleet::inputs_digest(desired) => Some(lockfile),
        Ok(_) => {
            let hint = "run `falconer lock` and commit what it writes";
            found.findings.push(finding(&name, "does not answer fleet.yaml", hint));
            None
        }
        Err(findings) => {
            take::<()>(Err(findings), &mut found.findings);
            None
        }
    }
}

/// The rules files of an artifact, brought into `work` by the digests of the lockfile; each with the name that findings give it.
async fn fetch(
    arguments: &Arguments,
    artifact: &LockedArtifact,
    work: &Path,
) -> Result<Vec<(PathBuf, String)>, PassError> {
    let settings = settings_for_lock(arguments)?;
    let sources = Sources::new(&settings, transfer::client()?, &settings.base)?;
    let mut files = Vec::new();
    for content in &artifact.contents {
        let archive = archive_of(&sources, artifact, content).await?;
        for file in &content.files {
            let target = work.join(format!("{}-{}-{}", files.len(), artifact.name, file.path.base_name()));
            let mut bytes = Vec::new();
            archive::extract(archive.as_slice(), &Limits::PLUGIN, &file.path, Some(&file.sha256), &mut bytes)
                .map_err(|source| PassError::Archive { artifact: artifact.name.to_string(), source })?;
            fs_err::write(&target, bytes).map_err(PassError::Write)?;
            files.push((target, format!("{}/{}", artifact.name, file.path)));
        }
    }
    Ok(files)
}

async fn archive_of(
    sources: &Sources,
    artifact: &LockedArtifact,
    content: &LockedContent,
) -> Result<Vec<u8>, PassError> {
    let layer = Descriptor {
        media_type: String::new(),
        digest: content.layer.clone(),
        size: content.layer_size,
        annotations: std::collections::BTreeMap::new(),
        platform: None,
        artifact_type: None,
    };
    let mut archive = Vec::new();
    sources.layer(&artifact.source, &layer, &mut archive).await?;
    Ok(archive)
}
