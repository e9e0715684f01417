//! The places that take drift reports. What arrived is what the other side says that it has.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use falconer_manifests::host_lock::{self, signed};
use falconer_manifests::name::{HostName, RelativePath};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::report::Found;
use falconer_manifests::revision::Revision;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::git::{self, Expected, GitError, Remote, Report};
use crate::outbound::{Endpoint, OutboundError, Precondition};

/// How often a report is put on a branch that others push to, before it is left for later.
const ATTEMPTS: u32 = 8;
/// The longest wait after the first time that somebody else was quicker.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// A place that takes reports.
pub(super) enum Sink {
    /// A reference of the host's own.
    Reference(Box<Remote>, String),
    /// A file on a branch.
    Branch(Box<Remote>, String, RelativePath),
    /// A resource.
    Http(Endpoint),
}

/// What is to be sent.
pub(super) struct Parcel<'a> {
    pub(super) host: &'a HostName,
    pub(super) text: &'a str,
    /// The message of a commit.
    pub(super) message: &'a str,
    /// The address of its author.
    pub(super) email: &'a str,
    /// In seconds since 1970.
    pub(super) time: i64,
    pub(super) signing_key: Option<&'a Path>,
}

/// What must be there for a report to take its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing.
    Nothing,
    /// What has this mark.
    Mark(String),
    /// Whatever is there, because the place has no marks.
    Anything,
}

/// How an attempt ended.
pub(super) enum Put {
    /// The report is there, under this mark.
    Arrived(Option<String>),
    /// Something else is there.
    Other(Option<Found>),
}

/// Why a report did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Git.
    #[error(transparent)]
    Git(#[from] GitError),
    /// HTTP.
    #[error(transparent)]
    Http(#[from] OutboundError),
    /// The place for a moment's repository cannot be had.
    #[error("the state directory has no place for sending reports")]
    Scratch(#[source] io::Error),
    /// Another falconer sends all the time.
    #[error("another falconer is sending this host's report")]
    Busy,
    /// Others were always quicker.
    #[error("{reference} was changed by others {ATTEMPTS} times in a row")]
    Contended {
        /// The branch.
        reference: String,
    },
}

impl SinkError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Git(error) => error.remedy(),
            Self::Http(error) => error.remedy(),
            Self::Contended { .. } | Self::Busy => Remedy::Time,
            Self::Scratch(_) => Remedy::Operator,
        }
    }

    /// The next act.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Http(error) => error.hint(),
            Self::Busy => None,
            Self::Scratch(_) => Some("check the free space and the permissions of the state directory".to_owned()),
            Self::Contended { .. } => Some("too many hosts share this branch: use sink = \"git-ref\"".to_owned()),
        }
    }

    /// How long we are asked to wait.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Git(error) => error.retry_after(),
            Self::Http(error) => error.retry_after(),
            Self::Contended { .. } | Self::Busy | Self::Scratch(_) => None,
        }
    }
}

impl Sink {
    /// For people: where in the place the report goes.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Reference(_, reference) | Self::Branch(_, reference, _) => reference,
            Self::Http(_) => "http",
        }
    }

    /// What is there now.
    pub(super) async fn look(&mut self, scratch: &Scratch) -> Result<Option<Found>, SinkError> {
        match self {
            Self::Reference(remote, reference) => {
                let place = remote.look(reference, &host_lock::path(), &scratch.repository).await?;
                Ok(place.map(|place| Found { mark: Some(place.commit.to_string()), text: place.content.map(text) }))
            }
            Self::Branch(remote, reference, path) => {
                let place = remote.look(reference, path, &scratch.repository).await?;
                Ok(place.and_then(|place| Some(Found { mark: Some(place.blob?), text: place.content.map(unsigned) })))
            }
            Self::Http(endpoint) => match endpoint.get().await {
                Ok(found) => Ok(found.map(|(mark, body)| Found { mark, text: Some(unsigned(body)) })),
                // A token may be for writing only.
                Err(OutboundError::Denied { .. } | OutboundError::Status { .. }) => {
                    Ok(Some(Found { mark: None, text: None }))
                }
                Err(error) => Err(error.into()),
            },
        }
    }

    /// Puts the report there, if what is there is as `before` says.
    pub(super) async fn put(
        &mut self,
        parcel: &Parcel<'_>,
        before: &Before,
        scratch: &Scratch,
    ) -> Result<Put, SinkError> {
        match self {
            Self::Reference(remote, reference) => {
                let files = [(host_lock::path(), parcel.text.as_bytes().to_vec())];
                let report = parcel.report(reference, &files, before);
                match remote.push_report(&report).await {
                    Ok(pushed) => Ok(Put::Arrived(Some(pushed.commit.to_string()))),
                    Err(lost @ GitError::Lost { .. }) => {
                        let found = self.look(scratch).await?;
                        let mark = found.as_ref().and_then(|found| found.mark.clone());
                        // Nobody has changed it: the server could not, e.g. for a lock.
                        if mark.map_or(Before::Nothing, Before::Mark) == *before {
                            return Err(lost.into());
                        }
                        Ok(Put::Other(found))
                    }
                    Err(error) => Err(error.into()),
                }
            }
            Self::Branch(remote, reference, path) => {
                let body = parcel.body().await?;
                for attempt in 0..ATTEMPTS {
                    let place = remote.look(reference, path, &scratch.repository).await?;
                    let blob = place.as_ref().and_then(|place| place.blob.clone());
                    if blob.clone().map_or(Before::Nothing, Before::Mark) != *before {
                        let content = place.and_then(|place| place.content);
                        return Ok(Put::Other(
                            blob.map(|blob| Found { mark: Some(blob), text: content.map(unsigned) }),
                        ));
                    }
                    let files = [(path.clone(), body.as_bytes().to_vec())];
                    let report = parcel.report(reference, &files, before);
                    let tip = place.map(|place| place.commit);
                    match remote.push_on_branch(&report, tip.as_ref(), &scratch.repository).await {
                        Ok(_) => return Ok(Put::Arrived(git::blob_id(body.as_bytes()))),
                        Err(GitError::Lost { .. }) => {
                            let ceiling = FIRST_WAIT.saturating_mul(1 << attempt);
                            tokio::time::sleep(ceiling.mul_f64(fastrand::f64())).await;
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(SinkError::Contended { reference: reference.clone() })
            }
            Self::Http(endpoint) => {
                let precondition = match before {
                    Before::Nothing => Precondition::Absent,
                    Before::Mark(mark) => Precondition::Tag(mark.clone()),
                    Before::Anything => Precondition::None,
                };
                match endpoint.put(parcel.body().await?, &precondition).await {
                    Ok(mark) => Ok(Put::Arrived(mark)),
                    Err(OutboundError::Changed { .. }) if *before != Before::Anything => {
                        Ok(Put::Other(self.look(scratch).await?))
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// What must be there for a report to take the place of `found`.
    pub(super) fn after(&self, found: Option<&Found>) -> Before {
        match (self, found.map(|found| found.mark.clone())) {
            (_, Some(Some(mark))) => Before::Mark(mark),
            (Self::Http(_), Some(None)) => Before::Anything,
            (_, _) => Before::Nothing,
        }
    }
}

impl<'a> Parcel<'a> {
    /// The text, with its signature in it where there is a key. For places where no commit of this report alone carries it.
    async fn body(&self) -> Result<String, GitError> {
        let Some(key) = self.signing_key else { return Ok(self.text.to_owned()) };
        let armour = git::sign(key, signed::NAMESPACE, self.text.as_bytes()).await?;
        Ok(signed::with_signature(self.text, &armour))
    }

    fn report(&self, reference: &'a str, files: &'a [(RelativePath, Vec<u8>)], before: &Before) -> Report<'a> {
        let expected = match before {
            Before::Nothing => Expected::Absent,
            Before::Mark(mark) => Revision::parse(mark).map_or(Expected::Anything, Expected::Commit),
            Before::Anything => Expected::Anything,
        };
        Report {
            reference,
            files,
            message: self.message,
            author: self.host.as_str(),
            email: self.email,
            time: self.time,
            expected,
            signing_key: self.signing_key,
        }
    }
}

/// A place for a moment's repository, for one sender at a time.
pub(super) struct Scratch {
    repository: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Opens the place in `directory`; `None` while another falconer sends.
    pub(super) fn open(directory: &Path) -> io::Result<Option<Self>> {
        fs_err::create_dir_all(directory)?;
        let file = fs_err::OpenOptions::new().create(true).truncate(false).write(true).open(directory.join("lock"))?;
        let file = file.into_parts().0;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { repository: directory.join("repository.git"), _lock: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        git::discard(&self.repository);
    }
}

fn unsigned(bytes: Vec<u8>) -> String {
    signed::without_signature(&text(bytes)).0.to_owned()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}
