//! The first day of a host: adopt, plan, once, and nothing more to do.

use falconer_manifests::digest::Digest;
use falconer_manifests::outcome::{Condition, Evidence};
use falconer_tests::host::{FALCO_YAML, Host, RULES, fleet_yaml};
use serde_json::{Value, json};

/// The keys of the answer of `once` and `status` that are promised.
const PROMISED: [&str; 12] = [
    "host",
    "revision",
    "generation",
    "condition",
    "reason",
    "evidence",
    "falco",
    "artifacts",
    "changes",
    "drift",
    "next",
    "error",
];

/// A host whose repository asks for version 1.0.0 of the rules; nobody has adopted it.
fn unadopted() -> (Host, String) {
    let host = Host::new();
    host.publish(RULES, "1.0.0");
    let commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.0.0"))]);
    (host, commit)
}

fn sha256(text: &str) -> String {
    Digest::of(text.as_bytes()).hex().to_string()
}

#[test]
fn adopt_shows_its_edit_makes_it_and_makes_it_once() {
    let host = Host::new();
    let shown = host.falconer(["adopt", "--dry-run", "--output", "json"]).ended_with(2).json();
    assert_eq!((shown["changed"].clone(), shown["metrics"].clone()), (json!(false), json!(false)));
    assert_eq!(host.read("etc/falco.yaml"), FALCO_YAML, "a dry run changes nothing");
    let diff = shown["diff"].as_str().unwrap();
    let changed = |sign: &str, header: &str| {
        diff.lines().filter(|line| line.starts_with(sign) && !line.starts_with(header)).count()
    };
    assert_eq!((changed("-", "---"), changed("+", "+++")), (0, 2), "{diff}");
    let include = host.path("state/current/falconer.yaml").display().to_string();
    assert!(diff.contains(&include) && diff.contains("override"), "{diff}");

    let made = host.falconer(["adopt", "--output", "json"]).ended_with(0).json();
    assert_eq!(made["changed"], json!(true));
    assert_eq!(made["diff"], shown["diff"], "what was shown is what is done");
    let after = host.read("etc/falco.yaml");
    let added: Vec<_> = after.lines().filter(|line| !FALCO_YAML.lines().any(|old| old == *line)).collect();
    assert_eq!(added.len(), 2, "{added:?}");
    let kept: Vec<_> = after.lines().filter(|line| !added.contains(line)).collect();
    assert_eq!(kept, FALCO_YAML.lines().collect::<Vec<_>>(), "every other line stays");

    let again = host.falconer(["adopt", "--output", "json"]).ended_with(0).json();
    assert_eq!((again["changed"].clone(), again["diff"].clone()), (json!(false), json!("")));
    assert_eq!(host.read("etc/falco.yaml"), after);
    let shown = host.falconer(["adopt", "--dry-run"]).ended_with(0);
    assert!(shown.stdout.contains("already"), "{}", shown.stdout);
}

#[test]
fn the_plan_is_what_the_pass_does_and_the_second_pass_does_nothing() {
    let (host, commit) = unadopted();
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let etc = host.snapshot("etc");
    let plan = host.plan().ended_with(2).json();
    assert!(!host.path("state/current").exists(), "a plan makes nothing live");
    assert_eq!(plan["revision"], json!(commit));
    let steps: Vec<_> = plan["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["stage", "validate", "activate", "confirm"], "resolving has looked into the archive already");
    assert_eq!(host.plan().ended_with(2).json(), plan, "a plan is the same until something happens");

    let status = host.once().ended_with(0).json();
    assert_eq!(status["changes"], plan["changes"]);
    let staged = plan["steps"].as_array().unwrap().iter().find(|step| step["step"] == "stage").unwrap();
    assert_eq!(status["generation"], staged["record"]["generation"]);

    let before = host.snapshot("state");
    let second = host.once().ended_with(0).json();
    assert_eq!((second["changes"].clone(), second["drift"].clone()), (json!([]), json!([])));
    assert_eq!(host.plan().ended_with(0).json()["steps"], json!([]));
    assert_eq!(before.differences(&host.snapshot("state")), Vec::<&std::path::Path>::new());
    assert_eq!(etc.differences(&host.snapshot("etc")), Vec::<&std::path::Path>::new());
}

#[test]
fn the_answer_says_everything_and_everybody_says_the_same() {
    let (host, commit) = unadopted();
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let status = host.once().ended_with(0).json();
    for key in PROMISED {
        assert!(status.get(key).is_some(), "{key} is missing: {status}");
    }
    let expected = json!({"host": "web-1", "revision": commit, "wanted": commit, "generation": 1, "condition": "InSync",
        "reason": "", "evidence": "none", "falco": "absent", "drift": [], "error": null});
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&status[key], value, "{key}");
    }
    assert_eq!(status["changes"][0]["kind"], json!("add"));
    assert_eq!(status["changes"][0]["name"], json!("acme-rules"));
    assert!(status["changes"][0]["because"].as_str().unwrap().contains(&commit[..7]), "{status}");
    assert_eq!(status["next"]["who"], json!("agent"));

    let [artifact] = status["artifacts"].as_array().unwrap().as_slice() else { panic!("{status}") };
    assert_eq!([&artifact["name"], &artifact["type"], &artifact["version"]], ["acme-rules", "rulesfile", "1.0.0"]);
    assert!(artifact["digest"].as_str().unwrap().starts_with("sha256:"));
    let [file] = artifact["files"].as_array().unwrap().as_slice() else { panic!("{status}") };
    assert_eq!(std::fs::read_to_string(file["path"].as_str().unwrap()).unwrap(), RULES, "byte for byte");
    assert_eq!(file["sha256"], json!(sha256(RULES)));
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);

    let mut said = host.status().ended_with(0).json();
    let pass = said.as_object_mut().unwrap().remove("last_pass").unwrap();
    assert_eq!((&pass["outcome"], &pass["failures"]), (&json!("InSync"), &json!(0)), "when it was last looked after");
    let without_changes = |status: &Value| {
        let mut status = status.clone();
        status["changes"] = json!([]);
        status
    };
    assert_eq!(said, without_changes(&status));
    assert_eq!(serde_json::from_str::<Value>(&host.read("state/status.json")).unwrap(), said);

    let lock = host.host_lock();
    assert_eq!((lock.host.as_str(), lock.condition, lock.evidence), ("web-1", Condition::InSync, Evidence::None));
    assert_eq!(lock.applied.unwrap().as_str(), commit);
    assert_eq!((lock.sequence, lock.falco.as_str()), (1, "absent"));
    assert_eq!(lock.artifacts[0].digest.to_string(), artifact["digest"].as_str().unwrap());
    assert_eq!(lock.artifacts[0].files[0].sha256.hex(), sha256(RULES));
    assert_eq!(lock.artifacts[0].files[0].live.as_str(), "generations/1/rules/10-acme-rules.yaml");
    assert_eq!((lock.drift, lock.corrected), (Vec::new(), Vec::new()));

    let text = host.falconer(["status"]).ended_with(0).stdout;
    for word in ["web-1", "InSync", &commit[..7], "acme-rules 1.0.0", "absent"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn before_the_first_pass_the_host_is_pending() {
    let (host, _commit) = unadopted();
    let status = host.status().ended_with(2).json();
    assert_eq!((status["condition"].clone(), status["generation"].clone()), (json!("Pending"), Value::Null));
    assert!(!host.path("state").exists(), "asking writes nothing");
}

#[test]
fn a_host_without_falco_yaml_is_served_all_the_same() {
    let (host, _commit) = unadopted();
    std::fs::remove_file(host.path("etc/falco.yaml")).unwrap();
    let status = host.once().ended_with(0).json();
    assert_eq!((status["condition"].clone(), status["generation"].clone()), (json!("InSync"), json!(1)));
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);
    let refused = host.falconer(["adopt"]).ended_with(1);
    assert!(refused.stderr.contains("falco.yaml") && refused.stderr.contains("hint:"), "{}", refused.stderr);
}

#[test]
fn a_falco_yaml_that_nobody_adopted_is_drift_and_says_what_to_do() {
    let (host, _commit) = unadopted();
    for ask in [Host::once, Host::once, Host::status] {
        let status = ask(&host).ended_with(2).json();
        assert_eq!(status["condition"], json!("Drifted"));
        assert!(status["next"]["hint"].as_str().unwrap().contains("falconer adopt"), "{status}");
        let [drift] = status["drift"].as_array().unwrap().as_slice() else { panic!("{status}") };
        assert_eq!((&drift["kind"], &drift["path"]), (&json!("config"), &json!(host.path("etc/falco.yaml"))));
    }
    assert_eq!(host.read("etc/falco.yaml"), FALCO_YAML, "a pass does not edit what is not ours");
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let status = host.once().ended_with(0).json();
    assert_eq!((status["condition"].clone(), status["generation"].clone()), (json!("InSync"), json!(1)));
}
