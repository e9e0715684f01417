//! `falconer run` as a process.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::Host;

/// A running daemon; it is killed when this is dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `falconer run` on `host`; `name` tells it from others there.
    #[must_use]
    #[track_caller]
    pub fn start(host: &Host, name: &str) -> Self {
        Self::start_with(host, name, |command| command)
    }

    /// The same, with a command that `prepare` has changed.
    #[must_use]
    #[track_caller]
    pub fn start_with(host: &Host, name: &str, prepare: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let log = host.path(format!("{name}.log"));
        let file = File::create(&log).unwrap();
        let mut command = host.command();
        command
            .env("FALCONER_LOG", "falconer=debug")
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file);
        let child = prepare(&mut command).spawn().unwrap();
        Self { child, log }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How many passes have come to their end.
    #[must_use]
    pub fn passes(&self) -> usize {
        self.log().matches("pass done").count()
    }

    /// Waits until `seen` says so; panics with the log when the daemon ends before, or `deadline` is over.
    #[track_caller]
    pub fn wait_for(&mut self, deadline: Duration, seen: impl Fn(&Self) -> bool) {
        let give_up = Instant::now() + deadline;
        while !seen(self) {
            assert_eq!(self.child.try_wait().unwrap(), None, "the daemon has ended: {}", self.log());
            assert!(Instant::now() < give_up, "not seen within {deadline:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends it a signal.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id().cast_signed()).unwrap(), signal).unwrap();
    }

    /// Waits until it has ended by itself and gives how.
    #[track_caller]
    pub fn wait_ended(mut self, deadline: Duration) -> ExitStatus {
        let give_up = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < give_up, "still there after {deadline:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How often it has begun to wait: after every pass, once what the pass itself changed is forgotten.
    #[must_use]
    pub fn rests(&self) -> usize {
        self.log().matches("waits for a change").count()
    }

    /// Asks it to stop and gives how it ended; panics when that takes longer than `deadline`.
    #[track_caller]
    pub fn stop(self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_ended(deadline)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
