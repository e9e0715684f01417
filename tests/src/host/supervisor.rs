//! Who starts a host's Falco again: a script, as an operator without systemd has one.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Signal, kill_process};

use super::{Host, HostWithFalco};

/// Ends the process of the first argument and starts the same command line again, with the other arguments at its end.
const SCRIPT: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
pid=$1; shift
cp "/proc/$pid/cmdline" cmdline || exit 1
kill "$pid"
while grep -q '^State:.[RSD]' "/proc/$pid/status" 2>/dev/null; do sleep 0.01; done
for more in "$@"; do printf '%s\0' "$more" >>cmdline; done
xargs -0 sh -c 'setsid "$@" >>restarted.log 2>&1 & echo $! >restarted.pid' sh <cmdline
echo restarted >>restarts
"#;

/// The script on a host. The Falco that it started last is killed when this is dropped.
pub(super) struct Supervisor {
    pid_file: std::path::PathBuf,
}

impl Supervisor {
    pub(super) fn new(host: &Host, more: &[&str]) -> Self {
        host.write("restart-falco", SCRIPT);
        let script = host.path("restart-falco");
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let words = ["./restart-falco", "{pid}"].iter().chain(more).map(|word| format!("{word:?}"));
        let command = format!("[falco]\nrestart_command = [{}]\n", words.collect::<Vec<_>>().join(", "));
        let text = host.read("agent.toml");
        let kept = text.lines().filter(|line| !line.starts_with("restart_command")).map(|line| format!("{line}\n"));
        host.write("agent.toml", &kept.collect::<String>().replace("[falco]\n", &command));
        Self { pid_file: host.path("restarted.pid") }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(&self.pid_file).ok().and_then(|pid| pid.trim().parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _gone = kill_process(pid, Signal::KILL);
        }
    }
}

impl HostWithFalco {
    /// Gives the host a command that restarts Falco, with `more` at the end of its command line.
    pub fn supervise(&mut self, more: &[&str]) {
        self.supervisor = Some(Supervisor::new(&self.host, more));
    }

    /// How many times Falco was restarted by it.
    #[must_use]
    pub fn restarts(&self) -> usize {
        std::fs::read_to_string(self.path("restarts")).map_or(0, |text| text.lines().count())
    }
}
