//! falconer publishes artifacts and looks at them, in registries and in layouts; others read what it published.

mod floating;
mod import;
mod indexes;
mod look;
mod push;
mod reproducible;

use std::os::unix::fs::PermissionsExt;

use falconer_manifests::digest::Digest;
use falconer_tests::host::{Host, Run, run};
use serde_json::Value;

/// When everything here is published, unless a test says otherwise.
const EPOCH: &str = "1770000000";
/// [`EPOCH`] as artifacts state it.
const CREATED: &str = "2026-02-02T02:40:00Z";

/// Rules that need a plugin and an engine.
const NEEDY: &str = "- required_engine_version: 26\n\
    - required_plugin_versions:\n  - {name: json, version: 0.7.0, alternatives: [{name: k8saudit, version: 0.11.0}]}\n\
    - list: shells\n  items: [bash]\n";

/// Runs `falconer artifact …` at [`EPOCH`]; the words of `line` are its arguments.
fn artifact(host: &Host, line: &str) -> Run {
    let mut command = host.command();
    command.env("SOURCE_DATE_EPOCH", EPOCH).arg("artifact").args(line.split_whitespace());
    run(&mut command)
}

/// The JSON answer of `falconer artifact …`, which must succeed.
#[track_caller]
fn answer(host: &Host, line: &str) -> Value {
    artifact(host, &format!("{line} --output json")).ended_with(0).json()
}

/// A host with something to publish: rules, a plugin for two platforms, a directory.
fn publisher() -> Host {
    let host = Host::new();
    host.write("rules.yaml", NEEDY);
    host.write("libacme.so", "code for amd64");
    host.write("arm/libacme.so", "code for arm64");
    host.write("maps/b.json", "{}");
    host.write("maps/below/a.txt", "a");
    for path in ["libacme.so", "arm/libacme.so"] {
        std::fs::set_permissions(host.path(path), PermissionsExt::from_mode(0o755)).unwrap();
    }
    host
}

/// A digest in an answer.
#[track_caller]
fn digest(value: &Value) -> Digest {
    Digest::parse(value.as_str().unwrap_or_default()).unwrap()
}

/// The texts of a list in an answer.
#[track_caller]
fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}
