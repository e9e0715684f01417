//! `falconer collect` where hosts share a branch or report by HTTP, with signatures in the reports.

use super::signed::key;
use super::sinks::store;
use super::*;

/// A host that reports to `sink` at `url`, signed with its key, and the line for it in a file of allowed signers.
fn signing(name: &str, sink: &str, url: &str) -> (Host, String) {
    let host = Host::adopted();
    let public = key(&host, "host-key", "ed25519");
    host.write("password", &format!("{PASSWORD}\n"));
    let credentials = if sink == "http" { "[report.credentials]\ntoken_file = \"password\"\n" } else { "" };
    let report = format!("[report]\nurl = \"{url}\"\nsink = \"{sink}\"\nsigning_key = \"host-key\"\n{credentials}");
    host.write("agent.toml", &format!("{}{report}", agent_toml("fleet").replace("web-1", name)));
    (host, format!("{name} namespaces=\"falconer-report\" {public}\n"))
}

/// The host, its signature and its first problem, for each row.
#[track_caller]
fn rows(run: &Run) -> Vec<(String, String, String)> {
    let answer = run.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_string();
    let rows = answer["hosts"].as_array().unwrap().iter();
    rows.map(|row| (text(&row["host"]), text(&row["signature"]), text(&row["problems"][0]))).collect()
}

/// A row as it should be.
fn is(host: &str, signature: &str, problem: &str) -> (String, String, String) {
    (host.to_string(), signature.to_string(), problem.to_string())
}

#[test]
fn a_branch_of_signed_reports() {
    let (first, reports) = reporting("unused", "");
    let server = GitServer::start(&first.path("srv")).unwrap();
    let url = server.url("reports.git");
    let (one, one_key) = signing("web-1", "git-branch", &url);
    let (two, two_key) = signing("web-2", "git-branch", &url);
    first.write("signers", &format!("{one_key}{two_key}"));
    first.write("hosts", "# the fleet\nweb-1\nweb-2\n\nweb-3\n");
    let collect = |more: &[&str]| {
        let mut arguments =
            vec!["collect", "--output", "json", "--sink", "git-branch", "--allowed-signers", "signers", &url];
        arguments.extend(more);
        first.falconer(arguments)
    };
    assert_eq!(rows(&collect(&[]).ended_with(0)), [], "an empty repository");
    for host in [&one, &two] {
        assert_eq!(host.once().ended_with(0).stderr, "");
    }
    assert_eq!(rows(&collect(&[]).ended_with(0)), [is("web-1", "good", "-"), is("web-2", "good", "-")]);
    let missing = collect(&["--hosts", "hosts"]).ended_with(2);
    assert_eq!(rows(&missing)[2], is("web-3", "-", "has not reported"));
    // A host knows its own signed report for what it is.
    std::fs::write(one.live("acme-rules.yaml"), "").unwrap();
    assert_eq!(one.once().ended_with(0).stderr, "");
    assert_eq!(reports.git(&["rev-list", "--count", "main"]).unwrap(), "3");

    // Somebody who may push, and has no host's key.
    let report = reports.git(&["show", "main:hosts/web-1.lock"]).unwrap() + "\n";
    let forged = report.replace("InSync", "Failed");
    for (path, text, problem) in
        [("hosts/web-1.lock", &forged, "has a bad signature"), ("hosts/web-2.lock", &report, "is about web-1")]
    {
        reports.commit_file("main", path, text.as_bytes()).unwrap();
        let found = rows(&collect(&[]).ended_with(2));
        assert!(found[0].1 == "bad" && found[0].2.starts_with(problem), "{found:?}");
    }
    let run = first.falconer(["collect", "--sink", "git-branch", "--branch", "nowhere", &url]).ended_with(1);
    assert!(run.stderr.contains("nowhere"), "{}", run.stderr);
}

#[test]
fn signed_reports_by_http_and_a_copy_of_them() {
    let (server, kept) = store();
    let url = format!("http://{}/hosts/{{host}}.lock", server.host());
    let (one, one_key) = signing("web-1", "http", &url);
    let (two, _) = signing("web-2", "http", &url);
    one.write("signers", &one_key);
    one.write("hosts", "web-1\nweb-2\nweb-3\n");
    for host in [&one, &two] {
        assert_eq!(host.once().ended_with(0).stderr, "");
    }
    let collect = |more: &[&str]| {
        let mut arguments = vec!["collect", "--output", "json", "--allowed-signers", "signers", "--hosts", "hosts"];
        arguments.extend(more);
        one.falconer(arguments)
    };
    let by_http = ["--sink", "http", "--token-file", "password", &url];
    let run = collect(&by_http).ended_with(2);
    let found = rows(&run);
    assert_eq!(found[0], is("web-1", "good", "-"), "{run:?}");
    assert_eq!(found[1].1, "bad", "its key is not listed: {found:?}");
    assert_eq!(found[2], is("web-3", "-", "has not reported"));
    assert_eq!(run.json()["reported"], json!(2));
    assert!(one.falconer(["collect", "--sink", "http", "--hosts", "hosts", &url]).ended_with(1).stderr.contains("401"));
    assert!(one.falconer(["collect", "--sink", "http", &url]).ended_with(1).stderr.contains("--hosts"));

    // The next report replaces a signed one.
    std::fs::write(one.live("acme-rules.yaml"), "").unwrap();
    assert_eq!(one.once().ended_with(0).stderr, "");
    assert_eq!(kept.lock().unwrap()["/hosts/web-1.lock"].0, 2);
    let text = |kept: &super::sinks::Kept| String::from_utf8(kept["/hosts/web-1.lock"].1.clone()).unwrap();
    let report = text(&kept.lock().unwrap());
    assert_eq!((chained(&report).0, chained(&report).1.number), (one.host_lock(), 2), "a reader need not know of it");

    let unsigned = report.split("# -----").next().unwrap();
    for (path, text) in [
        ("web-1.lock", report.as_str()),
        ("shard/web-1/host.lock", &report.replace("sequence = 2", "sequence = 3")),
        ("web-1.toml", unsigned),
        ("web-2", &report),
        (".hidden", ""),
        ("notes.txt", "words"),
    ] {
        one.write(&format!("copy/{path}"), text);
    }
    let found = rows(&collect(&["--from", "copy"]).ended_with(2));
    let signatures: Vec<_> = found.iter().map(|(host, signature, _)| format!("{host} {signature}")).collect();
    assert_eq!(
        signatures,
        ["notes.txt none", "web-1 bad", "web-1 good", "web-1 none", "web-2 bad", "web-3 -"],
        "{found:?}"
    );
    std::fs::remove_dir_all(one.path("copy")).unwrap();
    one.write("copy/web-1", &report);
    one.write("hosts", "web-1\n");
    assert_eq!(rows(&collect(&["--from", "copy"]).ended_with(0)), [is("web-1", "good", "-")]);
}
