//! From names, ranges and dependencies to a lockfile, and what hosts make of it.

mod admission;
mod economy;
mod new_user;
mod refused;
mod weight;

use std::fmt::Write as _;

use falconer_tests::host::{Host, Run};
use falconer_tests::registry_server::{Mode, RegistryServer};

/// A host, and a registry with an index that names what is in it.
struct Place {
    host: Host,
    registry: RegistryServer,
}

impl Place {
    fn new() -> Self {
        let registry = RegistryServer::start(Mode::Plain).unwrap();
        let host = Host::new();
        host.configure(&format!("[registries.\"{}\"]\nplain_http = true\n", registry.host()));
        host.write("rules.yaml", falconer_tests::host::RULES);
        host.write("liba.so", "a library");
        Self { host, registry }
    }

    /// Names these in the index.
    fn index(&self, names: &[&str]) {
        let text = names.iter().fold(String::new(), |mut text, name| {
            let _written =
                writeln!(text, "- {{name: {name}, registry: '{}', repository: a/{name}}}", self.registry.host());
            text
        });
        self.host.write("index.yaml", &text);
    }

    /// A fleet.yaml that looks names up in the index: its `artifacts`, and what it says more.
    fn fleet(&self, artifacts: &str, more: &str) {
        let index = self.host.path("index.yaml");
        let text = format!(
            "version: 1\nindexes: [{{name: local, url: 'file://{}'}}]\nartifacts: {artifacts}\n{more}",
            index.display()
        );
        self.host.write("fleet/fleet.yaml", &text);
    }

    /// Publishes rules under `name:version`, with more arguments.
    fn rules(&self, name: &str, version: &str, more: &[&str]) {
        self.push(name, version, &["rules.yaml", "--type", "rulesfile"], more);
    }

    /// Publishes a plugin for this machine.
    fn plugin(&self, name: &str, version: &str, more: &[&str]) {
        let platform = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
        self.push(name, version, &["liba.so", "--type", "plugin", "--platform", platform], more);
    }

    fn push(&self, name: &str, version: &str, what: &[&str], more: &[&str]) {
        let reference = format!("{}/a/{name}:{version}", self.registry.host());
        let push = ["artifact", "push", &reference].into_iter().chain(what.iter().copied());
        let push = push.chain(["--version", version]).chain(more.iter().copied());
        let _published = self.host.falconer(push).ended_with(0);
    }

    fn lock(&self, more: &[&str]) -> Run {
        self.host.falconer(["lock", "fleet"].iter().chain(more))
    }
}
