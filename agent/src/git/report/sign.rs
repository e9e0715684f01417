//! Signs with an SSH key, as git does: by `ssh-keygen -Y sign` (git, gpg-interface.c).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::GitError;
use super::sanitised;
use crate::transfer::Deadline;

/// How long ssh-keygen may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// The namespace of the signatures of commits (git, Documentation/gitformat-signature).
pub const COMMITS: &str = "git";

/// The signature of `payload` in OpenSSH's armour (OpenSSH, PROTOCOL.sshsig), for what the namespace says.
///
/// # Errors
/// [`GitError::Unsigned`].
pub async fn sign(key: &Path, namespace: &str, payload: &[u8]) -> Result<String, GitError> {
    let unsigned = |reason: String| GitError::Unsigned { key: key.to_owned(), reason };
    let mut command = keygen("sign");
    command.args(["-n", namespace, "-f"]).arg(key);
    let (success, stdout, stderr) = ended(command, payload).await.map_err(unsigned)?;
    let signature = String::from_utf8_lossy(&stdout).into_owned();
    if success && signature.starts_with("-----BEGIN SSH SIGNATURE-----") {
        return Ok(signature);
    }
    let said = sanitised(&String::from_utf8_lossy(&stderr));
    Err(unsigned(if said.is_empty() { "ssh-keygen gave no signature".to_owned() } else { said }))
}

/// `ssh-keygen -Y what`, which asks nobody for a passphrase.
pub(super) fn keygen(what: &str) -> Command {
    let mut command = Command::new("ssh-keygen");
    command.env_clear();
    command.envs(["PATH", "HOME", "SSH_AUTH_SOCK"].iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.env("LC_ALL", "C").env("SSH_ASKPASS", "/bin/false").env("SSH_ASKPASS_REQUIRE", "force");
    command.args(["-Y", what]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Runs `command` with `input` to its end: whether it succeeded, and what it printed.
pub(super) async fn ended(mut command: Command, input: &[u8]) -> Result<(bool, Vec<u8>, Vec<u8>), String> {
    let run = async {
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let fed = async {
            if let Some(mut stdin) = stdin {
                // One that does not read to the end tells why on stderr.
                let _unread = stdin.write_all(input).await;
            }
        };
        let (output, ()) = tokio::join!(child.wait_with_output(), fed);
        output
    };
    let output = Deadline::after(DEADLINE).bound(run).await.map_err(|late| format!("ssh-keygen {late}"))?;
    let output = output.map_err(|error| format!("ssh-keygen cannot be run: {error}"))?;
    Ok((output.status.success(), output.stdout, output.stderr))
}
