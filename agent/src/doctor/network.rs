//! Git, indexes, registries, and where reports go.

use super::Check;
use crate::pass::{Agent, Probe, Reached, probe, reach};

/// The desired-state repository and all that its desired state needs.
pub(super) async fn repository(agent: &mut Agent) -> Vec<Check> {
    let branch = agent.settings.repository.branch.clone();
    let reached = match reach(agent).await {
        Ok(reached) => reached,
        Err(error) => return vec![Check::of("git", &error), Check::skipped("desired state", "needs the repository")],
    };
    let mut checks = vec![match &reached.branch {
        Ok(tip) => Check::ok("git", format!("branch {branch} is at {}", tip.short())),
        Err(error) => Check::of("git", error),
    }];
    match (&reached.desired, &reached.branch) {
        (Some(error), _) => checks.push(Check::of("desired state", error)),
        (None, Err(_)) if reached.sources.is_empty() => {
            checks.push(Check::skipped("desired state", "needs the repository"));
        }
        (None, _) => {
            let count = reached.sources.len();
            checks.push(Check::ok("desired state", format!("is well-formed and needs {count} sources")));
        }
    }
    checks.extend(reached.sources.iter().map(source));
    checks
}

fn source(reached: &Reached) -> Check {
    match &reached.error {
        None => Check::ok(&reached.name, format!("{} answers", reached.place)),
        Some(error) => Check::of(&reached.name, error),
    }
}

/// The drift report: nothing is changed by trying.
pub(super) async fn report(agent: &Agent) -> Check {
    let name = "report";
    match probe(&agent.settings).await {
        None => Check::skipped(name, "is pushed nowhere: agent.toml has no [report]"),
        Some(Ok(Probe::Pushed)) => Check::ok(name, "a push is taken"),
        Some(Ok(Probe::Offered)) => {
            Check::ok(name, "the server lets us in; the first report will show whether it takes a push")
        }
        Some(Ok(Probe::Answers)) => Check::ok(name, "the server answers; a report will show whether it takes one"),
        Some(Ok(Probe::Local)) => Check::ok(name, "the repository is a directory of this host"),
        Some(Err(error)) => Check::of(name, &error),
    }
}
