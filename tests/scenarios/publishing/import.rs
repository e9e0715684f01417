//! Coming from falcoctl.

use falconer_manifests::fleet;
use falconer_tests::host::agent_toml;
use falconer_tests::registry_server::{Mode, RegistryServer};

use super::*;

const STOCK: &str = include_str!("../../../fixtures/falcoctl.yaml");

#[test]
fn the_file_that_the_package_installs() {
    let host = Host::new();
    host.write("falcoctl.yaml", STOCK);
    let printed = host.falconer(["import", "falcoctl.yaml"]).ended_with(0);
    let state = fleet::parse("fleet.yaml", &printed.stdout).unwrap();
    assert_eq!(state.artifacts.len(), 1);
    assert_eq!(state.artifacts[0].version.to_string(), "5");
    assert!(
        matches!(&state.rules_files[..], [fleet::RulesEntry::Artifact { name, .. }, fleet::RulesEntry::Host { path, .. }]
        if name.as_str() == "falco-rules" && path.as_str() == "/etc/falco/falco_rules.local.yaml")
    );
    assert!(printed.stderr.contains("falcoctl.yaml:2:1: `driver` is not carried over"), "{}", printed.stderr);
    assert!(printed.stderr.contains("[schedule]\nresolve_every = \"168h\""), "{}", printed.stderr);

    let written =
        host.falconer(["import", "falcoctl.yaml", "--output-dir", "new/fleet", "-ojson"]).ended_with(0).json();
    assert_eq!(host.read("new/fleet/fleet.yaml"), printed.stdout);
    assert_eq!(written["fleet"].as_str(), Some(printed.stdout.as_str()));
    assert_eq!(written["agent"], "[schedule]\nresolve_every = \"168h\"\n");
    assert_eq!(written["notes"][1]["location"]["line"], 2);
    // What is there is not overwritten.
    let refused = host.falconer(["import", "falcoctl.yaml", "--output-dir", "new/fleet"]).ended_with(1);
    assert!(refused.stderr.contains("exists"), "{}", refused.stderr);
    host.write("not.yaml", "- a\n");
    let refused = host.falconer(["import", "not.yaml"]).ended_with(1);
    assert!(refused.stderr.contains("not.yaml:1:1"), "{}", refused.stderr);
}

/// The way of the tutorial "GitOps your Falco Rules": rules published by branch, followed by falcoctl, then by falconer.
#[test]
fn what_falcoctl_followed_falconer_locks() {
    let server = RegistryServer::start(Mode::Plain).unwrap();
    let host = publisher();
    let place = format!("{}/acme/custom-rules", server.host());
    let pushed = answer(&host, &format!("push {place}:main rules.yaml --type rulesfile --version main --plain-http"));
    let falcoctl = format!(
        "artifact:\n  follow:\n    every: 5m0s\n    refs: [{place}:main]\nindexes: []\nregistry:\n  auth:\n    basic:\n      \
         - {{registry: '{}', user: fleet, password: canary-secret}}\n",
        server.host()
    );
    host.write("falcoctl.yaml", &falcoctl);
    let imported = host.falconer(["import", "falcoctl.yaml", "--output-dir", "fleet"]).ended_with(0);
    assert!(!format!("{imported:?}{}", host.read("fleet/fleet.yaml")).contains("canary"), "{imported:?}");
    assert!(imported.stderr.contains("falcoctl.yaml:9:9: the secret for"), "{}", imported.stderr);
    let lines = imported.stderr.split("agent.toml of the hosts:\n").nth(1).unwrap();
    // The lines for agent.toml are good ones once the password is where they say.
    let lines = lines.replace("/etc/falconer/secrets/", "secrets-");
    let file = lines.split("password_file = \"").nth(1).unwrap().split('"').next().unwrap().to_string();
    host.write(&file, "canary-secret\n");
    let plain = format!("[registries.\"{}\"]\nplain_http = true\n", server.host());
    host.write("agent.toml", &(agent_toml("fleet") + &lines + &plain));
    let locked = host.falconer(["lock", "fleet", "--output", "json"]).ended_with(0).json();
    assert_eq!(locked["artifacts"][0]["digest"], pushed["digest"]);
}
