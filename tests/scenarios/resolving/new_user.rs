//! A new user: from an index and a registry to a host in sync, and on.

use serde_json::{Value, json};

use super::*;

const RULES_ONLY: &str = "rules_files: [{artifact: acme-rules}]\n";

/// `name version` of all artifacts in an answer of `lock` or `once`.
fn artifacts(answer: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let all = answer["artifacts"].as_array().unwrap();
    all.iter().map(|artifact| format!("{} {}", text(&artifact["name"]), text(&artifact["version"]))).collect()
}

#[test]
fn what_rules_need_comes_with_them_and_is_obeyed() {
    let place = Place::new();
    let host = &place.host;
    let lock = |more: &[&str]| place.lock(&[&["--output", "json"], more].concat()).ended_with(0).json();
    place.index(&["acme-rules", "container"]);
    for version in ["5.0.0", "5.1.0", "5.2.0-rc1"] {
        place.rules("acme-rules", version, &["--depends-on", "container:0.4.0", "--add-floating-tags"]);
    }
    place.plugin("container", "0.4.1", &[]);

    // What is needed is left to the hosts, unless it is asked for. A pre-release is not what a range means.
    place.fleet("{acme-rules: ^v5}", RULES_ONLY);
    let said = place.lock(&[]).ended_with(0);
    assert!(said.stdout.contains("acme-rules ^v5 5.1.0 "), "{}", said.stdout);
    assert!(
        said.stderr.contains("note: acme-rules needs container 0.4.0, which is left to the hosts"),
        "{}",
        said.stderr
    );
    place.fleet("{acme-rules: ^v5}", &format!("{RULES_ONLY}dependencies: install\n"));
    let stale = place.lock(&["--check"]).ended_with(2);
    assert!(stale.stdout.contains("does not answer fleet.yaml: it was made for other"), "{}", stale.stdout);
    let locked = lock(&[]);
    assert_eq!(artifacts(&locked), ["acme-rules 5.1.0", "container 0.4.1"]);
    assert_eq!(locked["artifacts"][1]["needed_by"], json!(["acme-rules"]));
    assert_eq!(locked["notes"], json!([]));
    let _commit = host.commit(&[]);

    // A plugin is code: the policy of the host counts for one that only came along, too.
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let refused = host.once().ended_with(1);
    assert!(refused.stderr.contains("does not let the repository place the plugin `container`"), "{}", refused.stderr);
    assert!(refused.stderr.contains("fleet.yaml:3:13"), "the place of what needs it: {}", refused.stderr);
    host.write("policy.toml", "plugins = [\"container\"]\n");
    let status = host.once().ended_with(0).json();
    assert_eq!(artifacts(&status), ["acme-rules 5.1.0", "container 0.4.1"]);
    let include = host.read("state/current/falconer.yaml");
    assert!(include.contains("liba.so") && include.contains("load_plugins"), "{include}");

    // Nobody is asked once it is locked.
    std::fs::remove_file(host.path("index.yaml")).unwrap();
    let _fresh = place.lock(&["--check"]).ended_with(0);
    assert_eq!(lock(&[])["changed"], json!(false));
    assert_eq!(host.once().ended_with(0).json()["changes"], json!([]));

    // What the newer rules need raises what came for the older ones; nothing lowers it again.
    place.index(&["acme-rules", "container"]);
    place.plugin("container", "0.6.0", &[]);
    place.rules("acme-rules", "5.3.0", &["--depends-on", "container:0.5.0"]);
    let locked = lock(&["--update", "acme-rules"]);
    assert_eq!(artifacts(&locked), ["acme-rules 5.3.0", "container 0.6.0"]);
    assert_eq!(locked["moved"][1]["from"]["version"], json!("0.4.1"));
    place.fleet("{acme-rules: 5.1.0}", &format!("{RULES_ONLY}dependencies: install\n"));
    assert_eq!(artifacts(&lock(&["--update"])), ["acme-rules 5.1.0", "container 0.6.0"]);
    assert_eq!(artifacts(&lock(&["--update", "--allow-downgrade"])), ["acme-rules 5.1.0", "container 0.4.1"]);

    // A lockfile that was cut by hand has the right header and is refused all the same.
    let text = host.read("fleet/falconer.lock");
    let cut = text.rfind("[[artifact]]").unwrap();
    let _commit = host.commit(&[("falconer.lock", &text[..cut])]);
    let refused = host.once().ended_with(1);
    assert!(refused.stderr.contains("acme-rules needs container 0.4.0, which it lacks"), "{}", refused.stderr);
}

/// Without a lockfile a host that asks in every pass finds what is newer in a range, and does nothing while there is none.
#[test]
fn ranges_are_followed_without_a_lockfile() {
    let host = Host::new();
    host.write(
        "agent.toml",
        &host.read("agent.toml").replace("url = \"fleet\"\n", "url = \"fleet\"\nlocked = \"advisory\"\n"),
    );
    host.publish(falconer_tests::host::RULES, "1.0.0");
    let _commit = host.commit(&[("fleet.yaml", &falconer_tests::host::fleet_yaml("^1"))]);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let _first = host.once().ended_with(0);
    let resolution = host.snapshot("state");
    assert_eq!(host.once().ended_with(0).json()["changes"], json!([]));
    assert_eq!(resolution.differences(&host.snapshot("state")), Vec::<&std::path::Path>::new());
    host.publish(&format!("{}# newer\n", falconer_tests::host::RULES), "1.1.0");
    host.publish(&format!("{}# not yet\n", falconer_tests::host::RULES), "1.2.0-rc1");
    assert_eq!(artifacts(&host.once().ended_with(0).json()), ["acme-rules 1.1.0"]);
}

/// A digest with a tag is that content; that the tag has moved on is said, and changes nothing.
#[test]
fn a_tag_beside_a_digest_is_for_people() {
    let place = Place::new();
    place.index(&["acme-rules"]);
    place.rules("acme-rules", "1.0.0", &["--add-floating-tags"]);
    place.fleet("{acme-rules: '1'}", RULES_ONLY);
    let locked = place.lock(&["--output", "json"]).ended_with(0).json();
    let digest = locked["artifacts"][0]["digest"].as_str().unwrap().to_string();
    place.fleet(&format!("{{acme-rules: '1@{digest}'}}"), RULES_ONLY);
    let said = place.lock(&[]).ended_with(0);
    assert_eq!(said.stderr, "");
    place.host.write("rules.yaml", &format!("{}# more\n", falconer_tests::host::RULES));
    place.rules("acme-rules", "1.1.0", &["--add-floating-tags"]);
    let said = place.lock(&["--update"]).ended_with(0);
    assert!(
        said.stderr.starts_with("note: acme-rules stays at ") && said.stderr.contains("the tag 1 names"),
        "{said:?}"
    );
    assert!(said.stdout.contains(" 1.0.0 "), "{said:?}");
    let full = format!("{{acme-rules: '{}/a/acme-rules:1@{digest}'}}", place.registry.host());
    place.fleet(&full, RULES_ONLY);
    assert!(place.lock(&[]).ended_with(0).stdout.contains(" 1.0.0 "));
}
