//! Floating tags move only forward.

use falconer_tests::registry_server::{Mode, RegistryServer};

use super::*;

/// Publishes `version` and gives its tags.
#[track_caller]
fn publish(host: &Host, place: &str, version: &str, flags: &str) -> Vec<String> {
    let line = format!("push {place} rules.yaml --type rulesfile --version {version} --plain-http {flags}");
    texts(&answer(host, &line)["tags"]).into_iter().map(str::to_string).collect()
}

/// What each floating tag means, as `tag=version`.
#[track_caller]
fn meanings(host: &Host, place: &str) -> Vec<String> {
    let info = answer(host, &format!("info {place} --plain-http"));
    let tags = info["artifacts"][0]["tags"].as_array().unwrap();
    tags.iter().map(|tag| format!("{}={}", tag["tag"].as_str().unwrap(), tag["version"].as_str().unwrap())).collect()
}

fn only_forward(place: &str) {
    let host = publisher();
    let both = "--add-floating-tags --latest";
    for (version, tags) in [
        ("1.3.0", &["1.3.0", "1", "1.3", "latest"][..]),
        // A fix of an older minor.
        ("1.2.4", &["1.2.4", "1.2"]),
        // Nothing floats to a pre-release, and none stands in the way of anything.
        ("2.0.0-rc1", &["2.0.0-rc1"]),
        ("1.3.1", &["1.3.1", "1", "1.3", "latest"]),
        ("1.3.0", &["1.3.0"]),
        ("2.0.0", &["2.0.0", "2", "2.0", "latest"]),
        ("1.10.0", &["1.10.0", "1", "1.10"]),
    ] {
        assert_eq!(publish(&host, place, version, both), tags, "{version}");
    }
    let expected = ["1=1.10.0", "1.10=1.10.0", "1.2=1.2.4", "1.3=1.3.1", "2=2.0.0", "2.0=2.0.0", "latest=2.0.0"];
    assert_eq!(meanings(&host, place), expected);
    // Without the request there is no `latest`.
    assert_eq!(publish(&host, place, "3.0.0", "--add-floating-tags"), ["3.0.0", "3", "3.0"]);
    assert_eq!(publish(&host, place, "3.0.1", "--latest --tag x"), ["x", "latest"]);
}

#[test]
fn in_a_layout() {
    only_forward("oci:rules");
}

#[test]
fn in_a_registry() {
    let server = RegistryServer::start(Mode::Plain).unwrap();
    only_forward(&format!("{}/acme/rules", server.host()));
}

#[test]
fn a_floating_tag_counts_as_what_it_names() {
    let host = publisher();
    // Nothing but the floating tag says that 1.5.0 is there.
    assert_eq!(publish(&host, "oci:rules:1", "1.5.0", ""), ["1"]);
    let line = "push oci:rules rules.yaml --type rulesfile --version 1.4.0 --add-floating-tags";
    let pushed = answer(&host, line);
    assert_eq!(texts(&pushed["tags"]), ["1.4.0", "1.4"]);
    let left = serde_json::json!({"tag": "1", "moved": false, "newer": "1.5.0"});
    assert_eq!(pushed["floating"], serde_json::json!([left, {"tag": "1.4", "moved": true, "newer": null}]));
    let said = artifact(&host, line).ended_with(0).stdout;
    assert!(said.contains("tag 1 stays where it is: 1.5.0 is newer\ntag 1.4 names it now"), "{said}");
    assert_eq!(meanings(&host, "oci:rules"), ["1=1.5.0", "1.4=1.4.0"]);
}

#[test]
fn tags_that_are_given_are_taken_to_the_letter() {
    let host = publisher();
    publish(&host, "oci:rules:1", "1.5.0", "");
    // falcoctl's meaning of the reference and of --tag: whoever names a tag moves it.
    assert_eq!(publish(&host, "oci:rules:1", "1.4.0", "--tag 1 --tag x"), ["1", "x"]);
    assert_eq!(publish(&host, "oci:other", "1.4.0", ""), ["latest"]);
    assert_eq!(meanings(&host, "oci:rules"), ["1=1.4.0", "x=1.4.0"]);
}
