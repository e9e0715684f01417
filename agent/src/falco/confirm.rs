//! What came of a reload, and how surely that is known.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use falconer_manifests::digest::Digest;
use falconer_manifests::falco_answers::Loaded;
use falconer_manifests::outcome::Evidence;
use falconer_manifests::remedy::Remedy;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::reload::LOOK;
use super::web::Web;
use super::{Asked, Falco, FalcoSettings, Reloading, running};

/// How often Falco is asked what it has loaded.
const ASK: Duration = Duration::from_millis(50);

/// How often the health page of a Falco that has loaded everything is asked at least, before its silence counts.
const HEALTH_TRIES: usize = 5;

/// How long a Falco that has ended may take to be there again. Who stops and starts a unit is quicker; systemd waits longer
/// than this with one that has come down by itself (`RestartSec=15s` in Falco's units), and then finds the last good generation.
const BACK: Duration = Duration::from_secs(3);

/// A reload after which Falco is alive and nothing speaks against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Confirmation {
    /// How sure that is.
    pub evidence: Evidence,
    /// Why the evidence is not better, or what it is.
    pub reason: String,
}

/// What Falco is to have loaded, by the files' base names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Expected {
    /// Rules files.
    pub rules_files: BTreeMap<String, Digest>,
    /// Configuration files, our include among them.
    pub config_files: BTreeMap<String, Digest>,
}

/// Why a change cannot be called live.
#[derive(Debug, thiserror::Error)]
pub enum NotConfirmed {
    /// Falco still has other files than it should have.
    #[error("Falco has not loaded {}", missing.join(", "))]
    NotLoaded {
        /// The base names that are missing or differ.
        missing: Vec<String>,
        /// What it was to load.
        expected: Box<Expected>,
        /// What it says it has loaded.
        observed: Box<Loaded>,
    },
    /// Falco names every file as it should, and has not loaded anything since it was asked.
    #[error("Falco (process {pid}) was asked to reload and did not")]
    NotReloaded {
        /// The process.
        pid: u32,
    },
    /// The process has ended since the reload.
    #[error("Falco (process {pid}) ended after the reload")]
    Died {
        /// The process.
        pid: u32,
    },
    /// The process runs and its health page does not say so.
    #[error("Falco (process {pid}) is not healthy after the reload")]
    Unhealthy {
        /// The process.
        pid: u32,
    },
}

impl NotConfirmed {
    /// Who can end it: the files that were made live came from the desired state.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        Remedy::Author
    }

    /// The next act of the person.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NotLoaded { .. } => {
                "Falco refused the reload or loads other files: look for `hot restart failure` in its output"
            }
            Self::NotReloaded { .. } | Self::Died { .. } | Self::Unhealthy { .. } => {
                "look at Falco's log, or run falco --dry-run with the arguments of its unit"
            }
        }
    }
}

/// Follows a reload until it is known what came of it, at most for `deadline`, then stays for `settle` to see that Falco
/// remains alive and healthy. `settles` is told when that begins. One that ends and is back in a moment, whoever has started
/// it anew, is followed once more: it has begun with what is live.
///
/// # Errors
/// [`NotConfirmed`] when the process ends, is not healthy, or still names other files at the deadline.
pub async fn confirm(
    settings: &FalcoSettings,
    reloading: Reloading,
    expected: &Expected,
    settle: Duration,
    deadline: Duration,
    settles: &Notify,
) -> Result<Confirmation, NotConfirmed> {
    let (sent, before) = (reloading.sent, reloading.before.clone());
    let ended = reloading.falco.clone();
    let died = match follow(settings, reloading, expected, settle, deadline, settles).await {
        Err(died @ NotConfirmed::Died { .. }) => died,
        judged => return judged,
    };
    match back(settings, &ended, BACK.min(deadline)).await {
        Some(falco) => {
            let reloading = Reloading { falco, sent, before, asked: Asked::Restart };
            follow(settings, reloading, expected, settle, deadline, settles).await
        }
        None => Err(died),
    }
}

/// The Falco that runs instead of the one that has `ended`, when there is one within `deadline`.
async fn back(settings: &FalcoSettings, ended: &Falco, deadline: Duration) -> Option<Falco> {
    let give_up = Instant::now() + deadline;
    while Instant::now() < give_up {
        if let Some(falco) = running(settings).ok().flatten().filter(|falco| !falco.is_same(ended)) {
            tracing::warn!(pid = falco.pid, "somebody has started Falco anew while it took a change up");
            return Some(falco);
        }
        tokio::time::sleep(ASK).await;
    }
    None
}

async fn follow(
    settings: &FalcoSettings,
    reloading: Reloading,
    expected: &Expected,
    settle: Duration,
    deadline: Duration,
    settles: &Notify,
) -> Result<Confirmation, NotConfirmed> {
    // A new process has left behind what the old one has to go through.
    let window = Window { entered: AtomicBool::new(reloading.asked == Asked::Restart), left: AtomicBool::new(false) };
    let follow = Follow { settings, reloading: &reloading, expected, window: &window, settles };
    tokio::select! {
        biased;
        died = watch(&reloading.falco, &window) => Err(died),
        judged = follow.judge(settle, Instant::now() + deadline) => judged,
    }
}

/// What was seen of the time in which the process cannot take SIGHUP: exactly a restart.
struct Window {
    entered: AtomicBool,
    left: AtomicBool,
}

/// Looks at the process for ever; returns when it ends.
async fn watch(falco: &Falco, window: &Window) -> NotConfirmed {
    loop {
        match falco.takes_sighup() {
            None => return NotConfirmed::Died { pid: falco.pid },
            Some(false) => window.entered.store(true, Ordering::Relaxed),
            Some(true) => window.left.store(window.entered.load(Ordering::Relaxed), Ordering::Relaxed),
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Follow<'a> {
    settings: &'a FalcoSettings,
    reloading: &'a Reloading,
    expected: &'a Expected,
    window: &'a Window,
    settles: &'a Notify,
}

impl Follow<'_> {
    async fn judge(&self, settle: Duration, give_up: Instant) -> Result<Confirmation, NotConfirmed> {
        let web = Web::of(self.settings);
        let mut last: Option<Loaded> = None;
        let mut settled_at: Option<Instant> = None;
        let mut why_not = String::new();
        loop {
            let asked = match &web {
                Ok(web) => web.loaded().await,
                Err(_) => Err(super::NoAnswer::NotConfigured),
            };
            let proven = match asked {
                Ok(loaded) => {
                    let proven = self.missing(&loaded).is_empty() && self.has_reloaded(&loaded);
                    last = Some(loaded);
                    proven
                }
                Err(error) => {
                    why_not = error.to_string();
                    false
                }
            };
            let tells = last.is_some() || self.reloading.before.is_some();
            let restarted = self.window.left.load(Ordering::Relaxed);
            let settling = if tells { proven } else { restarted };
            let now = Instant::now();
            match (settling, settled_at) {
                (true, None) => {
                    settled_at = Some(now + settle);
                    self.settles.notify_one();
                }
                (true, Some(at)) if now >= at => break,
                (true, Some(_)) => {
                    // A page that is away may come back until the time is over; one that says no is believed at once.
                    if let Ok(web) = &web
                        && matches!(web.is_healthy().await, Ok(false))
                    {
                        return Err(self.unhealthy());
                    }
                }
                (false, _) => settled_at = None,
            }
            // Settling that began in time may end after the deadline.
            if settled_at.is_none() && now >= give_up {
                break;
            }
            let wait = settled_at.map_or(ASK, |at| ASK.min(at.saturating_duration_since(now)));
            tokio::time::sleep(wait).await;
        }
        let answered = last.is_some();
        if let Ok(web) = &web {
            let mut tries = 1..;
            loop {
                let may_wait = tries.next().is_some_and(|tried| tried < HEALTH_TRIES) || Instant::now() < give_up;
                match web.is_healthy().await {
                    Ok(false) => return Err(self.unhealthy()),
                    // The host is busy, or somebody else has made Falco reload once more.
                    Err(_) if answered && may_wait => tokio::time::sleep(ASK).await,
                    Err(_) if answered => return Err(self.unhealthy()),
                    Ok(true) | Err(_) => break,
                }
            }
        }
        let evidence = |evidence, reason| Ok(Confirmation { evidence, reason });
        match last {
            Some(_) if settled_at.is_some() => {
                evidence(Evidence::Sha256, "Falco names the digest of every file".into())
            }
            Some(observed) => {
                let mut missing = self.missing(&observed);
                if missing.is_empty() {
                    return Err(NotConfirmed::NotReloaded { pid: self.reloading.falco.pid });
                }
                missing.sort();
                let (expected, observed) = (Box::new(self.expected.clone()), Box::new(observed));
                Err(NotConfirmed::NotLoaded { missing, expected, observed })
            }
            None if self.window.left.load(Ordering::Relaxed) => evidence(
                Evidence::Restarted,
                format!("the process restarted and stayed alive; digests are not known: {why_not}"),
            ),
            None => evidence(Evidence::None, format!("no restart was seen; digests are not known: {why_not}")),
        }
    }

    fn unhealthy(&self) -> NotConfirmed {
        NotConfirmed::Unhealthy { pid: self.reloading.falco.pid }
    }

    /// The files that Falco does not have as it should.
    fn missing(&self, loaded: &Loaded) -> Vec<String> {
        let rules =
            self.expected.rules_files.iter().filter(|(name, digest)| !loaded.rules_digests(name).contains(digest));
        // A release that names no configuration file says nothing about them.
        let tells_config = !loaded.config_files().is_empty();
        let config = self
            .expected
            .config_files
            .iter()
            .filter(|(name, digest)| tells_config && !loaded.config_digests(name).contains(digest));
        rules.chain(config).map(|(name, _)| name.clone()).collect()
    }

    /// Whether Falco has loaded anything since it was asked, as far as it tells.
    fn has_reloaded(&self, loaded: &Loaded) -> bool {
        let before = self.reloading.before.as_ref().and_then(|before| before.reload_timestamp);
        self.reloading.asked == Asked::Restart || before.is_none() || before != loaded.reload_timestamp
    }
}
