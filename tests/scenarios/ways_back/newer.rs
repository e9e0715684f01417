//! What a newer falconer has written is refused, and Falco is left as it is.

use falconer_manifests::digest::Digest;

use super::*;

/// No command does anything, and each says what is wrong and what to do.
#[track_caller]
fn is_refused(host: &Host, words: &str, hint: &str) {
    let before = host.snapshot("state");
    for command in ["once", "plan", "status", "rollback", "history", "diff"] {
        // These read no drift report.
        if words.starts_with("host.lock") && ["history"].contains(&command) {
            continue;
        }
        let refused = host.falconer([command]).ended_with(1);
        assert!(refused.stderr.contains(words) && refused.stderr.contains(hint), "{command}: {}", refused.stderr);
        assert_eq!(before.differences(&host.snapshot("state")), Vec::<&Path>::new(), "{command}");
    }
}

const NEWER: &str = "install the falconer that wrote it";

#[test]
fn a_newer_format_or_none_at_all() {
    let host = updated();
    host.write("state/format", "2\n");
    is_refused(&host, "format 2, and this falconer knows formats up to 1", NEWER);
    std::fs::remove_file(host.path("state/format")).unwrap();
    is_refused(&host, "the format of this state directory is not known", "echo 1 >");
    host.write("state/format", "1\n");
    assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"));
}

#[test]
fn newer_documents() {
    let host = updated();
    let ledger = host.read("state/ledger");
    assert!(ledger.starts_with("version = 1\n"), "{ledger}");
    let newer = ledger.replacen("version = 1", "version = 2\nunheard_of = true", 1);
    host.write("state/ledger", &newer);
    is_refused(&host, "ledger is of version 2", NEWER);
    host.write("state/ledger", &ledger);

    let report = host.read("state/host.lock");
    host.write("state/host.lock", &report.replacen("version = 1", "version = 7", 1));
    is_refused(&host, "host.lock is of version 7", NEWER);
    host.write("state/host.lock", &report);

    let manifest = host.read("state/generations/2/MANIFEST");
    let newer = manifest.replacen("\"version\":1", "\"version\":3,\"unheard_of\":[]", 1);
    assert_ne!(manifest, newer);
    host.write("state/generations/2/MANIFEST", &newer);
    let digest = |text: &str| Digest::of(text.as_bytes()).to_string();
    host.write("state/ledger", &ledger.replace(&digest(&manifest), &digest(&newer)));
    is_refused(&host, "generations/2/MANIFEST is of version 3", NEWER);
    host.write("state/generations/2/MANIFEST", &manifest);
    host.write("state/ledger", &ledger);
    assert_eq!(host.once().ended_with(0).json()["condition"], json!("InSync"));

    let _written = host.falconer(["lock", "fleet"]).ended_with(0);
    let lockfile = host.read("fleet/falconer.lock");
    let _commit = host.commit(&[("falconer.lock", &lockfile.replacen("version = 1", "version = 2", 1))]);
    let status = host.once().ended_with(1).json();
    assert!(
        status["reason"].as_str().unwrap().contains("has version 2, and this falconer reads version 1"),
        "{status}"
    );
    assert_eq!(live(&host), rules("1.1.0"));
}
