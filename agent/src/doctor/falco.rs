//! The host's Falco, and whoever else manages it.

use falconer_manifests::falco_answers::FalcoVersion;
use falconer_manifests::falco_config::{self, Adoption};
use falconer_manifests::status::NoteKind;
use rustix::process::{Pid, test_kill_process};

use super::Check;
use crate::error::chain;
use crate::falco::{self, NoAnswer, Presence};
use crate::pass::{self, Agent};

/// How the metrics of Falco are switched on.
const METRICS_HINT: &str = "set `metrics.enabled`, `webserver.enabled` and `webserver.prometheus_metrics_enabled`, e.g. in `config` of fleet.yaml; \
     without them nothing proves what Falco has loaded";

/// The program, its configuration and its process.
pub(super) async fn falco(agent: &Agent) -> Vec<Check> {
    let binary = agent.settings.falco.binary.display().to_string();
    let (version, check) = match falco::version(&agent.falco).await {
        Ok(Presence::Present(versions)) => {
            let version = versions.falco;
            let check = match version.is_at_least(0, 38, 0) {
                true => Check::ok("falco", format!("{binary} is {version}")),
                false => Check::failed("falco", format!("{binary} is {version}"), "install Falco 0.38 or later"),
            };
            (Some(version), check)
        }
        Ok(Presence::Absent) => {
            let hint = "install Falco, or set `binary` under `[falco]` in agent.toml; until then rules are checked by their form only";
            (None, Check::warning("falco", format!("there is no {binary}"), hint))
        }
        Err(error) => (None, Check::failed("falco", chain(&error), error.hint())),
    };
    let mut checks = vec![check];
    checks.extend(configuration(agent, version.as_ref()));
    checks.extend(process(agent).await);
    checks
}

fn configuration(agent: &Agent, version: Option<&FalcoVersion>) -> Vec<Check> {
    let name = "falco.yaml";
    let documents = match falco::documents(&agent.falco, version) {
        Ok(documents) => documents,
        Err(error) => return vec![Check::failed(name, chain(&error), error.hint())],
    };
    let include = agent.include();
    let adopted = match falco_config::adoption(&documents.text, &include, version) {
        Adoption::Adopted => Check::ok(name, format!("{} includes {include}", documents.path)),
        other => Check::failed(name, format!("{}: {other}", documents.path), "run `falconer adopt`"),
    };
    let mut checks = vec![adopted];
    match falco_config::evaluate(&documents.sources(version, Some(&include))) {
        Ok(evaluated) => {
            checks.push(match falco_config::serves_metrics(&evaluated.settings) {
                true => Check::ok("metrics of Falco", "are on: what it has loaded can be proved by sha256"),
                false => Check::warning("metrics of Falco", "are off in falco.yaml", METRICS_HINT),
            });
            if falco_config::reload_is_noop(version, &evaluated.settings) {
                let hint = "set `watch_config_files: true` in falco.yaml and restart Falco";
                checks.push(Check::warning("reload", "this Falco ignores SIGHUP with watch_config_files: false", hint));
            }
        }
        Err(error) => checks.push(Check::failed("metrics of Falco", chain(&error), error.hint())),
    }
    checks
}

async fn process(agent: &Agent) -> Vec<Check> {
    let name = "process of Falco";
    let process = match falco::running(&agent.falco) {
        Ok(Some(process)) => process,
        Ok(None) => {
            let hint = "start Falco; what is live is loaded when it starts";
            return vec![Check::warning(name, "does not run", hint)];
        }
        Err(error) => return vec![Check::failed(name, chain(&error), error.hint())],
    };
    let may_signal = Pid::from_raw(process.pid.cast_signed()).is_some_and(|pid| test_kill_process(pid).is_ok());
    let pid = process.pid;
    let signal = match (may_signal, process.catches_sighup) {
        (false, _) => Check::failed(name, format!("{pid} may not be signalled"), "run falconer as root"),
        (true, true) => Check::ok(name, format!("{pid} can be asked to reload")),
        (true, false) => {
            let hint = "look again in a second: while it starts or reloads, SIGHUP would end it";
            Check::warning(name, format!("{pid} cannot take SIGHUP now"), hint)
        }
    };
    let loaded = match falco::loaded(&agent.falco).await {
        Ok(_) => Check::ok("answer of Falco", format!("{} tells what is loaded", agent.settings.falco.http)),
        Err(NoAnswer::Off { page }) => {
            Check::warning("answer of Falco", format!("it does not serve {page}"), METRICS_HINT)
        }
        Err(error) => Check::warning(
            "answer of Falco",
            chain(&error),
            "set `http` under `[falco]` in agent.toml to the address of Falco's web server, and switch that on",
        ),
    };
    vec![signal, loaded]
}

/// Whoever else changes what Falco loads.
pub(super) async fn second_managers(agent: &Agent) -> Vec<Check> {
    let name = "second managers";
    let notes = match pass::status(agent).await {
        Ok(status) => status.notes,
        Err(error) => return vec![Check::of(name, &error)],
    };
    let found = notes.into_iter().filter(|note| note.kind == NoteKind::SecondManager);
    let found: Vec<_> = found.map(|note| Check::warning(name, note.message, note.hint)).collect();
    if found.is_empty() { vec![Check::ok(name, "nobody else writes what Falco loads")] } else { found }
}
