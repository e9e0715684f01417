//! Carries a plan out. Decides nothing: every step says all there is to do.

mod confirm;

use std::borrow::Cow;
use std::path::Path;

use falconer_manifests::catalog::Blob;
use falconer_manifests::composition::{Origin, RulesFile, generation_include_path};
use falconer_manifests::digest::Digest;
use falconer_manifests::falco_config::{self, Adopted};
use falconer_manifests::generation::{Bytes, Draft, FILE_MODE, GenerationNumber, Record, StagedFile};
use falconer_manifests::name::RelativePath;
use falconer_manifests::observed::{ConfigMode, Inclusion};
use falconer_manifests::outcome::{Outcome, Validation};
use falconer_manifests::plan::{Fetch, Plan, Step, breaches};
use falconer_manifests::rules;
use tokio::sync::Notify;

use self::confirm::{confirm, refused};
use super::fetch::Wanted;
use super::lookup::limits;
use super::observe::Host;
use super::settling::unless_disturbed;
use super::wanted::{RULES_CAP, repository_file};
use super::{Agent, PassError, attachment, keep_ledger, ledger_text};
use crate::archive::{self, Limits};
use crate::aside;
use crate::falco::{self, Account, DryRun, FalcoError, FalcoSettings, Reloading};
use crate::git::Repository;
use crate::settings::ValidateMode;
use crate::store::{Content, ContentError, GenerationFile, Locked, Staged, StoreError};

/// Carries `plan` out, step by step, until it is done or a step says that the generation is not to be had.
///
/// # Errors
/// When a step cannot be carried out. What was done stays done, and is complete in itself.
pub(super) async fn apply(
    agent: &Agent,
    state: &Locked,
    repository: &Repository,
    host: &mut Host,
    plan: &Plan,
) -> Result<Outcome, PassError> {
    if let Some(breach) = breaches(plan, &host.observed).into_iter().next() {
        return Err(breach.into());
    }
    let mut outcome = Outcome::Unchanged;
    let mut validation = None;
    let mut fetched = false;
    let mut placed = false;
    let mut activated = false;
    let mut staged: Option<Staged<'_>> = None;
    let mut made: Option<(Record, Digest)> = None;
    let mut asked: Option<Reloading> = None;
    let mut edited: Option<Digest> = None;
    for step in &plan.steps {
        match step {
            // All of them at once, with the first; the others find theirs done.
            Step::Fetch(_) if fetched => {}
            Step::Fetch(_) => {
                fetch_all(agent, state, plan).await?;
                fetched = true;
            }
            Step::Copy(copy) => {
                let bytes = repository_file(agent, repository, &copy.revision, &copy.path)?;
                let missing = || PassError::NoDocument { revision: copy.revision.clone(), path: copy.path.clone() };
                state.store().write_blob(&bytes.ok_or_else(missing)?)?;
            }
            // As with fetching.
            Step::Place(_) if placed => {}
            Step::Place(_) => {
                place_all(state, plan)?;
                placed = true;
            }
            Step::Stage(draft) => {
                staged = Some(stage(state, draft)?);
                made = Some((draft.record.clone(), draft.digest()));
            }
            Step::Validate { generation } => {
                let Some((record, digest)) = made.clone().or_else(|| known(host, *generation)) else { continue };
                match validate(agent, state, host, &record).await? {
                    Ok(how) => validation = Some(how),
                    Err(reason) => return Ok(refused(state, &record, &digest, reason)),
                }
            }
            Step::Activate { generation, record: digest } => {
                let ready = match staged.take() {
                    Some(staged) => staged,
                    None => {
                        let files = known(host, *generation).map(|(record, _)| files_of(&record)).unwrap_or_default();
                        state.verify(*generation, digest, &files)?
                    }
                };
                host.observed.ledger = host.observed.ledger.with_trial(*generation, digest.clone());
                keep_ledger(state, &host.observed.ledger)?;
                let activation = ready.activate()?;
                if let Some(displaced) = activation.displaced {
                    tracing::warn!(%displaced, "something else was in the place of `current` and was moved aside");
                }
                tracing::info!(%generation, "live on disk");
                activated = true;
            }
            Step::Edit { generation } => {
                let Some((record, _)) = made.clone().or_else(|| known(host, *generation)) else { continue };
                edited = Some(attachment::edit(agent, host, &record)?);
            }
            Step::Reload { pid, started } => {
                let Some(process) = found(host, *pid, *started) else { continue };
                if !activated {
                    require_memory(state, host)?;
                }
                tracing::info!(pid, "asking Falco to reload");
                match falco::reload(&agent.falco, process).await {
                    Ok(sent) => asked = Some(sent),
                    // Whoever starts it again starts it with what is live.
                    Err(FalcoError::Gone { .. }) => {
                        tracing::warn!(pid, "Falco ended before it could be asked to reload")
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Step::Restart { by, pid, started, because } => {
                let Some(process) = found(host, *pid, *started) else { continue };
                if !activated {
                    require_memory(state, host)?;
                }
                tracing::info!(pid, %by, because, "restarting Falco");
                match falco::restart(&agent.falco, by, process).await {
                    Ok(sent) => asked = Some(sent),
                    Err(error @ FalcoError::NotBack { .. }) => {
                        let live = plan.steps.iter().find_map(|step| match step {
                            Step::Confirm(confirm) => Some(confirm.generation),
                            _ => None,
                        });
                        let Some(generation) = live else { return Err(error.into()) };
                        let reason = crate::error::chain(&error);
                        return Ok(Outcome::NotConfirmed { generation, reason, falco: None, restarted: true });
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Step::Confirm(wanted) => {
                let settles = Notify::new();
                let confirming = confirm(agent, host, wanted, edited.as_ref(), asked.take(), &settles);
                match unless_disturbed(agent, state, wanted.generation, &settles, confirming).await {
                    Ok((evidence, unasked)) => {
                        let generation = wanted.generation;
                        tracing::info!(%generation, evidence = evidence.as_str(), "confirmed");
                        outcome = Outcome::Confirmed { generation, evidence, validation, unasked };
                    }
                    Err(not) => return Ok(not),
                }
            }
            Step::Prune { generations, plugins, blobs, strays } => {
                let mut removed = generations
                    .iter()
                    .map(|generation| state.remove_generation(*generation))
                    .chain(plugins.iter().map(|plugin| state.remove_plugin(plugin)))
                    .chain(strays.iter().map(|stray| state.remove_stray(stray)));
                removed.try_for_each(or_left_behind)?;
                for blob in blobs {
                    state.store().remove_blob(blob)?;
                }
                let gone: Vec<_> = generations.iter().filter(|number| !is_there(state, **number)).copied().collect();
                host.observed.ledger = host.observed.ledger.without_records(&gone);
            }
        }
    }
    Ok(outcome)
}

/// Writes the ledger as it is before Falco is asked for something. What comes of that must be kept, or it would be asked
/// again by every pass.
fn require_memory(state: &Locked, host: &Host) -> Result<(), PassError> {
    Ok(state.rewrite_ledger(ledger_text(&host.observed.ledger)?.as_bytes())?)
}

/// What somebody has made immutable is in nobody's way: what is live is not undone for it.
fn or_left_behind(removed: Result<bool, StoreError>) -> Result<(), StoreError> {
    match removed {
        Err(StoreError::File(error)) if error.is_refused() => {
            let hint = error.hint();
            tracing::warn!(hint = hint.as_deref(), "left behind: {}", crate::error::chain(&error));
            Ok(())
        }
        removed => removed.map(drop),
    }
}

/// A generation that is on disk, and the digest of its record.
fn known(host: &Host, generation: GenerationNumber) -> Option<(Record, Digest)> {
    let record = host.observed.generations.get(&generation)?.record.clone()?;
    Some((record, host.observed.ledger.record_digest(generation)?.clone()))
}

fn is_there(state: &Locked, number: GenerationNumber) -> bool {
    state.observe_root(number).is_ok_and(|found| found.is_some())
}

pub(super) async fn fetch_all(agent: &Agent, state: &Locked, plan: &Plan) -> Result<(), PassError> {
    let steps = plan.steps.iter().filter_map(|step| match step {
        Step::Fetch(fetch) => Some((fetch, Blob { digest: fetch.layer.clone(), size: fetch.size })),
        _ => None,
    });
    let layers: Vec<_> = steps.collect();
    let cap = |fetch: &Fetch| limits(fetch.kind).compressed;
    let wanted = layers.iter().map(|(fetch, layer)| Wanted { source: &fetch.source, layer, cap: cap(fetch) });
    agent.sources.fetch_all(wanted, state.store()).await
}

/// Places all plugins, several at a time where there is more than one processor: each is in a directory of its own.
fn place_all(state: &Locked, plan: &Plan) -> Result<(), PassError> {
    let plugins: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match step {
            Step::Place(plugin) => Some(plugin),
            _ => None,
        })
        .collect();
    let placed = aside::each(&plugins, |plugin| {
        let files = plugin.files.iter().map(|file| {
            let content = from_archive(state, &plugin.layer, &file.path, &Limits::PLUGIN);
            (generation_file(&file.path, file.size, &file.sha256), content)
        });
        state.place_plugin(&plugin.directory, files)
    });
    placed.into_iter().try_for_each(|placed| Ok(placed?))
}

fn stage<'lock>(state: &'lock Locked, draft: &Draft) -> Result<Staged<'lock>, PassError> {
    let files = draft.files.iter().map(|StagedFile { file, bytes }| {
        let content = match bytes {
            Bytes::Text(text) => Content::Bytes(Cow::Borrowed(text.as_bytes())),
            Bytes::Blob => Content::Written(Box::new(|out| {
                let bytes = state.store().read_blob(&file.sha256, RULES_CAP)?;
                out.write_all(&bytes).map_err(ContentError::Read)
            })),
            Bytes::Archive { layer, entry } => from_archive(state, layer, entry, &Limits::PLUGIN),
        };
        (generation_file(&file.path, file.size, &file.sha256), content)
    });
    Ok(state.stage(draft.record.generation, files, draft.manifest.as_bytes())?)
}

/// A file in an archive of the store, which the store checks. The limits are the widest: what may be in it was decided when
/// it was resolved.
fn from_archive<'a>(state: &'a Locked, layer: &'a Digest, entry: &'a RelativePath, limits: &'a Limits) -> Content<'a> {
    Content::Written(Box::new(move |out| {
        let archive = state.store().open_blob_verified(layer, limits.compressed)?;
        archive::extract(archive, limits, entry, None, out)?;
        Ok(())
    }))
}

fn generation_file(path: &RelativePath, size: u64, digest: &Digest) -> GenerationFile {
    GenerationFile { path: path.clone(), mode: FILE_MODE, size, digest: digest.clone() }
}

fn files_of(record: &Record) -> Vec<GenerationFile> {
    record.files.iter().map(|file| generation_file(&file.path, file.size, &file.sha256)).collect()
}

/// The process, when it is the one that was looked at.
fn found(host: &Host, pid: u32, started: u64) -> Option<&falco::Falco> {
    host.process.as_ref().filter(|falco| falco.pid == pid && falco.start_time_ticks == started)
}

/// Has Falco check the generation, or checks its structure where there is no Falco that can. The inner error says what is
/// wrong with the generation.
async fn validate(
    agent: &Agent,
    state: &Locked,
    host: &Host,
    record: &Record,
) -> Result<Result<Validation, String>, PassError> {
    let mode = agent.settings.falco.validate;
    let candidate = match mode {
        ValidateMode::Never => None,
        ValidateMode::WhenPossible | ValidateMode::Required => candidate(agent, host, record)?,
    };
    let mut why_not = "this host has no Falco that could be asked".to_string();
    if let Some(candidate) = candidate {
        let arguments = match &host.process {
            Some(falco) => falco.arguments.clone(),
            None => falco::unit_arguments(&agent.falco).await.unwrap_or_default(),
        };
        let settings = with_rights_for(&agent.falco, record);
        match falco::dry_run(&settings, &candidate, &state.work_directory(), &arguments).await {
            DryRun::Accepted => return Ok(Ok(Validation::DryRun)),
            DryRun::Rejected(rejection) => return Ok(Err(in_words(agent, record, &rejection.to_string()))),
            DryRun::CannotRun(why) => {
                tracing::warn!(%why, "Falco cannot check the generation");
                why_not = why;
            }
        }
    }
    if mode == ValidateMode::Required {
        return Err(FalcoError::NotValidated { why: why_not }.into());
    }
    for placed in record.composition.placed() {
        let bytes = state.read_generation_file(record.generation, &placed.path, RULES_CAP)?.unwrap_or_default();
        if let Err(findings) = rules::check(&author_knows(&placed.origin), &String::from_utf8_lossy(&bytes)) {
            return Ok(Err(findings.to_string()));
        }
    }
    Ok(Ok(Validation::Unvalidated))
}

/// Another user tries the generation only where that user may read all rules: Falco passes over a file that it cannot see.
fn with_rights_for(settings: &FalcoSettings, record: &Record) -> FalcoSettings {
    let mut kept = record.composition.kept_by_host();
    let all = |account: &Account| kept.all(|path| account.may_read(Path::new(path.as_str())));
    let validate_as = settings.validate_as.filter(all);
    FalcoSettings { validate_as, ..settings.clone() }
}

/// The falco.yaml that Falco would have with this generation; `None` where there is no Falco or no falco.yaml to change.
///
/// # Errors
/// When falco.yaml is to be edited and cannot be.
fn candidate(agent: &Agent, host: &Host, record: &Record) -> Result<Option<String>, PassError> {
    let (Some(documents), Some(_)) = (&host.documents, &host.version) else { return Ok(None) };
    let (text, version) = (&documents.text, host.version.as_ref());
    if host.observed.falco.mode == ConfigMode::Edit {
        let keys = attachment::keys(agent, &record.composition, record.generation);
        let text = falco_config::with_keys(&documents.sources(version, Some(&agent.include())), &keys);
        return if host.observed.edits() { Ok(Some(text?)) } else { Ok(text.ok()) };
    }
    let include = generation_include_path(&agent.settings.state, record.generation);
    Ok(match host.observed.falco.inclusion {
        Some(Inclusion::Included) => {
            falco_config::with_include_replaced(text, &agent.include(), &include, version).ok()
        }
        _ => falco_config::adopt(text, &include, version).ok().map(|adopted| match adopted {
            Adopted::Changed(text) => text,
            Adopted::Unchanged => text.clone(),
        }),
    })
}

/// What Falco said, with the files named as their author knows them.
fn in_words(agent: &Agent, record: &Record, said: &str) -> String {
    let root = agent.settings.state.join(&record.generation.directory());
    record.composition.rules_files.iter().fold(said.to_string(), |text, file| match file {
        RulesFile::Placed(placed) => text.replace(root.join(&placed.path).as_str(), &author_knows(&placed.origin)),
        RulesFile::Host(_) => text,
    })
}

/// A rules file as its author knows it: by its artifact and its place in that, or by its path in the repository.
fn author_knows(origin: &Origin) -> String {
    match origin {
        Origin::Artifact { name, entry, .. } => format!("{name}/{entry}"),
        Origin::Repository { path } => path.to_string(),
    }
}
