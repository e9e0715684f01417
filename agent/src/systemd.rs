//! The systemd room: tells the service manager how we are (sd_notify(3)), and knows whether stderr is the journal
//! (systemd.exec(5), `JOURNAL_STREAM`).
#![expect(clippy::disallowed_methods, reason = "systemd says in our environment where it listens")]

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The longest text for `STATUS=`, in bytes.
const STATUS_CAP: usize = 1000;

/// The service manager, when one listens.
#[derive(Debug, Default)]
pub struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Manager {
    /// The manager that has started this process; where none listens, nobody is told anything.
    #[must_use]
    pub fn of_this_process() -> Self {
        let Some(path) = std::env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Self::default();
        };
        let address = match path.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&path),
        };
        let socket = address.and_then(|address| Ok((UnixDatagram::unbound()?, address)));
        let socket = socket.and_then(|socket| socket.0.set_nonblocking(true).map(|()| socket));
        Self { socket: socket.ok(), watchdog: watchdog() }
    }

    /// How long we may be silent before the manager ends us.
    #[must_use]
    pub const fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Says that we do our work from now on, or again.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Says in a line how we are.
    pub fn status(&self, line: &str) {
        let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let end = (0..=line.len().min(STATUS_CAP)).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        self.tell(&format!("STATUS={}", line.get(..end).unwrap_or_default()));
    }

    /// Says that we read our settings again; [`Self::ready`] says when that is done.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// Says that we end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Says that we are alive.
    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    fn tell(&self, text: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(text.as_bytes(), address) {
            tracing::debug!("the service manager cannot be told: {error}");
        }
    }
}

/// `WATCHDOG_USEC`, when it is meant for this process (sd_watchdog_enabled(3)).
fn watchdog() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let is_meant =
        std::env::var_os("WATCHDOG_PID").is_none() || number("WATCHDOG_PID") == Some(u64::from(std::process::id()));
    number("WATCHDOG_USEC").filter(|microseconds| is_meant && *microseconds > 0).map(Duration::from_micros)
}

/// Whether what is written to stderr goes to the journal: `JOURNAL_STREAM` has the device and the inode of its socket.
#[must_use]
pub fn stderr_is_the_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(status) = rustix::fs::fstat(std::io::stderr()) else { return false };
    stream == format!("{}:{}", status.st_dev, status.st_ino)
}
