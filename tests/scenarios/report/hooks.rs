//! Hooks: told of every change of the condition, and nobody's matter otherwise.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use falconer_tests::host::Daemon;
use falconer_tests::scripted_registry::{Reply, ScriptedRegistry, Seen};
use serde_json::Value;

use super::*;

const SOON: Duration = Duration::from_secs(20);

/// A host with these hooks; `{}` in them stands for its directory.
fn hooked(hooks: &str) -> Host {
    let host = Host::adopted();
    let directory = host.path("");
    let hooks = hooks.replace("{}", directory.to_str().unwrap().trim_end_matches('/'));
    host.configure(&format!("[schedule]\nevery = \"1h\"\n{hooks}"));
    host
}

fn script(host: &Host, name: &str, text: &str) {
    host.write(name, &format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(host.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What a hook has appended to `file`, one JSON a line.
fn events(host: &Host, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(host.path(file)).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_command_is_told_of_each_change_and_of_nothing_else() {
    let host = hooked(
        "[[hooks]]\ncommand = [\"{}/hook\", \"{}/all\"]\n\
         [[hooks]]\nname = \"pager\"\ncommand = [\"{}/hook\", \"{}/failures\"]\nconditions = [\"Failed\", \"RolledBack\"]\n",
    );
    script(&host, "hook", "{ cat; echo; } >> \"$1\"; env >> \"$1.env\"");
    let _first = host.once().ended_with(0);
    let _unchanged = host.once().ended_with(0);
    let broken = host.commit(&[("fleet.yaml", "version: 2\n")]);
    let _failed = host.once().ended_with(1);
    let _failed_still = host.once().ended_with(1);
    let _mended = host.commit(&[("fleet.yaml", &fleet_yaml("1.0.0"))]);
    let _in_sync = host.once().ended_with(0);
    let all = events(&host, "all");
    let changes: Vec<_> = all.iter().map(|event| (event["previous"].as_str(), event["condition"].as_str())).collect();
    let expected = [(None, Some("InSync")), (Some("InSync"), Some("Failed")), (Some("Failed"), Some("InSync"))];
    assert_eq!(changes, expected, "{all:#?}");
    let failed = &events(&host, "failures")[..];
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0]["version"], &failed[0]["event"]), (&json!(1), &json!("condition")));
    assert_eq!((&failed[0]["host"], &failed[0]["wanted"]), (&json!("web-1"), &json!(broken)));
    assert_eq!(failed[0]["error"]["remedy"], json!("author"));
    let environment = host.read("all.env");
    let names: Vec<_> = environment.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(names.iter().all(|name| ["PATH", "LC_ALL", "PWD", "SHLVL", "_"].contains(name)), "{environment}");
}

#[test]
fn hooks_that_hang_fail_or_are_missing_cost_their_deadline_and_nothing_else() {
    let host = hooked(
        "[[hooks]]\nname = \"slow\"\ncommand = [\"{}/slow\"]\ndeadline = \"500ms\"\n\
         [[hooks]]\nname = \"angry\"\ncommand = [\"{}/angry\"]\n\
         [[hooks]]\nname = \"gone\"\ncommand = [\"{}/gone\"]\n",
    );
    script(&host, "slow", &format!("sleep 600 & echo $! > '{}'; wait", host.path("pid").display()));
    script(&host, "angry", "echo out of paper >&2; exit 3");
    let begun = Instant::now();
    let run = host.once().ended_with(0);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    for words in ["hook=\"slow\"", "did not finish", "hook=\"angry\"", "exit status: 3: out of paper", "hook=\"gone\""]
    {
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
    assert_eq!(run.json()["condition"], json!("InSync"));
    let child = host.read("pid");
    let proc = std::path::PathBuf::from(format!("/proc/{}/cmdline", child.trim()));
    let give_up = Instant::now() + SOON;
    while std::fs::read_to_string(&proc).is_ok_and(|line| line.contains("sleep")) {
        assert!(Instant::now() < give_up, "what the hook has started lives on");
        std::thread::yield_now();
    }
}

#[test]
fn a_daemon_waits_for_no_hook_and_tells_a_slow_one_the_newest() {
    let host = hooked("[[hooks]]\ncommand = [\"{}/hook\"]\n");
    let (gate, told) = (host.path("gate"), host.path("told"));
    let body = format!(
        "echo >> '{t}.begun'; while [ ! -e '{g}' ]; do sleep 0.05; done; {{ cat; echo; }} >> '{t}'",
        g = gate.display(),
        t = told.display()
    );
    script(&host, "hook", &body);
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.passes() == 1 && host.path("told.begun").exists());
    // Every change of falco.yaml wakes the daemon; without its include the host has drifted.
    let adopted = host.read("etc/falco.yaml");
    for round in 1..=3 {
        daemon.wait_for(SOON, |daemon| daemon.log().matches("waits for a change").count() == round);
        let text = if round % 2 == 1 { falconer_tests::host::FALCO_YAML } else { &adopted };
        host.write("etc/falco.yaml", text);
        daemon.wait_for(SOON, |daemon| daemon.passes() > round);
    }
    assert_eq!(host.read("told.begun").lines().count(), 1, "one at a time");
    std::fs::write(&gate, "").unwrap();
    daemon.wait_for(SOON, |_| events(&host, "told").len() == 2);
    let told: Vec<_> = events(&host, "told").iter().map(|event| event["condition"].clone()).collect();
    assert_eq!(told, [json!("InSync"), json!("Drifted")], "{}", daemon.log());
    assert_eq!(daemon.stop(Duration::from_secs(2)).code(), Some(0));
}

#[test]
fn a_webhook_is_posted_and_signed() {
    let server = ScriptedRegistry::start(|_: &Seen| Reply::new(204, "")).unwrap();
    let url = format!("http://{}/hook/{PASSWORD}", server.host());
    let host = hooked("[[hooks]]\nwebhook_file = \"url\"\nsecret_file = \"secret\"\n");
    host.write("url", &format!("{url}\n"));
    host.write("secret", "key\n");
    let run = once_aloud(&host).ended_with(0);
    let seen = server.seen();
    assert_eq!(seen.len(), 1, "{}", run.stderr);
    assert_eq!((seen[0].method.as_str(), seen[0].header("content-type")), ("POST", Some("application/json")));
    let event: Value = serde_json::from_slice(&seen[0].body).unwrap();
    assert_eq!((&event["condition"], &event["previous"]), (&json!("InSync"), &Value::Null));
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-hmac", "key", "-r"]);
    openssl.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = openssl.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &seen[0].body).unwrap();
    let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let signature = format!("sha256={}", output.split(' ').next().unwrap());
    assert_eq!(seen[0].header("x-falconer-signature-256"), Some(&*signature));
}

#[test]
fn a_webhook_that_does_not_take_it_is_told_without_its_secrets() {
    for (reply, words) in [(Reply::new(500, ""), "500"), (Reply::redirect("https://x.example"), "307")] {
        let server = ScriptedRegistry::start(move |_: &Seen| reply.clone()).unwrap();
        let host = hooked(&format!("[[hooks]]\nwebhook = \"http://{}/{PASSWORD}\"\n", server.host()));
        let run = once_aloud(&host).ended_with(0);
        assert!(run.stderr.contains("a hook was not told") && run.stderr.contains(words), "{}", run.stderr);
    }
    let host = hooked(&format!("[[hooks]]\nwebhook = \"http://hooks.example/{PASSWORD}\"\n"));
    let run = once_aloud(&host).ended_with(1);
    assert!(run.stderr.contains("no https URL"), "{}", run.stderr);
    for hook in
        ["", "command = []\n", "command = [\"notify\"]\n", "command = [\"/x\"]\nwebhook = \"https://x.example\"\n"]
    {
        let run = hooked(&format!("[[hooks]]\n{hook}")).once().ended_with(1);
        assert!(run.stderr.contains("hooks, number 1,"), "{}", run.stderr);
    }
}
