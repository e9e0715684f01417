//! Checks everything that falconer needs: on this host, and around it.
//!
//! Every check says what it found and, where that is not well, the next act. Nothing that Falco sees changes; the bare
//! repository may be filled, as by `falconer plan`.

mod falco;
mod host;
mod network;

use std::path::Path;

use serde::Serialize;

use crate::error::chain;
use crate::pass::{Agent, PassError};
use crate::settings;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It could not be looked at, because of something else.
    Skipped,
    /// falconer does its work, and something of it is missing.
    Warning,
    /// falconer cannot do its work.
    Failed,
}

impl Verdict {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What.
    pub name: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// The next act, where something is to be done.
    pub hint: Option<String>,
}

impl Check {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Ok, detail: detail.into(), hint: None }
    }

    fn skipped(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Skipped, ..Self::ok(name, detail) }
    }

    fn warning(name: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, hint: Some(hint.into()), ..Self::ok(name, detail) }
    }

    fn failed(name: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { verdict: Verdict::Failed, ..Self::warning(name, detail, hint) }
    }

    /// The check that an error ended.
    fn of(name: impl Into<String>, error: &PassError) -> Self {
        let who = format!("this can be ended by: {}", error.remedy().as_str());
        Self::failed(name, chain(error), error.hint().unwrap_or(who))
    }
}

/// Checks everything at `now`, in seconds since 1970, with the settings at `config`.
pub async fn examine(config: &Path, now: u64) -> Vec<Check> {
    let agent = settings::read(config).map_err(PassError::from).and_then(Agent::new);
    let mut agent = match agent {
        Ok(agent) => agent,
        Err(error) => {
            let rest = Check::skipped("everything else", "needs the settings");
            return vec![Check::of("settings", &error), rest];
        }
    };
    let mut checks = vec![Check::ok("settings", format!("{} is well-formed", config.display()))];
    checks.extend(host::files(config));
    checks.extend(host::state(&agent, now));
    checks.extend(host::schedule(&agent, now));
    checks.extend(network::repository(&mut agent).await);
    checks.push(network::report(&agent).await);
    checks.extend(falco::falco(&agent).await);
    checks.extend(falco::second_managers(&agent).await);
    checks
}
