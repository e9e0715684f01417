//! Somebody makes what falconer has placed immutable (chattr(1)).

use std::path::PathBuf;
use std::process::Command;

use falconer_tests::host::HostWithFalco;

use super::*;

/// A path that cannot be changed until this is dropped.
struct Immutable(PathBuf);

impl Immutable {
    /// `None` where the file system or our rights do not let it.
    fn make(path: &Path) -> Option<Self> {
        let done = Command::new("chattr").arg("+i").arg(path).output().is_ok_and(|output| output.status.success());
        if !done {
            println!("chattr +i cannot be had here (it needs root and a file system that knows it): skipped");
        }
        done.then(|| Self(path.to_path_buf()))
    }

    /// It is somewhere else by now.
    fn moved(&mut self, path: PathBuf) {
        self.0 = path;
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        let _undone = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

fn update(host: &Host, version: &str) {
    host.publish(&format!("{RULES}# {version}\n"), version);
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml(version))]);
}

#[test]
fn a_damaged_file_that_cannot_be_changed_is_left_behind_and_in_nobodys_way() {
    let host = HostWithFalco::in_sync(true, &[]);
    let file = host.live("acme-rules.yaml").canonicalize().unwrap();
    append(&file);
    let Some(mut immutable) = Immutable::make(&file) else { return };
    let sighups = host.sighups();
    let status = host.once().ended_with(0).json();
    assert_eq!((&status["generation"], &status["notes"]), (&json!(2), &json!([])));
    nothing_is_left(&host);
    for version in ["1.1.0", "1.2.0"] {
        update(&host, version);
        assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"), "{version}");
    }
    // It would have been pruned by now.
    immutable.moved(host.path("state/generations/1.tmp/rules/10-acme-rules.yaml"));
    assert!(immutable.0.exists());
    let _noted = host.once().ended_with(0);
    let before = host.snapshot("state");
    for ask in [Host::once as fn(&Host) -> _, Host::status] {
        let status = ask(&host).ended_with(0).json();
        let [note] = status["notes"].as_array().unwrap().as_slice() else { panic!("{status:#}") };
        assert_eq!(note["kind"], json!("leftover"));
        assert!(note["message"].as_str().unwrap().contains("1.tmp/rules/10-acme-rules.yaml"), "{note}");
        assert!(note["hint"].as_str().unwrap().contains("lsattr"), "{note}");
    }
    assert_eq!(before.differences(&host.snapshot("state")), Vec::<&Path>::new());
    assert_eq!(host.sighups() - sighups, 3, "one for each change");
    drop(immutable);
    assert_eq!(host.once().ended_with(0).json()["notes"], json!([]));
    assert!(!host.path("state/generations/1.tmp").exists());
}

#[test]
fn where_nothing_can_be_changed_the_operator_is_told_and_falco_left_alone() {
    for path in ["generations", "ledger", ""] {
        let host = HostWithFalco::in_sync(true, &[]);
        append(&host.live("acme-rules.yaml"));
        let state = host.path("state");
        let Some(immutable) = Immutable::make(&if path.is_empty() { state } else { state.join(path) }) else { return };
        let sighups = host.sighups();
        for _ in 0..2 {
            let failed = host.falconer(["once"]).ended_with(1);
            let said = format!("{}{}", failed.stdout, failed.stderr);
            assert!(said.contains("Operation not permitted") && said.contains("lsattr"), "`{path}`: {said}");
        }
        assert_eq!(host.sighups(), sighups, "`{path}`");
        drop(immutable);
        assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"), "`{path}`");
        assert_eq!(host.sighups() - sighups, 1, "`{path}`");
        nothing_is_left(&host);
    }
}

/// What comes of a reload must be remembered; where it cannot be, Falco is not asked, or it would be by every pass.
#[test]
fn a_ledger_that_cannot_be_changed_makes_no_loop_of_reloads() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    let adopted = host.read("etc/falco.yaml");
    host.write("etc/falco.yaml", adopted.split("config_files:").next().unwrap());
    host.start_falco(&[falconer_tests::falco_stand_in::Fault::IgnoreSighup]);
    host.write("etc/falco.yaml", &adopted);
    let Some(immutable) = Immutable::make(&host.path("state/ledger")) else { return };
    for _ in 0..2 {
        let _told = host.once().ended_with(1);
        assert_eq!(host.sighups(), 0);
    }
    drop(immutable);
    for _ in 0..2 {
        let _deaf = host.once();
        assert_eq!(host.sighups(), 1);
    }
}
