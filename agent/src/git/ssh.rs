//! Git over ssh, by running the system's `ssh` (git, Documentation/gitprotocol-pack, "SSH Transport").

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::GitError;
use super::access;
use super::error::sanitised;
use super::remote::Service;
use crate::transfer::Deadline;

/// What of our environment ssh gets: where its programs, its home and its agent are.
const ENVIRONMENT: [&str; 5] = ["PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK"];

/// Never ask anybody, never trust an unknown host key, leave nothing running, carry nothing but Git.
const OPTIONS: [&str; 5] =
    ["BatchMode=yes", "StrictHostKeyChecking=yes", "ControlMaster=no", "ClearAllForwardings=yes", "RequestTTY=no"];

/// How much of what ssh says on stderr is kept, from the end.
const STDERR_KEPT: usize = 2048;

/// A repository behind ssh.
#[derive(Debug, Clone)]
pub(super) struct Ssh {
    pub(super) settings: access::Ssh,
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
    pub(super) shown: String,
}

/// A running `ssh`. Dropping it ends the program.
pub(super) struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<JoinHandle<Vec<u8>>>,
    shown: String,
}

impl Ssh {
    /// Starts `service` on the other side.
    pub(super) fn open(&self, service: Service, deadline: Deadline) -> Result<Session, GitError> {
        let mut command = self.command(service, deadline.left());
        let missing = |source| GitError::SshMissing { program: self.settings.program.clone(), source };
        let mut child = command.spawn().map_err(missing)?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(missing(std::io::Error::other("it has no pipes")));
        };
        let stderr = Some(tokio::spawn(tail(stderr)));
        Ok(Session { child, stdin: Some(stdin), stdout, stderr, shown: self.shown.clone() })
    }

    fn command(&self, service: Service, connect: Duration) -> Command {
        let settings = &self.settings;
        let mut command = Command::new(&settings.program);
        command.env_clear().envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.env("LC_ALL", "C");
        for option in OPTIONS {
            command.args(["-o", option]);
        }
        command.arg("-o").arg(format!("ConnectTimeout={}", connect.as_secs().clamp(1, 60)));
        if service == Service::UploadPack {
            command.env("GIT_PROTOCOL", "version=2").args(["-o", "SendEnv=GIT_PROTOCOL"]);
        }
        if let Some(identity) = &settings.identity_file {
            command.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(identity);
        }
        if let Some(known_hosts) = &settings.known_hosts {
            let mut option = std::ffi::OsString::from("UserKnownHostsFile=\"");
            option.push(known_hosts);
            option.push("\"");
            command.args(["-o", "GlobalKnownHostsFile=none", "-o"]).arg(option);
        }
        if let Some(port) = self.port {
            command.arg("-p").arg(port.to_string());
        }
        let destination = match &self.user {
            Some(user) => format!("{user}@{}", self.host),
            None => self.host.clone(),
        };
        command.arg("--").arg(destination).arg(format!("{} {}", service.name(), quoted(&self.path)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }
}

impl Session {
    /// Sends `bytes`. A connection that is gone shows when the answer is read.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        if let Some(stdin) = &mut self.stdin
            && (stdin.write_all(bytes).await.is_err() || stdin.flush().await.is_err())
        {
            self.stdin = None;
        }
    }

    /// The next bytes; none at the end.
    pub(super) async fn read(&mut self) -> Result<Vec<u8>, GitError> {
        let mut bytes = Vec::with_capacity(64 * 1024);
        match self.stdout.read_buf(&mut bytes).await {
            Ok(_) => Ok(bytes),
            Err(_) => Err(self.failure().await),
        }
    }

    /// Why the connection ended when it should not have.
    pub(super) async fn failure(&mut self) -> GitError {
        self.stdin = None;
        let stderr = match self.stderr.take() {
            Some(task) => task.await.unwrap_or_default(),
            None => Vec::new(),
        };
        // What it said tells more than its status, which is 255 for everything.
        let _reaped = self.child.wait().await;
        failure(self.shown.clone(), &sanitised(&String::from_utf8_lossy(&stderr)))
    }
}

fn failure(remote: String, stderr: &str) -> GitError {
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    if says(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED", "No host key is known"]) {
        GitError::HostKey { remote, stderr: stderr.to_owned() }
    } else if says(&["Permission denied (", "Too many authentication failures"]) {
        GitError::Denied { remote, said: stderr.to_owned() }
    } else if says(&["does not appear to be a git repository", "Repository not found", "not a git repository"]) {
        GitError::NotFound { remote }
    } else if stderr.is_empty() {
        GitError::BrokeOff { remote }
    } else {
        GitError::SshFailed { remote, stderr: stderr.to_owned() }
    }
}

/// The last bytes of a stream, read to its end.
async fn tail(mut stream: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut piece).await {
        kept.extend_from_slice(piece.get(..length).unwrap_or_default());
        kept.drain(..kept.len().saturating_sub(STDERR_KEPT));
    }
    kept
}

/// Quotes for the shell on the other side, as git does.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''").replace('!', r"'\!'"))
}

#[cfg(test)]
mod tests {
    use falconer_manifests::remedy::Remedy;

    use super::*;

    #[test]
    fn paths_are_one_word_for_the_shell() {
        assert_eq!(quoted("/srv/a b.git"), "'/srv/a b.git'");
        assert_eq!(quoted("/srv/$(id)`id`"), "'/srv/$(id)`id`'");
        assert_eq!(quoted("/it's!"), r"'/it'\''s'\!''");
    }

    #[test]
    fn what_ssh_says_becomes_an_error() {
        for (stderr, remedy) in [
            ("Host key verification failed.", Remedy::Operator),
            ("git@h: Permission denied (publickey).", Remedy::Operator),
            ("fatal: '/x' does not appear to be a git repository", Remedy::Operator),
            ("ssh: connect to host h port 22: Connection refused", Remedy::Time),
            ("", Remedy::Time),
        ] {
            assert_eq!(failure("h".into(), stderr).remedy(), remedy, "{stderr}");
        }
    }
}
