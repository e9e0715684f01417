//! Things among our generations and plugins that were never ours.

use std::os::unix::fs::symlink;

use falconer_tests::host::HostWithFalco;

use super::*;

const STRAYS: [&str; 6] =
    ["generations/9", "generations/backup", "generations/note.txt", "generations/007", "plugins/mine", "plugins/link"];

/// Puts them there, and things of somebody's where they lead to and beside them.
fn strew(host: &Host) {
    for directory in ["generations/9", "generations/backup/rules", "generations/007", "plugins/mine"] {
        std::fs::create_dir_all(host.path("state").join(directory)).unwrap();
    }
    host.write("state/generations/note.txt", "words");
    host.write("state/generations/backup/rules/x.yaml", "somebody's");
    host.write("elsewhere/kept", "somebody's");
    host.write("etc/own_rules.local.yaml", "somebody's");
    host.write("state/notes", "somebody's");
    symlink(host.path("elsewhere"), host.path("state/plugins/link")).unwrap();
}

#[track_caller]
fn are_named(host: &Host, answer: &Value) {
    let drift = answer["drift"].as_array().unwrap();
    let paths: Vec<_> = drift.iter().map(|drift| (drift["kind"].as_str().unwrap(), drift["path"].clone())).collect();
    let expected: Vec<_> = STRAYS.iter().map(|path| ("extra", json!(host.path("state").join(path)))).collect();
    for one in &expected {
        assert!(paths.contains(one), "{one:?} in {drift:#?}");
    }
    assert_eq!(paths.len(), expected.len(), "{drift:#?}");
}

#[test]
fn they_are_named_and_removed_without_a_reload_and_nothing_else_is() {
    let host = HostWithFalco::in_sync(true, &[]);
    let sighups = host.sighups();
    strew(&host);
    are_named(&host, &host.status().ended_with(2).json());
    let agent = host.read("agent.toml");
    host.write("agent.toml", &format!("{agent}[drift.kinds]\nextra = \"report\"\n"));
    let before = host.snapshot("state/generations");
    are_named(&host, &host.once().ended_with(2).json());
    // Nor does a change remove what was only to be reported.
    host.publish(&format!("{RULES}# 1.1.0\n"), "1.1.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    are_named(&host, &host.once().ended_with(2).json());
    let gone = host.snapshot("state/generations");
    assert!(before.differences(&gone).iter().all(|path| !path.starts_with(host.path("state/generations/backup"))));
    assert_eq!(host.sighups() - sighups, 1, "of the commit");

    host.write("agent.toml", &agent);
    let status = host.once().ended_with(0).json();
    are_named(&host, &status);
    assert_eq!(status["changes"].as_array().unwrap().len(), STRAYS.len());
    assert!(status["changes"].as_array().unwrap().iter().all(|change| change["cause"] == "corrective"));
    for stray in STRAYS {
        assert!(host.path("state").join(stray).symlink_metadata().is_err(), "{stray}");
    }
    for kept in ["elsewhere/kept", "etc/own_rules.local.yaml", "state/notes"] {
        assert_eq!(host.read(kept), "somebody's");
    }
    nothing_is_left(&host);
    assert_eq!(host.sighups() - sighups, 1, "no more for what Falco never saw");
}

#[test]
fn what_was_refused_is_ours() {
    let host = HostWithFalco::in_sync(true, &[]);
    let fleet = "version: 1\nrules_files:\n  - file: rules/own.yaml\n";
    let _commit = host.commit(&[("fleet.yaml", fleet), ("rules/own.yaml", "- rule: no condition\n")]);
    let status = host.once().ended_with(1).json();
    assert!(host.path("state/generations/2").exists(), "{status:#}");
    assert_eq!(status["drift"], json!([]), "{status:#}");
    assert_eq!(host.once().ended_with(1).json()["drift"], json!([]));
}
