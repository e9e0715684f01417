//! falco.yaml with our keys in it: for a Falco without includes, or by choice.

mod by_others;

use std::path::Path;

use falconer_tests::host::{Host, HostWithFalco, RULES, fleet_yaml};
use falconer_tests::trace;
use serde_json::{Value, json};

const EDIT: &str = "config = \"edit\"\n";

/// A falco.yaml of the era of `key`, with the host's own rules and metrics on where there are any.
pub(crate) fn falco_yaml(key: &'static str) -> impl Fn(&Host) -> String {
    move |host| {
        format!(
            "# Falco's configuration on this host.\n{key}:\n  - {} # ours\n\nwebserver:\n  enabled: true\n  # on\n  \
             prometheus_metrics_enabled: true\nmetrics:\n  enabled: true\npriority: debug",
            host.path("etc/own_rules.yaml").display()
        )
    }
}

/// A host with a Falco of this release in edit mode, which nobody has adopted.
pub(crate) fn edited(version: &str) -> HostWithFalco {
    let key = if version < "0.38" { "rules_file" } else { "rules_files" };
    HostWithFalco::start_as(version, EDIT, falco_yaml(key), &[])
}

/// Commits a fleet.yaml with `rules` and the host's own file after it.
fn commit(host: &HostWithFalco, rules: &str, config: &str) -> String {
    let own = host.path("etc/own_rules.yaml");
    let fleet = format!(
        "version: 1\nrules_files:\n  - file: rules/acme.yaml\n  - host: {}\nconfig: {{{config}}}\n",
        own.display()
    );
    host.commit(&[("fleet.yaml", &fleet), ("rules/acme.yaml", rules)])
}

fn condition(status: &Value) -> (&str, &Value) {
    (status["condition"].as_str().unwrap(), &status["generation"])
}

fn names(host: &HostWithFalco, generation: u32) -> bool {
    let root = host.path(format!("state/generations/{generation}/rules/10-acme.yaml"));
    host.read("etc/falco.yaml").contains(&format!("\n  - \"{}\"", root.display()))
}

#[test]
fn a_day_of_a_falco_without_includes() {
    let mut host = edited("0.36.2");
    let before = host.read("etc/falco.yaml");
    let _commit = commit(&host, RULES, "priority: warning");
    // Nobody has adopted it: what is live is on disk, and falco.yaml is left alone.
    let first = host.once().ended_with(2).json();
    assert!(first["next"]["hint"].as_str().unwrap().contains("falconer adopt"), "{first}");
    assert_eq!(host.read("etc/falco.yaml"), before);

    let shown = host.falconer(["adopt", "--dry-run", "--output", "json"]).ended_with(2).json();
    assert_eq!(host.read("etc/falco.yaml"), before);
    let made = host.falconer(["adopt", "--output", "json"]).ended_with(0).json();
    assert_eq!((&made["diff"], &made["changed"]), (&shown["diff"], &json!(true)));
    assert!(names(&host, 1) && host.read("etc/falco.yaml").contains("\nrules_file:\n"), "live already");
    let again = host.falconer(["adopt", "--output", "json"]).ended_with(0).json();
    assert_eq!(again["changed"], json!(false));

    let _commit = commit(&host, &format!("{RULES}# two\n"), "priority: warning");
    let sighups = host.sighups();
    let plan = host.plan().ended_with(2).json();
    let steps: Vec<_> = plan["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["copy", "stage", "validate", "activate", "edit", "reload", "confirm"]);
    let status = host.once().ended_with(0).json();
    assert_eq!((condition(&status), &status["evidence"]), (("InSync", &json!(2)), &json!("restarted")));
    assert!(names(&host, 2) && host.sighups() == sighups + 1);
    let (state, etc) = (host.snapshot("state"), host.snapshot("etc"));
    let _nothing = host.once().ended_with(0);
    assert_eq!(state.differences(&host.snapshot("state")), Vec::<&Path>::new());
    assert_eq!(etc.differences(&host.snapshot("etc")), Vec::<&Path>::new());

    // The owner's own lines are the owner's; ours are healed.
    let text = host.read("etc/falco.yaml");
    let owners = text.replace("  # on\n", "  # still on\n") + "\nlog_level: info\n";
    host.write("etc/falco.yaml", &owners);
    let _nothing = host.once().ended_with(0);
    assert_eq!(host.read("etc/falco.yaml"), owners);
    host.write("etc/falco.yaml", &owners.replace("\npriority: \"warning\"", "\npriority: emergency"));
    let status = host.status().ended_with(2).json();
    assert_eq!(
        (&status["drift"][0]["kind"], &status["drift"][0]["observed"]),
        (&json!("config"), &json!("priority not as falconer has set them"))
    );
    let healed = host.once().ended_with(0).json();
    assert_eq!((condition(&healed), &healed["changes"][0]["kind"]), (("InSync", &json!(2)), &json!("heal")));
    assert_eq!(host.read("etc/falco.yaml"), owners);
    assert_eq!(host.sighups(), sighups + 2);

    // Bad rules are refused before anything changes.
    let _commit = commit(&host, "- rule: [\n", "");
    let refused = host.once().ended_with(1).json();
    assert_eq!(condition(&refused), ("Failed", &json!(2)));
    assert_eq!(host.read("etc/falco.yaml"), owners);
    host.stop_falco();
}

#[test]
fn a_later_falco_by_choice_proves_what_it_has_loaded() {
    let mut host = edited("0.44.1");
    let before = host.read("etc/falco.yaml");
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    assert!(host.read("etc/falco.yaml").contains("#|   - "), "its own list, marked");
    let status = host.once().ended_with(0).json();
    assert_eq!((condition(&status), &status["evidence"]), (("InSync", &json!(1)), &json!("sha256")));

    // Only a setting changes: the rules are the same, and Falco's digest of falco.yaml tells the difference.
    let fleet = format!("{}config: {{priority: critical}}\n", fleet_yaml("1.0.0"));
    let _commit = host.commit(&[("fleet.yaml", &fleet)]);
    let status = host.once().ended_with(0).json();
    assert_eq!((condition(&status), &status["evidence"]), (("InSync", &json!(2)), &json!("sha256")));
    assert_eq!(host.sighups(), 2);

    // A package puts its own file back: the keys come back, and what the new file has is the owner's.
    let packaged = format!("{before}\nnew_key: 1\n");
    host.write("etc/falco.yaml", &packaged);
    let healed = host.once().ended_with(0).json();
    assert_eq!(condition(&healed), ("InSync", &json!(2)));
    let text = host.read("etc/falco.yaml");
    assert!(text.contains("\nnew_key: 1\n") && text.contains("\npriority: \"critical\"\n"), "{text}");

    // What cannot be edited is said with its place, and left.
    let torn = text.replace("# <<< falconer: priority\n", "");
    host.write("etc/falco.yaml", &torn);
    let failed = host.once().ended_with(1).json();
    let message = failed["reason"].as_str().unwrap();
    assert!(message.contains("etc/falco.yaml:") && message.contains("a block of falconer"), "{message}");
    assert_eq!(host.read("etc/falco.yaml"), torn);
    host.falco().wait_ready().unwrap();
}

#[test]
fn a_reload_that_fails_brings_the_old_keys_back() {
    let mut host = edited("0.37.1");
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let _status = host.once().ended_with(0);
    let good = host.read("etc/falco.yaml");
    host.start_falco(&[falconer_tests::falco_stand_in::Fault::DieAtReload]);
    host.publish(&format!("{RULES}# two\n"), "2.0.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("2.0.0"))]);
    let status = host.once().ended_with(1).json();
    assert_eq!(condition(&status), ("RolledBack", &json!(1)));
    assert_eq!(host.read("etc/falco.yaml"), good);
    host.start_falco(&[]);
}

#[test]
fn from_one_way_to_the_other_and_back() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    let with_entry = host.read("etc/falco.yaml");
    let included = host.read("agent.toml");
    host.write("agent.toml", &(included.clone() + EDIT));
    let told = host.once().ended_with(2).json();
    assert_eq!((&told["drift"][0]["kind"], told["changes"].as_array().unwrap().len()), (&json!("config"), 0), "{told}");
    assert_eq!(host.read("etc/falco.yaml"), with_entry, "nobody has adopted it for that");
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let with_keys = host.read("etc/falco.yaml");
    assert!(!with_keys.contains("falconer.yaml") && with_keys.contains("generations/1/rules"), "{with_keys}");
    assert_eq!(condition(&host.once().ended_with(0).json()), ("InSync", &json!(1)));
    host.write("agent.toml", &included);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    assert_eq!(host.read("etc/falco.yaml"), with_entry);
    assert_eq!(condition(&host.once().ended_with(0).json()), ("InSync", &json!(1)));
    host.stop_falco();
}

#[test]
fn killed_before_and_after_the_rename_of_falco_yaml() {
    if !trace::is_permitted() {
        return;
    }
    let host = Host::new();
    host.write("agent.toml", &(host.read("agent.toml") + EDIT));
    host.publish(RULES, "1.0.0");
    host.publish(&format!("{RULES}# two\n"), "2.0.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.0.0"))]);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let _status = host.once().ended_with(0);
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("2.0.0"))]);
    let etc = host.path("etc");
    let (_, calls) = trace::record(&once(&host), trace::CHANGES, false);
    let mut points = Vec::new();
    for (at, call) in calls.iter().enumerate().filter(|(_, call)| call.changes(&etc) && call.is_repeatable()) {
        // The writing of the new file is one point.
        if !["openat", "fsync", "rename", "renameat", "renameat2"].contains(&call.name.as_str()) {
            continue;
        }
        let before = calls.iter().take(at + 1);
        points.push((call, before.filter(|other| other.name == call.name && call.place_matches(other)).count()));
    }
    assert!(points.len() >= 3, "{calls:#?}");
    for (call, nth) in points {
        let version =
            if host.read("state/current/rules/10-acme-rules.yaml").contains("# two") { "1.0.0" } else { "2.0.0" };
        let _commit = host.commit(&[("fleet.yaml", &fleet_yaml(version))]);
        let run = trace::inject(&once(&host), call, &format!("signal=KILL:when={nth}"));
        assert_eq!(run.code, None, "{call:?}");
        let named = generation_in(&host.read("etc/falco.yaml"));
        assert!(host.path(format!("state/generations/{named}/MANIFEST")).exists(), "what falco.yaml names is whole");
        let status = host.once().ended_with(0).json();
        assert_eq!(generation_in(&host.read("etc/falco.yaml")), status["generation"].as_u64().unwrap());
        assert_eq!(std::fs::read_dir(&etc).unwrap().count(), 1, "nothing is left behind");
    }
}

/// A pass, as a command that can be run.
fn once(host: &Host) -> std::process::Command {
    let mut once = host.command();
    once.arg("once");
    once
}

/// The generation that a falco.yaml names.
fn generation_in(text: &str) -> u64 {
    let rest = text.split("/generations/").nth(1).unwrap();
    rest.split('/').next().unwrap().parse().unwrap()
}
