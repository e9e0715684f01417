//! Reports signed by the host's SSH key.

use std::process::{Command, Stdio};

use super::*;

/// A new key in `name` below the host's directory; gives its public half.
pub(super) fn key(host: &Host, name: &str, kind: &str) -> String {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", "", "-C", "host", "-f"]).arg(host.path(name)).stdin(Stdio::null());
    assert!(command.status().unwrap().success());
    host.read(&format!("{name}.pub")).trim().to_string()
}

/// What `git verify-commit` says of the report, by the file `signers`.
fn verified(host: &Host, reports: &Fixture, commit: &str) -> Result<String, String> {
    let signers = format!("gpg.ssh.allowedSignersFile={}", host.path("signers").display());
    let mut command = Command::new("git");
    command.arg("-C").arg(reports.path()).args(["-c", &signers, "verify-commit", commit]).env("LC_ALL", "C");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn git_itself_verifies_a_report_and_refuses_one_that_was_changed() {
    let (host, reports) = reporting("srv/reports.git", "signing_key = \"host-key\"\n");
    let public = key(&host, "host-key", "ed25519");
    host.write("signers", &format!("web-1 namespaces=\"git\" {public}\n"));
    let _status = host.once().ended_with(0);
    let (commit, _) = reported(&reports);
    assert!(verified(&host, &reports, &commit).unwrap().contains("Good \"git\" signature for web-1"));

    let collect = |more: &[&str]| {
        let mut arguments = vec!["collect", "srv/reports.git", "--output", "json"];
        arguments.extend(more);
        host.falconer(arguments)
    };
    let row = collect(&["--allowed-signers", "signers"]).ended_with(0).json();
    assert_eq!(row["hosts"][0]["signature"], json!("good"), "{row}");

    let text = reports.git(&["cat-file", "commit", &commit]).unwrap();
    assert!(text.contains("gpgsig -----BEGIN SSH SIGNATURE-----"), "{text}");
    let other = reports.git_with(&["hash-object", "-w", "--stdin"], b"").unwrap();
    let tree = reports.git_with(&["mktree"], format!("100644 blob {other}\thost.lock\n").as_bytes()).unwrap();
    let tree_line = text.lines().next().unwrap();
    for changed in [text.replace(tree_line, &format!("tree {tree}")), text.replace("InSync", "Failed")] {
        let forged = reports.git_with(&["hash-object", "-t", "commit", "-w", "--stdin"], changed.as_bytes()).unwrap();
        assert_ne!(forged, commit);
        let _refused = verified(&host, &reports, &forged).unwrap_err();
        reports.git(&["update-ref", &reference(), &forged]).unwrap();
        let row = collect(&["--allowed-signers", "signers"]).ended_with(2).json();
        assert_eq!(row["hosts"][0]["signature"], json!("bad"), "{row}");
    }
    // Another host's key, and no signature at all.
    reports.git(&["update-ref", &reference(), &commit]).unwrap();
    host.write("signers", &format!("web-2 {public}\n"));
    assert_eq!(collect(&["--allowed-signers", "signers"]).ended_with(2).json()["hosts"][0]["signature"], json!("bad"));
    let unsigned = text.lines().filter(|line| !line.starts_with("gpgsig") && !line.starts_with(' '));
    let unsigned = unsigned.collect::<Vec<_>>().join("\n") + "\n";
    let unsigned = reports.git_with(&["hash-object", "-t", "commit", "-w", "--stdin"], unsigned.as_bytes()).unwrap();
    reports.git(&["update-ref", &reference(), &unsigned]).unwrap();
    let row = collect(&["--allowed-signers", "signers"]).ended_with(2).json();
    assert_eq!(row["hosts"][0]["signature"], json!("none"), "{row}");
    assert_eq!(collect(&[]).ended_with(0).json()["hosts"][0]["signature"], json!(null));
}

#[test]
fn every_kind_of_key_signs_over_http_and_on_a_branch() {
    for (kind, sink) in [("rsa", ""), ("ecdsa", "sink = \"git-branch\"\n")] {
        let (host, reports) = reporting("to be known", "");
        let server = GitServer::start(&host.path("srv")).unwrap();
        let url = server.url("reports.git");
        host.configure(&format!("[report]\nurl = \"{url}\"\nsigning_key = \"host-key\"\n{sink}"));
        let public = key(&host, "host-key", kind);
        host.write("signers", &format!("* {public}\n"));
        assert_eq!(host.once().ended_with(0).stderr, "");
        let place = if sink.is_empty() { reference() } else { "refs/heads/main".to_string() };
        assert!(verified(&host, &reports, &place).unwrap().contains("Good"), "{kind}");
    }
}

#[test]
fn a_key_that_does_not_sign_is_told_and_nothing_goes_out_unsigned() {
    let (host, reports) = reporting("srv/reports.git", "signing_key = \"host-key\"\n");
    is_not_reported(&host, "cannot sign with");
    let _public = key(&host, "host-key", "ed25519");
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-p", "-P", "", "-N", "a passphrase", "-f"]).arg(host.path("host-key"));
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    is_not_reported(&host, "cannot sign with");
    assert!(reports.git(&["rev-parse", "--verify", "--quiet", &reference()]).is_err());
}
