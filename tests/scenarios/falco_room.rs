//! The Falco room against the stand-in: what is validated, reloaded and confirmed.

mod ask;
mod confirmed;
mod stand_in;
mod supervised;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use falconer::falco::{Deadlines, Expected, Falco, FalcoSettings, Supervision, running};
use falconer_manifests::digest::Digest;
use falconer_manifests::falco_config::{Adopted, Include, adopt};
use falconer_manifests::name::AbsolutePath;
use falconer_tests::falco_stand_in::{FalcoStandIn, Fault, binary};
use serde_json::json;

/// How long a test waits for something that must happen.
const SOON: Duration = Duration::from_secs(15);
/// The settling time of the tests.
const SETTLE: Duration = Duration::from_millis(200);

/// A host with an adopted falco.yaml and one generation.
struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    /// With metrics on or off.
    fn new(metrics: bool) -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap() };
        let webserver = format!("webserver: {{enabled: true, prometheus_metrics_enabled: {metrics}}}");
        let text = format!("# stock\nrules_files:\n  - /nowhere.yaml\n{webserver}\nmetrics:\n  enabled: {metrics}\n");
        let Adopted::Changed(text) = adopt(&text, &host.name("falconer.yaml"), None).unwrap() else {
            panic!("adopted")
        };
        std::fs::write(host.config_file(), text).unwrap();
        host.write("a", "10-a.yaml");
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn name(&self, name: &str) -> AbsolutePath {
        AbsolutePath::parse(self.path(name).to_str().unwrap()).unwrap()
    }

    fn config_file(&self) -> PathBuf {
        self.path("falco.yaml")
    }

    /// Makes one rules file with this rule what the include lists, and says what Falco is to have loaded.
    fn write(&self, rule: &str, file: &str) -> Expected {
        let rules = format!("- rule: {rule}\n  desc: d\n  condition: evt.type = open\n  output: o\n  priority: INFO\n");
        self.write_rules(&rules, file)
    }

    fn write_rules(&self, rules: &str, file: &str) -> Expected {
        std::fs::write(self.path(file), rules).unwrap();
        let include = Include {
            rules_files: vec![self.path(file).display().to_string()],
            settings: BTreeMap::from([("priority".into(), json!("debug"))]),
        }
        .render("ours");
        std::fs::write(self.path("falconer.yaml"), &include).unwrap();
        Expected {
            rules_files: BTreeMap::from([(file.into(), Digest::of(rules.as_bytes()))]),
            config_files: BTreeMap::from([("falconer.yaml".into(), Digest::of(include.as_bytes()))]),
        }
    }

    fn start(&self, faults: &[Fault], arguments: &[&str]) -> (FalcoStandIn, FalcoSettings) {
        let mut stand_in = FalcoStandIn::start_with(&self.config_file(), faults, arguments).unwrap();
        stand_in.wait_ready().unwrap();
        let settings = settings(&self.config_file(), Some(stand_in.port()));
        (stand_in, settings)
    }
}

fn settings(config_file: &Path, port: Option<u16>) -> FalcoSettings {
    FalcoSettings {
        memory: std::sync::Arc::default(),
        config_file: config_file.into(),
        binary: binary().unwrap(),
        http: port.map(|port| format!("http://127.0.0.1:{port}").parse().unwrap()),
        deadlines: Deadlines::default(),
        supervision: Supervision::default(),
        validate_as: None,
    }
}

fn found(settings: &FalcoSettings, stand_in: &FalcoStandIn) -> Falco {
    let falco = running(settings).unwrap().expect("a running Falco");
    assert_eq!(falco.pid, stand_in.pid());
    falco
}
