//! Somebody changes what falconer has placed: it is found, said, and put right; what is not falconer's is left alone.

mod acts;
mod immutable;
mod kinds;
mod plugins;
mod second_manager;
mod strays;

use std::path::Path;

use falconer_manifests::outcome::Condition;
use falconer_tests::host::{FALCO_YAML, Host, RULES, fleet_yaml};
use serde_json::{Value, json};

use acts::{Act, FILES, RULES_FILE, TO_FILES, TO_THE_REST, append, chmod, point};

/// An adopted host that has had two generations, the second of which is live.
fn placed() -> Host {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    append(&host.live("acme-rules.yaml"));
    let healed = host.once().ended_with(0).json();
    assert_eq!(healed["generation"], json!(2));
    host
}

/// The story of one act: planned, left alone in report mode, then healed.
fn tell(host: &Host, name: &str, does: &dyn Fn(&Path, &Path), kind: &str, path: Option<&str>) {
    println!("{name}");
    let state = host.path("state");
    let live = std::fs::canonicalize(state.join("current")).unwrap();
    let path = path.map_or(state.join("current"), |path| if path.is_empty() { live.clone() } else { live.join(path) });
    let is_named = |answer: &Value| {
        let drift = answer["drift"].as_array().unwrap();
        let found = drift.iter().any(|drift| drift["kind"] == kind && drift["path"] == path.to_str().unwrap());
        assert!(found, "{name}: {kind} {} in {drift:#?}", path.display());
    };
    does(&state, &live);
    let planned = host.plan().ended_with(2).json();
    is_named(&planned);

    host.configure("[drift]\nmode = \"report\"\n");
    let (generations, current) = (host.snapshot("state/generations"), host.snapshot_of_current());
    let status = host.once().ended_with(2).json();
    is_named(&status);
    assert_eq!((&status["condition"], &status["changes"]), (&json!("Drifted"), &json!([])), "{name}");
    assert_eq!(generations.differences(&host.snapshot("state/generations")), Vec::<&Path>::new(), "{name}");
    assert_eq!(current, host.snapshot_of_current(), "{name}");
    let lock = host.host_lock();
    assert!(lock.drift.iter().any(|drift| drift.path == path.to_str().unwrap()), "{name}: {lock:#?}");

    host.configure("");
    let status = host.once().ended_with(0).json();
    is_named(&status);
    assert_eq!(status["changes"], planned["changes"], "{name}");
    let changes = status["changes"].as_array().unwrap();
    let heals = changes.iter().filter(|change| change["kind"] == "heal").count();
    assert!(heals == changes.len() && heals > 0, "{name}: nothing but healing: {changes:#?}");
    assert!(changes.iter().any(|change| change["name"] == path.to_str().unwrap()), "{name}: {changes:#?}");
    let lock = host.host_lock();
    assert_eq!(lock.drift, Vec::new(), "{name}");
    if path != state.join("current") {
        let corrected = lock.corrected.iter().any(|drift| drift.path == path.to_str().unwrap());
        assert!(corrected, "{name}: {lock:#?}");
    }
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES, "{name}");
}

/// The next pass finds nothing to do.
#[track_caller]
fn nothing_is_left(host: &Host) {
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["changes"], &status["drift"]), (&json!([]), &json!([])));
}

#[test]
fn every_damage_to_every_file_is_named_and_healed() {
    let host = placed();
    for file in FILES {
        for (what, does, kind) in TO_FILES {
            tell(&host, &format!("{file} {what}"), &|_, live| does(&live.join(file)), kind, Some(file));
        }
    }
    nothing_is_left(&host);
    assert!(host.path("copy").exists(), "not ours to remove");
}

#[test]
fn every_damage_to_directories_and_the_pointer_is_named_and_healed() {
    let host = placed();
    for Act { name, does, kind, path } in TO_THE_REST {
        // Generation 1 has been pruned by now: one to point to is made.
        let other = host.path("state/generations/1");
        if !other.exists() {
            std::fs::create_dir(&other).unwrap();
        }
        tell(&host, name, &does, kind, path);
    }
    nothing_is_left(&host);
    assert_eq!(
        std::fs::read_to_string(host.path("elsewhere/10-acme-rules.yaml")).unwrap(),
        RULES,
        "not ours to remove"
    );
    assert_eq!(host.read("state/current.displaced-1/somebody's"), "work");
    assert_eq!(host.read("state/current.displaced-2"), "work");
}

#[test]
fn what_belongs_to_another_user_is_healed() {
    // Only root can give a file away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let host = placed();
    for path in [RULES_FILE, "rules", ""] {
        let give_away = |_: &Path, live: &Path| std::os::unix::fs::chown(live.join(path), Some(65534), None).unwrap();
        tell(&host, &format!("`{path}` is given away"), &give_away, "owner", Some(path));
    }
}

#[test]
fn several_damages_are_one_new_generation() {
    let host = placed();
    let live = std::fs::canonicalize(host.path("state/current")).unwrap();
    append(&live.join(RULES_FILE));
    std::fs::remove_file(live.join("falconer.lock")).unwrap();
    std::fs::write(live.join("rules/99-evil.yaml"), "").unwrap();
    point(&host.path("state"), "/etc");
    let status = host.once().ended_with(0).json();
    assert_eq!(status["generation"], json!(3));
    let drift = status["drift"].as_array().unwrap();
    let mut kinds: Vec<_> = drift.iter().map(|drift| drift["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["extra", "missing", "modified", "replaced"], "moving the pointer hides nothing: {drift:#?}");
    assert_eq!(host.host_lock().corrected.len(), 4);
    assert_eq!(host.once().ended_with(0).json()["drift"], json!([]));
    assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);
    assert!(!host.live("acme-rules.yaml").with_file_name("99-evil.yaml").exists());
}

#[test]
fn a_falco_yaml_that_no_longer_includes_us_is_said_and_left() {
    let host = placed();
    let adopted = host.read("etc/falco.yaml");
    assert_ne!(adopted, FALCO_YAML);
    let without = FALCO_YAML;
    host.write("etc/falco.yaml", without);
    for (ask, code) in [(Host::plan as fn(&Host) -> _, 2), (Host::once, 2), (Host::once, 2), (Host::status, 2)] {
        let answer = ask(&host).ended_with(code).json();
        let [drift] = answer["drift"].as_array().unwrap().as_slice() else { panic!("{answer}") };
        assert_eq!((&drift["kind"], &drift["path"]), (&json!("config"), &json!(host.path("etc/falco.yaml"))));
        assert_eq!(answer["changes"], json!([]));
    }
    assert_eq!(host.read("etc/falco.yaml"), without, "falco.yaml is edited by adopt alone");
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"));
}

#[test]
fn a_falco_that_cannot_be_understood_is_said_and_what_is_placed_is_kept_up() {
    let host = placed();
    let (adopted, revision) = (host.read("etc/falco.yaml"), host.status().json()["revision"].clone());
    let commit = host.commit(&[("fleet.yaml", &format!("{}config: {{priority: warning}}\n", fleet_yaml("1.0.0")))]);
    type Break = fn(&Host);
    let breaks: [(Break, &str, Break); 2] = [
        (
            |host| host.write("etc/falco.yaml", "rules_files: [\n"),
            "etc/falco.yaml:2:1",
            |host| std::fs::remove_file(host.path("etc/falco.yaml")).unwrap(),
        ),
        (
            |host| {
                host.write("no-falco", "#!/bin/sh\necho broken >&2\nexit 3\n");
                chmod(&host.path("no-falco"), 0o755);
            },
            "no-falco",
            |host| std::fs::remove_file(host.path("no-falco")).unwrap(),
        ),
    ];
    for (breaks, words, mends) in breaks {
        breaks(&host);
        std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
        let status = host.once().ended_with(1).json();
        assert_eq!((&status["condition"], &status["error"]["remedy"]), (&json!("Failed"), &json!("operator")));
        assert!(status["reason"].as_str().unwrap().contains(words), "{status:#}");
        assert_eq!((&status["revision"], &status["wanted"]), (&revision, &json!(commit)));
        assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES, "healed all the same");
        assert_eq!(host.host_lock().condition, Condition::Failed);
        let _plan = host.plan().ended_with(1);
        mends(&host);
    }
    host.write("etc/falco.yaml", &adopted);
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["condition"], &status["revision"]), (&json!("InSync"), &json!(commit)));
}

#[test]
fn in_report_mode_a_commit_is_still_carried_out() {
    let host = placed();
    host.configure("[drift]\nmode = \"report\"\n");
    append(&host.live("acme-rules.yaml"));
    let _drifted = host.once().ended_with(2);
    host.publish(&format!("{RULES}# 1.1.0\n"), "1.1.0");
    let commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["condition"], &status["revision"]), (&json!("InSync"), &json!(commit)));
    assert!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap().ends_with("# 1.1.0\n"));
}

#[test]
fn a_state_directory_that_others_can_write_to_is_not_used() {
    let host = placed();
    chmod(&host.path("state"), 0o777);
    let before = host.snapshot("state");
    let refused = host.falconer(["once"]).ended_with(1);
    assert!(
        refused.stderr.contains("can be written by") && refused.stderr.contains("chmod 0755"),
        "{}",
        refused.stderr
    );
    assert_eq!(before.differences(&host.snapshot("state")), Vec::<&Path>::new());
}
