//! One reload that cannot end Falco.

use std::io;
use std::time::Duration;

use falconer_manifests::falco_answers::Loaded;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use tokio::time::Instant;

use super::{Falco, FalcoError, FalcoSettings, loaded};

/// How often the state of the process is looked at. Falco is unsafe to signal for a third of a second in a reload.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// How a Falco was asked to load everything anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// By SIGHUP: the same process goes on.
    Reload,
    /// By a restart: this process is a new one.
    Restart,
}

/// This Falco was asked to load everything anew. [`confirm`](super::confirm()) says what came of it.
#[derive(Debug)]
#[must_use]
pub struct Reloading {
    /// The process.
    pub falco: Falco,
    /// When it was asked.
    pub sent: Instant,
    /// What was loaded before, where Falco tells.
    pub before: Option<Loaded>,
    /// How it was asked.
    pub asked: Asked,
}

/// Waits until the process can take SIGHUP and sends exactly one. A signal while Falco starts or is in the middle of a reload
/// would end it.
///
/// # Errors
/// [`FalcoError::Gone`] when the process has ended, [`FalcoError::NotSafe`] when the wait is over, [`FalcoError::Signal`] when
/// we may not signal it. No signal was sent then.
pub async fn reload(settings: &FalcoSettings, falco: &Falco) -> Result<Reloading, FalcoError> {
    let pid = falco.pid;
    let gone = || FalcoError::Gone { pid };
    let raw = Pid::from_raw(pid.cast_signed()).ok_or_else(gone)?;
    // The descriptor is opened before the process is checked, so a pid that is used again cannot be hit.
    let handle = pidfd_open(raw, PidfdFlags::empty());
    if !falco.is_alive() {
        return Err(gone());
    }
    let give_up = Instant::now() + settings.deadlines.safe;
    let before = loop {
        while !falco.takes_sighup().ok_or_else(gone)? {
            if Instant::now() >= give_up {
                return Err(FalcoError::NotSafe { pid, waited: settings.deadlines.safe });
            }
            tokio::time::sleep(LOOK).await;
        }
        // The web server is up only where SIGHUP is safe. The question takes time, so the process is looked at again.
        let before = loaded(settings).await.ok();
        if falco.takes_sighup().ok_or_else(gone)? {
            break before;
        }
    };
    let sent = match handle {
        Ok(handle) => pidfd_send_signal(handle, Signal::HUP),
        // Kernels before 5.3, and sandboxes that hide the call.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => kill_process(raw, Signal::HUP),
        Err(error) => Err(error),
    };
    match sent {
        Ok(()) => Ok(Reloading { falco: falco.clone(), sent: Instant::now(), before, asked: Asked::Reload }),
        Err(rustix::io::Errno::SRCH) => Err(gone()),
        Err(error) => Err(FalcoError::Signal { pid, source: io::Error::from(error) }),
    }
}
