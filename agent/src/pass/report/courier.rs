//! Sends the newest drift report when it is due, and remembers what became of it.
#![expect(clippy::disallowed_methods, reason = "when a report is due depends on the clock at that moment")]

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use falconer_manifests::digest::Digest;
use falconer_manifests::host_lock::{self, HostLock};
use falconer_manifests::name::HostName;
use falconer_manifests::report::{Due, Failing, Found, Intent, Pace, Reporting, Rival, Waiting, Whose, Why, backoff};

use super::sink::{Before, Parcel, Put, Scratch, Sink, SinkError};
use crate::error::chain;
use crate::git::Remote;
use crate::outbound::{Credential, Endpoint};
use crate::pass::PassError;
use crate::settings::report::{Report, Sink as SinkSettings};
use crate::settings::{self, Settings};
use crate::store::{Document, REPORTS, StateDirectory, StoreError};

/// What to do where two hosts have one name.
pub(super) const RIVAL_HINT: &str =
    "give each host a name of its own (`host` in agent.toml), and no copy of another host's state directory";

/// How often somebody else's report is replaced before it is left for later.
const ROUNDS: usize = 3;
/// How long another falconer is waited for, which holds the state directory: so often, with this wait between.
const BUSY: (u32, Duration) = (100, Duration::from_millis(100));

/// Whether there is somebody to send the report later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// There is not: what is new is sent now, unless the fleet's budget forbids it.
    Once,
    /// There is.
    Lasting,
}

/// Sends the newest drift report.
pub(super) struct Courier {
    host: HostName,
    pub(super) sink: Sink,
    /// Which place it is: what was sent elsewhere does not count.
    place: Digest,
    pace: Pace,
    signing_key: Option<PathBuf>,
    state: PathBuf,
    /// What could not be written to the disk.
    unsaved: Option<Reporting>,
    failures: u32,
    /// Not before, in milliseconds since 1970.
    retry: u64,
}

impl Courier {
    /// The courier that the settings ask for. Nothing is asked yet.
    pub(super) fn new(
        settings: &Settings,
        report: &Report,
        client: reqwest::Client,
        remote: impl Fn(&settings::Remote) -> Result<Remote, PassError>,
    ) -> Result<Self, PassError> {
        let host = settings.identity.host.clone();
        let sink = match &report.sink {
            SinkSettings::GitRef => Sink::Reference(Box::new(remote(&report.remote)?), host_lock::reference(&host)),
            SinkSettings::GitBranch(branch) => {
                let path = host_lock::branch_path(&host);
                Sink::Branch(Box::new(remote(&report.remote)?), format!("refs/heads/{branch}"), path)
            }
            SinkSettings::Http => {
                let credentials = &report.remote.credentials;
                let credential = match (&credentials.token, &credentials.password) {
                    (Some(token), _) => Credential::Bearer(token.clone()),
                    (None, Some(password)) => {
                        Credential::Basic(credentials.username.clone().unwrap_or_default(), password.clone())
                    }
                    (None, None) => Credential::None,
                };
                let endpoint = Endpoint::new(&report.remote.url, credential, report.remote.deadline, client);
                Sink::Http(endpoint.map_err(SinkError::from)?)
            }
        };
        Ok(Self {
            place: Digest::of(format!("{} {}", sink.name(), report.remote.url).as_bytes()),
            host,
            sink,
            pace: report.pace,
            signing_key: report.signing_key.clone(),
            state: Path::new(settings.state.as_str()).to_path_buf(),
            unsaved: None,
            failures: 0,
            retry: 0,
        })
    }

    /// Sends `newest` if it is due; gives the time after which this is to be called again.
    pub(super) async fn attend(&mut self, newest: &HostLock, patience: Patience) -> Duration {
        match self.attended(newest, patience).await {
            Ok(wait) => wait,
            Err(error) => {
                let hint = error.hint();
                tracing::warn!(hint = hint.as_deref(), "the drift report was not sent: {}", chain(&error));
                self.failed(None)
            }
        }
    }

    async fn attended(&mut self, newest: &HostLock, patience: Patience) -> Result<Duration, PassError> {
        let content = Digest::of(rendered(newest)?.as_bytes());
        let mut reporting = self.remembered()?;
        let pace = match patience {
            Patience::Once => Pace { coalesce: 0, ..self.pace },
            Patience::Lasting => self.pace,
        };
        let now = now();
        let Due { at, why } = pace.due(&self.host, &reporting, &self.place, &content, now);
        let at = if patience == Patience::Lasting { at.max(self.retry) } else { at };
        if at > now {
            if why == Why::Change && reporting.waiting.is_none() {
                tracing::debug!(seconds = (at - now) / 1000, "the drift report waits for its time");
                reporting.waiting = Some(Waiting { since: now });
                self.save(reporting).await?;
            }
            return Ok(Duration::from_millis(at - now));
        }
        let scratch = match self.scratch().await {
            Ok(scratch) => scratch,
            Err(error) => {
                tracing::warn!("the drift report was not pushed: {}", chain(&error));
                return Ok(self.failed(None));
            }
        };
        // Somebody else may have sent it meanwhile.
        reporting = self.remembered()?;
        if pace.due(&self.host, &reporting, &self.place, &content, now).at > now {
            return Ok(Duration::ZERO);
        }
        match self.send(newest, &content, &mut reporting, &scratch).await {
            Ok(()) => {
                (self.failures, self.retry) = (0, 0);
                self.save(reporting.without_old_rival(now, self.pace.heartbeat)).await?;
                Ok(Duration::ZERO)
            }
            Err(Ended::Sink(error)) => {
                let hint = error.hint();
                let message = chain(&error);
                tracing::warn!(
                    place = self.sink.name(),
                    hint = hint.as_deref(),
                    "the drift report was not pushed: {message}"
                );
                if reporting.failing.as_ref().is_none_or(|failing| failing.message != message) {
                    let since = reporting.failing.as_ref().map_or(now, |failing| failing.since);
                    reporting.failing = Some(Failing { since, message, remedy: error.remedy(), hint: error.hint() });
                    self.save(reporting).await?;
                }
                Ok(self.failed(error.retry_after()))
            }
            Err(Ended::Pass(error)) => Err(error),
        }
    }

    /// The wait after a failure.
    fn failed(&mut self, asked: Option<Duration>) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let wait = Duration::from_millis(backoff(self.failures, fastrand::f64())).max(asked.unwrap_or_default());
        self.retry = now().saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        wait
    }

    /// Sends the report, whatever stands in its place.
    async fn send(
        &mut self,
        newest: &HostLock,
        content: &Digest,
        reporting: &mut Reporting,
        scratch: &Scratch,
    ) -> Result<(), Ended> {
        let is_in_doubt = reporting.intent.is_some();
        if is_in_doubt {
            // The last attempt did not come to its end, or its answer did not arrive.
            let found = self.sink.look(scratch).await?;
            if let Some(found) = found.filter(|found| reporting.whose(&self.place, found) == Whose::Intended) {
                *reporting = reporting.arrived(&self.place, found.mark);
                if reporting.sent.as_ref().is_some_and(|sent| &sent.content == content) {
                    tracing::info!(place = self.sink.name(), number = reporting.number, "had been reported");
                    return Ok(());
                }
            }
        }
        let mut before = match reporting.sent.as_ref().filter(|sent| sent.place == self.place) {
            Some(sent) => sent.mark.clone().map_or(Before::Anything, Before::Mark),
            None => Before::Nothing,
        };
        let mut displaced = None;
        for _round in 0..ROUNDS {
            let now = now();
            let report = newest.chained(reporting.chain(now, self.pace.heartbeat.div_ceil(1000), displaced.clone()));
            let text = rendered(&report)?;
            let number = reporting.number + 1;
            let intent = Intent { text: Digest::of(text.as_bytes()), content: content.clone(), number, at: now };
            reporting.intent = Some(intent);
            self.save(reporting.clone()).await?;
            let message = format!("{}: {} ({})\n", self.host, report.condition.as_str(), report.sequence);
            let email = format!("falconer@{}", self.host);
            let parcel = Parcel {
                host: &self.host,
                text: &text,
                message: &message,
                email: &email,
                time: i64::try_from(now / 1000).unwrap_or(i64::MAX),
                signing_key: self.signing_key.as_deref(),
            };
            match self.sink.put(&parcel, &before, scratch).await? {
                Put::Arrived(mark) => {
                    *reporting = reporting.arrived(&self.place, mark.clone());
                    let mark = mark.unwrap_or_default();
                    tracing::info!(place = self.sink.name(), mark, number, "reported");
                    return Ok(());
                }
                Put::Other(found) => {
                    before = self.sink.after(found.as_ref());
                    self.judge(found.as_ref(), is_in_doubt, reporting, &mut displaced);
                }
            }
        }
        Err(Ended::Sink(SinkError::Contended { reference: self.sink.name().to_owned() }))
    }

    /// Tells loudly of a report that should not be where ours goes.
    fn judge(
        &self,
        found: Option<&Found>,
        is_in_doubt: bool,
        reporting: &mut Reporting,
        displaced: &mut Option<String>,
    ) {
        let place = self.sink.name();
        let Some(found) = found else {
            tracing::warn!(place, "the last drift report was removed by somebody");
            return;
        };
        if found.text.is_none() && is_in_doubt {
            // It may well be ours.
            return;
        }
        match reporting.whose(&self.place, found) {
            Whose::Intended | Whose::Earlier => {}
            Whose::Unexpected(instance) => {
                let hint = "expected once after this host was installed anew; otherwise two hosts have one name";
                tracing::warn!(place, instance, hint, "takes the place of a report from before this state directory");
                *displaced = Some(instance);
            }
            Whose::Rival(instance) => {
                tracing::error!(place, instance, hint = RIVAL_HINT, "another host reports under this host's name");
                reporting.rival = Some(Rival { instance: instance.clone(), seen: now() });
                *displaced = Some(instance);
            }
        }
    }

    /// The right to send: one falconer at a time, so that none takes the other's report for a stranger's.
    async fn scratch(&self) -> Result<Scratch, SinkError> {
        let (attempts, wait) = BUSY;
        for _attempt in 0..attempts {
            if let Some(scratch) = Scratch::open(&self.state.join(REPORTS)).map_err(SinkError::Scratch)? {
                return Ok(scratch);
            }
            tokio::time::sleep(wait).await;
        }
        Err(SinkError::Busy)
    }

    /// What is remembered; for a new state directory a new word for it.
    fn remembered(&self) -> Result<Reporting, PassError> {
        if let Some(unsaved) = &self.unsaved {
            return Ok(unsaved.clone());
        }
        let reporting = super::reporting(&StateDirectory::open(&self.state)?)?;
        Ok(reporting.unwrap_or_else(|| Reporting::new(format!("{:016x}", fastrand::u64(..)))))
    }

    /// Writes what is to be remembered. Where it cannot be written, it is kept until it can.
    async fn save(&mut self, reporting: Reporting) -> Result<(), PassError> {
        let text = reporting
            .render()
            .map_err(|error| PassError::Render { document: "the memory of reports", reason: error.to_string() })?;
        self.unsaved = Some(reporting);
        let (attempts, wait) = BUSY;
        for attempt in 1.. {
            match StateDirectory::open(&self.state)?.lock() {
                Ok(state) => {
                    state.replace_document(Document::Reporting, text.as_bytes())?;
                    self.unsaved = None;
                    return Ok(());
                }
                // A pass is at work.
                Err(StoreError::Busy { .. }) if attempt < attempts => tokio::time::sleep(wait).await,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Why a report was not sent.
enum Ended {
    Sink(SinkError),
    Pass(PassError),
}

impl From<SinkError> for Ended {
    fn from(error: SinkError) -> Self {
        Self::Sink(error)
    }
}

impl From<PassError> for Ended {
    fn from(error: PassError) -> Self {
        Self::Pass(error)
    }
}

fn rendered(report: &HostLock) -> Result<String, PassError> {
    report.render().map_err(|error| PassError::Render { document: "host.lock", reason: error.to_string() })
}

/// In milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
