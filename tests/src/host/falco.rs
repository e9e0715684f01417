//! A host on which a Falco runs: the stand-in, as a program of this host alone, so that no other test finds it.

use std::ops::Deref;
use std::path::PathBuf;
use std::process::Command;

use super::supervisor::Supervisor;
use super::{Host, RULES, fleet_yaml};
use crate::falco_stand_in::{FalcoStandIn, Fault, binary};

/// A host with a Falco: it answers for the host it stands on.
pub struct HostWithFalco {
    // Ended before the directory goes, in which its process is named.
    pub(super) supervisor: Option<Supervisor>,
    pub(super) host: Host,
    falco: Option<FalcoStandIn>,
    /// More keys of `[falco]` in agent.toml.
    more: String,
}

/// The falco.yaml of a host whose Falco serves metrics when `metrics` is true, with one rules file of the host's own.
fn falco_yaml(host: &Host, metrics: bool) -> String {
    format!(
        "# Falco's configuration on this host.\nrules_files:\n  - {}\n\nwebserver:\n  enabled: true\n  \
         prometheus_metrics_enabled: {metrics}\nmetrics:\n  enabled: {metrics}\npriority: debug\n",
        host.path("etc/own_rules.yaml").display()
    )
}

impl HostWithFalco {
    /// A host whose Falco runs already and that nobody has adopted, with a repository that asks for [`RULES`] as 1.0.0.
    #[must_use]
    #[track_caller]
    pub fn start(metrics: bool, faults: &[Fault]) -> Self {
        Self::start_as("0.44.1", "", |host| falco_yaml(host, metrics), faults)
    }

    /// The same with a Falco of this release and this falco.yaml, and `more` keys of `[falco]` in agent.toml.
    #[must_use]
    #[track_caller]
    pub fn start_as(version: &str, more: &str, falco_yaml: impl Fn(&Host) -> String, faults: &[Fault]) -> Self {
        let host = Host::new();
        host.write("falco.version", version);
        host.write("etc/falco.yaml", &falco_yaml(&host));
        host.write("etc/own_rules.yaml", RULES);
        host.publish(RULES, "1.0.0");
        let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.0.0"))]);
        // Copied by a program of its own: a file that this process has open for writing may be inherited by another
        // test's child, and cannot be executed then.
        let copied = Command::new("cp").arg(binary().unwrap()).arg(host.path("falco")).status().unwrap();
        assert!(copied.success());
        let mut host = Self { supervisor: None, host, falco: None, more: more.into() };
        host.start_falco(faults);
        host
    }

    /// The same, adopted and with one pass made: Falco has loaded the first generation.
    #[must_use]
    #[track_caller]
    pub fn in_sync(metrics: bool, faults: &[Fault]) -> Self {
        let host = Self::start(metrics, faults);
        let _adopted = host.falconer(["adopt"]).ended_with(0);
        let _status = host.once().ended_with(0);
        host
    }

    /// Starts Falco, instead of the one that runs, and waits until it is ready.
    #[track_caller]
    pub fn start_falco(&mut self, faults: &[Fault]) {
        self.start_falco_with(faults, &[]);
    }

    /// The same with more arguments.
    #[track_caller]
    pub fn start_falco_with(&mut self, faults: &[Fault], arguments: &[&str]) {
        self.falco = None;
        let config_file = self.path("etc/falco.yaml");
        let mut falco = FalcoStandIn::start_program(&self.program(), &config_file, faults, arguments).unwrap();
        falco.wait_ready().unwrap();
        self.host.configure(&format!(
            "http = \"http://127.0.0.1:{}\"\nconfirm_within = \"1500ms\"\nsettle = \"100ms\"\n{}",
            falco.port(),
            self.more
        ));
        let agent = self.read("agent.toml").replace("\"no-falco\"", "\"falco\"");
        self.write("agent.toml", &agent);
        self.falco = Some(falco);
    }

    /// Ends Falco.
    pub fn stop_falco(&mut self) {
        self.falco = None;
    }

    /// The Falco that was started last.
    #[track_caller]
    pub fn falco(&mut self) -> &mut FalcoStandIn {
        self.falco.as_mut().unwrap_or_else(|| panic!("no Falco was started"))
    }

    /// How many times the Falco that was started last was asked to reload, and did or did not.
    #[must_use]
    pub fn sighups(&self) -> usize {
        let count = |falco: &FalcoStandIn, words| falco.output().matches(words).count();
        self.falco.as_ref().map_or(0, |falco| count(falco, "SIGHUP received") + count(falco, "SIGHUP ignored"))
    }

    fn program(&self) -> PathBuf {
        self.path("falco")
    }
}

impl Deref for HostWithFalco {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}
