//! Single rules files, as `falco -V` judges them: for authors and CI.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use falconer_manifests::falco_answers::{Rejection, rejection};

use super::child::{Rights, run};

/// What `falco -V` says of rules files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Validity {
    /// It would load them.
    Valid,
    /// It would not.
    Invalid(Rejection),
    /// It did not come to an answer.
    CannotRun(String),
}

/// Has Falco's program `binary` check `files` in this order, each with all before it. `config_file` is a falco.yaml that loads
/// the plugins that the rules need; an empty one is enough for rules of system calls.
pub async fn validate(binary: &Path, config_file: &Path, files: &[PathBuf], deadline: Duration) -> Validity {
    let config = [OsString::from("-c"), config_file.into(), "-o".into(), "json_output=true".into()];
    let named = files.iter().flat_map(|file| [OsString::from("-V"), file.into()]);
    let rights = Rights { account: None, is_bounded: true };
    let ended = match run(binary, config.into_iter().chain(named), deadline, &rights).await {
        Ok(ended) => ended,
        Err(error) => return Validity::CannotRun(format!("{}: {error}", binary.display())),
    };
    match ended.status.map(|status| (status.code(), status.signal())) {
        None => Validity::CannotRun(format!("no answer within {} s", deadline.as_secs_f32())),
        Some((Some(0), _)) => Validity::Valid,
        Some((Some(_), _)) => {
            let mut said = rejection(&ended.stdout, &ended.stderr);
            // Once a file has failed, Falco repeats its error for every file after it, which it is no place in.
            let mut told: Vec<(Option<String>, String)> = Vec::new();
            said.findings.retain(|finding| {
                let error = (finding.code.clone(), finding.message.clone());
                let is_repeated = finding.line == 0 && told.contains(&error);
                told.push(error);
                !is_repeated
            });
            Validity::Invalid(said)
        }
        Some((None, signal)) => Validity::CannotRun(format!("ended with signal {}", signal.unwrap_or_default())),
    }
}
