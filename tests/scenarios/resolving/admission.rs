//! What a host's Falco cannot run ends a pass before anything is fetched.

use falconer_tests::host::{HostWithFalco, RULES, fleet_yaml};
use serde_json::{Value, json};

use super::*;

fn blobs(host: &Host) -> usize {
    std::fs::read_dir(host.path("state/store/blobs/sha256")).map(Iterator::count).unwrap_or_default()
}

#[test]
fn a_misfit_changes_and_fetches_nothing() {
    let host = HostWithFalco::in_sync(true, &[]);
    let before = (host.snapshot("state/generations"), blobs(&host), host.sighups());
    host.publish(&format!("- required_engine_version: 0.63.0\n{RULES}"), "1.1.0");
    let fleet = fleet_yaml("1.1.0");
    let said = "acme-rules 1.1.0 needs engine 0.63.0, and Falco 0.44.1 has 0.62.0";
    // A host that resolves for itself finds it out by the artifact's config, before its archive comes.
    let _commit = host.commit(&[("fleet.yaml", &fleet)]);
    let refused = host.once().ended_with(1);
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    assert_eq!(blobs(&host), before.1);
    let _locked = host.falconer(["lock", "fleet"]).ended_with(0);
    let _commit = host.commit(&[]);
    let refused = host.once().ended_with(1);
    assert!(refused.stderr.contains(said) && refused.stderr.contains("update Falco"), "{}", refused.stderr);
    let status = refused.json();
    assert_eq!((&status["condition"], &status["error"]["remedy"]), (&json!("Failed"), &json!("author")), "{status:#}");
    let plan = host.plan().ended_with(1).json();
    assert!(plan["error"]["message"].as_str().unwrap().contains(said), "{plan:#}");
    assert_eq!((blobs(&host), host.sighups()), (before.1, before.2));
    assert_eq!(before.0.differences(&host.snapshot("state/generations")), Vec::<&std::path::Path>::new());

    // In CI it is found before: there Falco is what fleet.yaml says.
    let with = |falco: &str| {
        host.write("fleet/fleet.yaml", &format!("{fleet}falco: \"{falco}\"\n"));
        let lock = host.falconer(["lock", "fleet"]);
        let check = host.falconer(["lock", "--check", "fleet"]);
        assert_eq!(lock.code, check.code, "{lock:?} {check:?}");
        lock
    };
    let refused = with("0.44").ended_with(1);
    let said = "fleet.yaml:3:3: acme-rules 1.1.0 needs engine 0.63.0, and Falco 0.44 has 0.62.0\n  hint: update Falco";
    assert!(refused.stderr.contains(said), "{}", refused.stderr);
    let unknown = with("0.99").ended_with(0);
    assert!(
        unknown.stderr.contains("note: acme-rules 1.1.0 needs engine 0.63.0, which is not known here"),
        "{unknown:?}"
    );
}

/// What the host's owner does not let the repository place is not fetched either.
#[test]
fn a_plugin_that_may_not_be_placed_is_not_fetched() {
    let host = HostWithFalco::in_sync(true, &[]);
    let before = blobs(&host);
    host.write("libtick.so", "a library");
    let platform = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };
    let push = "artifact push oci:tick:1.0.0 libtick.so --type plugin --version 1.0.0 --platform";
    let _published = host.falconer(push.split(' ').chain([platform])).ended_with(0);
    let fleet = fleet_yaml("1.0.0").replace("rules_files", "  tick: {ref: \"oci:tick\", version: 1.0.0}\nrules_files");
    let _commit = host.commit(&[("fleet.yaml", &fleet)]);
    let refused = host.once().ended_with(1);
    assert!(refused.stderr.contains("does not let the repository place the plugin `tick`"), "{}", refused.stderr);
    assert_eq!(blobs(&host), before);
}

/// A plugin that nobody knows of may be there: that is said, and Falco's own check decides.
#[test]
fn what_cannot_be_checked_is_said() {
    let host = HostWithFalco::in_sync(true, &[]);
    host.write("rules.yaml", &format!("{RULES}# needs a plugin\n"));
    let push = "artifact push oci:artifacts:1.1.0 rules.yaml --type rulesfile --version 1.1.0 --depends-on json:0.7.0";
    let _published = host.falconer(push.split(' ')).ended_with(0);
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let note = |answer: Value| (answer["notes"][0]["kind"].clone(), answer["notes"][0]["message"].clone());
    let said = "acme-rules 1.1.0 needs json 0.7.0, which is not known here";
    assert_eq!(note(host.plan().ended_with(2).json()), (json!("unchecked"), json!(said)));
    assert_eq!(note(host.once().ended_with(0).json()), (json!("unchecked"), json!(said)));
    assert_eq!(note(host.status().ended_with(0).json()), (json!("unchecked"), json!(said)));
}
