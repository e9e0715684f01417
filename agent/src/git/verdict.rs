//! How a push ended, as the server reports it (git, Documentation/gitprotocol-pack, "Report Status").

use super::GitError;
use super::error::sanitised;

/// What the server said about a push of one reference.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    unpacked: Option<Result<(), String>>,
    updated: Vec<(String, Result<(), String>)>,
    said: String,
}

/// Reasons of git, JGit and GitHub's server for a reference that is not what the push says it is.
const LOST: [&str; 8] = [
    "failed to update ref",
    "failed to update",
    "incorrect old value",
    "reference already exists",
    "already exists",
    "cannot lock ref",
    "failed to lock",
    "fetch first",
];

impl Verdict {
    /// Takes a line of the report.
    pub(super) fn line(&mut self, line: &str) {
        match line.split_once(' ') {
            Some(("unpack", "ok")) => self.unpacked = Some(Ok(())),
            Some(("unpack", problem)) => self.unpacked = Some(Err(sanitised(problem))),
            Some(("ok", reference)) => self.updated.push((reference.to_owned(), Ok(()))),
            Some(("ng", rest)) => {
                let (reference, reason) = rest.split_once(' ').unwrap_or((rest, "no reason"));
                self.updated.push((reference.to_owned(), Err(sanitised(reason))));
            }
            _ => {}
        }
    }

    /// Takes what the server or its hooks say beside the report; the end of it is kept.
    pub(super) fn said(&mut self, message: &str) {
        self.said.push_str(message);
        let surplus = self.said.len().saturating_sub(4096);
        let cut = (surplus..self.said.len()).find(|at| self.said.is_char_boundary(*at)).unwrap_or(0);
        self.said.drain(..cut);
    }

    /// Whether `reference` was updated; it was only if the server says so in so many words.
    pub(super) fn of(self, reference: &str, shown: &str) -> Result<(), GitError> {
        let about = self.updated.iter().find(|(name, _)| name == reference).map(|(_, result)| result);
        let reason = match (&self.unpacked, about) {
            (Some(Ok(())), Some(Ok(()))) => return Ok(()),
            (_, Some(Err(reason))) | (Some(Err(reason)), _) => reason.clone(),
            _ => "it does not say how the push ended".to_owned(),
        };
        let (remote, reference) = (shown.to_owned(), reference.to_owned());
        if LOST.iter().any(|word| reason.contains(word)) {
            return Err(GitError::Lost { remote, reference, said: reason });
        }
        let said = sanitised(&self.said);
        let reason = if said.is_empty() { reason } else { format!("{reason} ({said})") };
        Err(GitError::Refused { remote, reference, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Result<(), GitError> {
        let mut verdict = Verdict::default();
        for line in lines {
            verdict.line(line);
        }
        verdict.said("hook: no\n");
        verdict.of("refs/x", "h")
    }

    #[test]
    fn only_a_whole_report_is_success() {
        assert!(of(&["unpack ok", "ok refs/x"]).is_ok());
        for lines in [
            &["unpack ok"][..],
            &["ok refs/x"],
            &[],
            &["unpack ok", "ok refs/y"],
            &["unpack index-pack abnormal exit", "ng refs/x unpacker error"],
            &["unpack ok", "ng refs/x hook declined"],
            &["unpack ok", "ng refs/x"],
        ] {
            assert!(matches!(of(lines), Err(GitError::Refused { .. })), "{lines:?}");
        }
        let error = of(&["unpack ok", "ng refs/x hook declined"]).unwrap_err();
        assert_eq!(error.to_string(), "h refused refs/x: hook declined (hook: no)");
        for reason in ["failed to update ref", "incorrect old value provided", "reference already exists"] {
            let line = format!("ng refs/x {reason}");
            assert!(matches!(of(&["unpack ok", &line]), Err(GitError::Lost { .. })), "{reason}");
        }
    }

    #[test]
    fn what_hooks_say_is_bounded() {
        let mut verdict = Verdict::default();
        for _ in 0..1000 {
            verdict.said("ärger ärger\n");
        }
        assert!(verdict.said.len() <= 4096);
    }
}
