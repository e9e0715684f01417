//! `falconer doctor` on a host that is well, and on one with each thing broken.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use falconer_tests::git_server::GitServer;
use falconer_tests::git_server::fixture::Fixture;
use falconer_tests::host::{Host, HostWithFalco, fleet_yaml};
use falconer_tests::scripted_registry::{Reply, ScriptedRegistry};
use serde_json::{Value, json};

use super::now;

fn doctor(host: &Host, code: i32) -> Vec<Value> {
    let answer = host.falconer(["doctor", "--output", "json"]).ended_with(code).json();
    answer["checks"].as_array().unwrap().clone()
}

/// What is not well: verdict and name.
fn complaints(checks: &[Value]) -> Vec<(String, String)> {
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    let bad = checks.iter().filter(|check| check["verdict"] != "ok" && check["verdict"] != "skipped");
    bad.map(|check| (text(check, "verdict"), text(check, "name"))).collect()
}

/// The one complaint on this host: of this verdict, about this, with these words in what was found and in the hint.
#[track_caller]
fn complains(host: &Host, verdict: &str, name: &str, words: [&str; 2]) {
    let checks = doctor(host, i32::from(verdict == "failed"));
    let expected = [(verdict.to_owned(), name.to_owned())];
    assert_eq!(complaints(&checks), expected, "{checks:#?}");
    let check = checks.iter().find(|check| check["verdict"] == verdict).unwrap();
    for (key, words) in [("detail", words[0]), ("hint", words[1])] {
        assert!(check[key].as_str().unwrap().contains(words), "{words}: {check}");
    }
}

/// A host on which everything is well, with a server for reports.
fn well() -> (HostWithFalco, GitServer) {
    let host = HostWithFalco::start(true, &[]);
    let reports = Fixture::create(&host.path("srv/reports.git")).unwrap();
    reports.git(&["config", "http.receivepack", "true"]).unwrap();
    let server = GitServer::start(&host.path("srv")).unwrap();
    let agent = host.read("agent.toml").replace("state = \"state\"", "state = \"state\"\nruntime = \"run\"");
    host.write("agent.toml", &format!("{agent}[report]\nurl = \"{}\"\n", server.url("reports.git")));
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let _status = host.once().ended_with(0);
    (host, server)
}

#[test]
fn a_host_that_is_well_is_told_so_and_stays_as_it_is() {
    let (host, server) = well();
    let (etc, current) = (host.snapshot("etc"), host.snapshot_of_current());
    let sighups = host.sighups();
    let _before = server.exchanges();
    let reports = host.path("srv/reports.git");
    let references = || host.git(&["-C", reports.to_str().unwrap(), "for-each-ref"]);
    let before = references();
    let checks = doctor(&host, 0);
    assert_eq!(complaints(&checks), Vec::<(String, String)>::new(), "{checks:#?}");
    let names: Vec<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in [
        "settings",
        "state directory",
        "room on disk",
        "clock",
        "passes",
        "git",
        "artifact acme-rules",
        "report",
        "falco",
        "falco.yaml",
        "metrics of Falco",
        "process of Falco",
        "answer of Falco",
        "second managers",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let report = checks.iter().find(|check| check["name"] == "report").unwrap();
    assert!(report["detail"].as_str().unwrap().contains("a push is taken"), "{report}");
    assert_eq!(server.exchanges().len(), 2, "the server was asked what it offers, and given a push");
    assert_eq!(references(), before, "which changes nothing");
    assert_eq!((etc, current, sighups), (host.snapshot("etc"), host.snapshot_of_current(), host.sighups()));
    let text = host.falconer(["doctor"]).ended_with(0).stdout;
    assert!(text.contains("ok       git: branch main is at") && text.contains("0 failed, 0 with a warning"), "{text}");
}

#[test]
fn each_thing_that_is_broken_is_named_with_the_next_act() {
    let (host, server) = well();
    let agent = host.read("agent.toml");

    let chmod = |path: &str, mode| std::fs::set_permissions(host.path(path), Permissions::from_mode(mode)).unwrap();
    chmod("agent.toml", 0o666);
    complains(&host, "failed", "permissions", ["by everybody", "chmod 0644"]);
    chmod("agent.toml", 0o644);
    chmod("state", 0o777);
    let checks = doctor(&host, 1);
    assert!(complaints(&checks).contains(&("failed".to_owned(), "state directory".to_owned())), "{checks:#?}");
    chmod("state", 0o755);

    host.write("token", "canary-secret-91c4\n");
    let registry = "[registries.\"127.0.0.1:1\".credentials]\ntoken_file = \"token\"\n";
    host.write("agent.toml", &format!("{agent}{registry}"));
    complains(&host, "warning", "permissions", ["holds a secret", "chmod 0600"]);
    host.write("agent.toml", &format!("{agent}[metrics]\ntextfile = \"nowhere/falconer.prom\"\n"));
    complains(&host, "warning", "textfile", ["is not there", "make it"]);
    host.write("agent.toml", &agent.replace("url = \"fleet\"", "url = \"fleet\"\nbranch = \"nope\""));
    complains(&host, "failed", "git", ["nope", "branch"]);
    host.write("agent.toml", &agent);

    let old = host.read("run/pass.json");
    let mut stale: Value = serde_json::from_str(&old).unwrap();
    (stale["at"], stale["next_at"]) = (json!(now() - 8000), json!(now() - 7300));
    host.write("run/pass.json", &stale.to_string());
    complains(&host, "failed", "passes", ["2 h late", "systemctl"]);
    host.write("run/pass.json", &old);

    std::fs::rename(host.path("artifacts"), host.path("elsewhere")).unwrap();
    complains(&host, "failed", "artifact acme-rules", ["artifacts", ""]);
    std::fs::rename(host.path("elsewhere"), host.path("artifacts")).unwrap();

    server.demand("Basic Y2FuYXJ5OmNhbmFyeQ==");
    complains(&host, "failed", "report", ["401 Unauthorized", "check the user name"]);
    server.demand("");
}

#[test]
fn a_falco_that_cannot_be_managed_is_told() {
    let (mut host, _server) = well();
    let adopted = host.read("etc/falco.yaml");
    host.write("etc/falco.yaml", &adopted.replace("config_files", "other_files"));
    complains(&host, "failed", "falco.yaml", ["not included", "falconer adopt"]);
    host.write(
        "etc/falco.yaml",
        &adopted.replace("prometheus_metrics_enabled: true", "prometheus_metrics_enabled: false"),
    );
    complains(&host, "warning", "metrics of Falco", ["are off", "webserver.prometheus_metrics_enabled"]);
    host.write("etc/falco.yaml", &adopted);
    host.stop_falco();
    complains(&host, "warning", "process of Falco", ["does not run", "start Falco"]);
    std::fs::remove_file(host.path("falco")).unwrap();
    let checks = doctor(&host, 0);
    assert!(complaints(&checks).contains(&("warning".to_owned(), "falco".to_owned())), "{checks:#?}");
}

#[test]
fn settings_that_cannot_be_read_are_the_only_complaint() {
    let host = Host::new();
    host.write("agent.toml", "[repository]\nurl = \"fleet\"\n[metrics]\nlisten = \"9376\"\n");
    complains(&host, "failed", "settings", ["metrics.listen", "127.0.0.1:9376"]);
    host.write("agent.toml", "[repository]\nurl = \"fleet\"\nbrunch = \"main\"\n");
    complains(&host, "failed", "settings", ["agent.toml:3:1", "correct"]);
}

#[test]
fn a_registry_that_does_not_take_the_credentials_is_named() {
    let right = "Basic ZmxlZXQ6Y2FuYXJ5LXNlY3JldC05MWM0";
    let registry = ScriptedRegistry::start(move |seen| match (&*seen.target, seen.authorization.as_deref()) {
        (_, None) => Reply::challenge("Basic realm=\"fleet\""),
        (_, Some(given)) if given != right => Reply::challenge("Basic realm=\"fleet\""),
        (target, _) if target.starts_with("/v2/acme-rules/tags/list") => {
            Reply::ok("application/json", r#"{"name":"acme-rules","tags":["1"]}"#)
        }
        _ => Reply::new(404, "{}"),
    })
    .unwrap();
    let host = Host::adopted();
    let name = registry.host();
    let fleet = fleet_yaml("1").replace("oci:artifacts", &format!("{name}/acme-rules"));
    let _commit = host.commit(&[("fleet.yaml", &fleet)]);
    let agent = host.read("agent.toml");
    let table = format!("[registries.\"{name}\"]\nplain_http = true\n");
    let found = |credentials: &str, secret: &str, code: i32| {
        host.write("secret", secret);
        std::fs::set_permissions(host.path("secret"), Permissions::from_mode(0o600)).unwrap();
        host.write("agent.toml", &format!("{agent}{table}{credentials}"));
        let checks = doctor(&host, code);
        assert!(!format!("{checks:?}").contains("canary-secret"), "{checks:#?}");
        checks.into_iter().find(|check| check["name"] == "artifact").unwrap()
    };
    let login = "credentials = {username = \"fleet\", password_file = \"secret\"}\n";
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let none = found("", "", 1);
    assert!(text(&none, "detail").contains("asks for credentials"), "{none}");
    assert!(text(&none, "hint").contains("credentials"), "{none}");
    let wrong = found(login, "canary-secret-0000", 1);
    assert!(text(&wrong, "detail").contains("refuses our credentials"), "{wrong}");
    assert!(text(&wrong, "hint").contains("check the credentials for"), "{wrong}");
    let right = found(login, "canary-secret-91c4", 0);
    assert_eq!(right["verdict"], "ok", "{right}");
}
