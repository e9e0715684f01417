//! The end of a process, told by the kernel.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A process whose end is waited for. It costs nothing until then.
#[derive(Debug)]
pub struct Process(AsyncFd<OwnedFd>);

impl Process {
    /// The process `pid`, which must be running.
    ///
    /// # Errors
    /// When there is none, or the kernel cannot tell (before Linux 5.3).
    pub fn open(pid: u32) -> io::Result<Self> {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
        let file = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        Ok(Self(readable(file)?))
    }

    /// Waits until it has ended.
    pub async fn ended(&self) {
        if self.0.readable().await.is_err() {
            // The runtime is going away, and so are we.
            std::future::pending::<()>().await;
        }
    }
}

/// A descriptor that tells when it can be read.
///
/// # Errors
/// When the kernel cannot tell of such a descriptor.
#[expect(
    deprecated,
    reason = "what follows it is unsafe, for types that may change their descriptor; an OwnedFd keeps it"
)]
pub fn readable(file: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(file, Interest::READABLE)
}
