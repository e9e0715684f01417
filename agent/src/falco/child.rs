//! Runs Falco's program for one answer.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process_group, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::rights::Account;

/// The most that is kept of each of the two outputs, in bytes.
const OUTPUT_CAP: u64 = 1 << 20;

/// The longest file that a candidate may write while it is tried, in bytes.
const FILE_CAP: u64 = 64 << 20;

/// What a program may do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rights {
    /// Another user than ours.
    pub(super) account: Option<Account>,
    /// Whether its use of the machine is bounded.
    pub(super) is_bounded: bool,
}

impl Rights {
    /// What we may do.
    pub(super) const OWN: Self = Self { account: None, is_bounded: false };
}

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None` when it was still running at the deadline and was killed.
    pub(super) status: Option<ExitStatus>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs `binary` until it ends or `deadline` is over, in an environment of its own, and keeps what it writes.
pub(super) async fn run<A: AsRef<OsStr>>(
    binary: &Path,
    arguments: impl IntoIterator<Item = A>,
    deadline: Duration,
    rights: &Rights,
) -> io::Result<Ended> {
    let mut command = Command::new(binary);
    if let Some(account) = rights.account {
        // No group of ours stays: the standard library gives them up with the user.
        command.uid(account.uid).gid(account.gid);
    }
    let mut child = command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A group of its own, so that what it has started can be ended with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let (true, Some(pid)) = (rights.is_bounded, group) {
        bound(pid, deadline);
    }
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (status, ..) = tokio::join!(child.wait(), keep(out, &mut stdout), keep(err, &mut stderr));
        status
    };
    let status = tokio::time::timeout(deadline, all).await;
    if status.is_err() {
        if let Some(group) = group {
            // It may have ended just now, which is what is wanted.
            let _gone = kill_process_group(group, Signal::KILL);
        }
        child.wait().await?;
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { status: status.ok().transpose()?, stdout: text(stdout), stderr: text(stderr) })
}

/// Bounds what the process may use. The deadline ends it in any case, so a bound that the system does not let us set is none.
fn bound(pid: Pid, deadline: Duration) {
    let limits = [(Resource::Core, 0), (Resource::Fsize, FILE_CAP), (Resource::Cpu, deadline.as_secs().max(1) + 1)];
    for (resource, limit) in limits {
        let _refused = prlimit(Some(pid), resource, Rlimit { current: Some(limit), maximum: Some(limit) });
    }
}

/// Keeps the beginning of an output and reads the rest away, so that the program is never stopped by a full pipe.
async fn keep(output: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut output) = output else { return };
    // What breaks off is judged as far as it came; the exit status tells the rest.
    let _read = (&mut output).take(OUTPUT_CAP).read_to_end(kept).await;
    let _drained = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, deadline: Duration) -> Ended {
        run(Path::new("/bin/sh"), ["-c", script], deadline, &Rights { account: None, is_bounded: true }).await.unwrap()
    }

    #[tokio::test]
    async fn outputs_status_and_environment() {
        let ended = sh("echo out; echo err >&2; env | sort >&2; exit 3", Duration::from_secs(10)).await;
        assert_eq!((ended.status.unwrap().code(), ended.stdout.as_str()), (Some(3), "out\n"));
        assert!(ended.stderr.contains("LANG=C") && !ended.stderr.contains("HOME="), "{}", ended.stderr);
    }

    #[tokio::test]
    async fn a_long_output_is_cut_and_a_late_program_killed() {
        let ended = sh("head -c 3000000 /dev/zero", Duration::from_secs(10)).await;
        let limits = sh("sleep 0.05; ulimit -c; ulimit -f", Duration::from_secs(10)).await;
        assert_eq!(limits.stdout, format!("0\n{}\n", FILE_CAP / 512));
        assert_eq!(ended.stdout.len() as u64, OUTPUT_CAP);
        assert!(ended.status.unwrap().success());
        let ended = sh("sleep 600 & echo $!; wait", Duration::from_millis(300)).await;
        assert!(ended.status.is_none());
        // What it had started is gone as well, or waits for the system to take it away.
        let stat = format!("/proc/{}/stat", ended.stdout.trim());
        let runs = || fs_err::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let give_up = tokio::time::Instant::now() + Duration::from_secs(10);
        while runs() {
            assert!(tokio::time::Instant::now() < give_up, "still runs");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
