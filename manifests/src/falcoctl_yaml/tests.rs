use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::dependencies::Mode;
use crate::fleet::{self, DEFAULT_INDEX, DesiredState, RulesEntry};

const PACKAGED: &str = "\
driver:
  type: [modern_ebpf, kmod]
  name: falco
artifact:
  follow:
    every: 168h0m0s
    falcoVersions: http://localhost:8765/versions
    refs:
      - falco-rules:5
indexes:
  - name: falcosecurity
    url: https://falcosecurity.github.io/falcoctl/index.yaml
";

fn imported(text: &str) -> (DesiredState, Imported) {
    let imported = import("falcoctl.yaml", text).unwrap();
    let state = fleet::parse("fleet.yaml", &imported.fleet);
    (state.unwrap_or_else(|findings| panic!("{findings}\n{}", imported.fleet)), imported)
}

/// What is asked for, and the order of the rules.
fn wanted(state: &DesiredState) -> (Vec<String>, Vec<String>) {
    let artifact = |request: &fleet::ArtifactRequest| match &request.source {
        Some(source) => alloc::format!("{} {source} {}", request.name, request.version),
        None => alloc::format!("{} {}", request.name, request.version),
    };
    let rules = |entry: &RulesEntry| match entry {
        RulesEntry::Artifact { name, .. } => name.to_string(),
        RulesEntry::Host { path, .. } => path.to_string(),
        RulesEntry::File { path, .. } => path.to_string(),
    };
    (state.artifacts.iter().map(artifact).collect(), state.rules_files.iter().map(rules).collect())
}

/// The notes as `line message`.
fn notes(imported: &Imported) -> Vec<String> {
    imported.notes.iter().map(|note| alloc::format!("{} {}", note.location.line, note.message)).collect()
}

#[test]
fn the_file_that_the_package_installs() {
    let (state, imported) = imported(PACKAGED);
    let (artifacts, rules) = wanted(&state);
    assert_eq!(artifacts, ["falco-rules 5"]);
    assert_eq!(rules, ["falco-rules", "/etc/falco/falco_rules.local.yaml"]);
    let index = &state.indexes[0];
    assert_eq!((index.name.as_str(), index.url.as_str()), DEFAULT_INDEX);
    assert_eq!(imported.agent, "[schedule]\nresolve_every = \"168h\"\n");
    let notes = notes(&imported);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].starts_with("0 falcoctl does not say which rules files Falco loads"));
    assert_eq!(notes[1], "1 `driver` is not carried over");
}

#[test]
fn install_and_follow_are_one_list() {
    let text = "\
ARTIFACT:
  Install:
    Refs: [falco-rules:4, ghcr.io/acme/custom-rules:main, k8smeta:0.1]
  follow:
    refs: [falco-rules:5, ghcr.io/acme/custom-rules:main, ghcr.io/other/custom-rules]
    every: 5s
";
    let (state, imported) = imported(text);
    let (artifacts, rules) = wanted(&state);
    assert_eq!(
        artifacts,
        [
            "falco-rules 5",
            "custom-rules ghcr.io/acme/custom-rules main",
            "k8smeta 0.1",
            "custom-rules-2 ghcr.io/other/custom-rules latest"
        ]
    );
    assert_eq!(rules, ["falco-rules", "/etc/falco/falco_rules.local.yaml", "custom-rules", "custom-rules-2"]);
    assert_eq!(imported.agent, "[schedule]\nevery = \"5s\"\nresolve_every = \"5s\"\n");
    let notes = notes(&imported).join("\n");
    assert!(notes.contains("5 `falco-rules` is also asked for as `4` in line 3"), "{notes}");
    assert!(notes.contains("3 `k8smeta` is taken for a plugin"), "{notes}");
    assert!(notes.contains("5 `ghcr.io/other/custom-rules:latest` is called `custom-rules-2`"), "{notes}");
}

#[test]
fn what_install_resolves_comes_with_falconer_too() {
    let text = |more: &str| alloc::format!("artifact:\n  install: {{refs: [falco-rules:5]{more}}}\n");
    for (more, comes) in [("", true), (", resolveDeps: true", true), (", RESOLVEDEPS: False", false)] {
        let (state, imported) = imported(&text(more));
        let mode = if comes { Mode::Install } else { Mode::Check };
        assert_eq!(state.dependencies, mode, "{more}");
        let said = "2 what these need comes with them, plugins too";
        assert_eq!(notes(&imported).iter().any(|note| note == said), comes, "{:?}", notes(&imported));
    }
    let (state, _) = imported("artifact: {install: {refs: [], resolveDeps: true}, follow: {refs: [falco-rules:5]}}");
    assert_eq!(state.dependencies, Mode::Check);
}

#[test]
fn an_index_name_keeps_its_name() {
    let text = "artifact: {install: {refs: [r.example/a/falco-rules]}, follow: {refs: [falco-rules]}}";
    let (artifacts, rules) = wanted(&imported(text).0);
    assert_eq!(artifacts, ["falco-rules-2 r.example/a/falco-rules latest", "falco-rules latest"]);
    assert_eq!(rules[0], "falco-rules");
}

#[test]
fn other_forms_of_lists() {
    let text = "artifact:\n  follow: {refs: 'falco-rules:5; a/b:1'}\n  allowedTypes: rulesfile\n";
    let (artifacts, rules) = wanted(&imported(text).0);
    assert_eq!(artifacts, ["falco-rules 5", "b a/b 1"]);
    // Nothing but rules was allowed, so `b` holds some.
    assert_eq!(rules, ["falco-rules", "/etc/falco/falco_rules.local.yaml", "b"]);
    let digest = crate::digest::Digest::of(b"");
    let text =
        alloc::format!("artifact: {{follow: {{refs: ['falco-rules@{digest}', 'r.example/x-rules:1@{digest}']}}}}");
    let (artifacts, _) = wanted(&imported(&text).0);
    assert_eq!(
        artifacts,
        [alloc::format!("falco-rules {digest}"), alloc::format!("x-rules r.example/x-rules {digest}")]
    );
}

#[test]
fn without_falco_rules_the_packaged_ones_stay() {
    for text in ["", "# nothing\n", "artifact: {follow: {refs: []}}\n"] {
        let (artifacts, rules) = wanted(&imported(text).0);
        assert_eq!(artifacts, [""; 0]);
        assert_eq!(rules, ["/etc/falco/falco_rules.yaml", "/etc/falco/falco_rules.local.yaml"], "{text}");
    }
}

#[test]
fn indexes() {
    let (state, none) = imported("indexes: []\n");
    assert!(state.indexes.is_empty(), "{}", none.fleet);
    let text = "\
indexes:
  - {name: mine, url: 'https://h.example/index.yaml?a=\"b\"'}
  - {Name: local, URL: file:///srv/index.yaml, backend: file}
  - {name: bucket, url: gs://bucket/index.yaml, backend: gcs}
  - {name: Loud, url: https://h.example/i}
  - {name: mine, url: https://h.example/other}
  - {name: nowhere}
";
    let (state, imported) = imported(text);
    let urls: Vec<_> = state.indexes.iter().map(|index| index.url.as_str()).collect();
    assert_eq!(urls, ["https://h.example/index.yaml?a=\"b\"", "file:///srv/index.yaml"]);
    let lines: Vec<_> = imported.notes.iter().map(|note| note.location.line).filter(|line| *line > 0).collect();
    assert_eq!(lines, [4, 5, 6, 7], "{:?}", notes(&imported));
}

#[test]
fn logins_are_named_and_secrets_are_not() {
    let text = "\
registry:
  auth:
    basic:
      - {registry: ghcr.io/acme, user: acme, password: canary-1}
      - canary-2,user,canary-3
      - {registry: r.example, password: canary-4}
      - {registry: ghcr.io, user: other, password: canary-4}
    oauth:
      - {registry: 'r.example:5000', clientID: id, clientSecret: canary-5, tokenURL: https://t.example/t}
      - {registry: s.example, clientID: id, clientSecret: canary-6, tokenURL: https://canary@t.example}
      - {registry: ghcr.io, clientID: id, clientSecret: canary-7, tokenURL: https://t.example}
    gcp: [{registry: eu.example}]
    other: canary-8
  creds: {config: /root/.docker/config.json}
";
    let imported = import("falcoctl.yaml", text).unwrap();
    let agent = "\
[docker]
config = \"/root/.docker/config.json\"
[registries.\"ghcr.io\".credentials]
username = \"acme\"
password_file = \"/etc/falconer/secrets/ghcr.io\"
[registries.\"r.example:5000\".credentials]
oauth2 = {token_url = \"https://t.example/t\", client_id = \"id\", client_secret_file = \"/etc/falconer/secrets/r.example-5000\"}
";
    assert_eq!(imported.agent, agent);
    assert!(imported.agent.parse::<toml::Table>().is_ok());
    let lines: Vec<_> = imported.notes.iter().map(|note| note.location.line).filter(|line| *line > 0).collect();
    assert_eq!(lines, [4, 5, 6, 7, 9, 10, 11, 12, 13], "{:?}", notes(&imported));
    let all = alloc::format!("{imported:?}");
    assert!(!all.contains("canary"), "{all}");
    let scalar = import("falcoctl.yaml", "registry: {auth: {basic: 'r,u,canary', oauth: canary}}").unwrap();
    assert!(!alloc::format!("{scalar:?}").contains("canary"));
}

#[test]
fn schedules() {
    for (follow, agent) in [
        ("every: 6h0m0s", "[schedule]\nresolve_every = \"6h\"\n"),
        ("cron: '@daily'", "[schedule]\nresolve_every = \"24h\"\n"),
        ("cron: '@every 90s'", "[schedule]\nevery = \"90s\"\nresolve_every = \"90s\"\n"),
        ("cron: '0 4 * * *'", "[schedule]\ncron = \"0 4 * * *\"\nresolve_every = \"1m\"\n"),
        (
            "cron: 'TZ=Asia/Tokyo 5/15 4 1 * mon'",
            "[schedule]\ncron = \"TZ=Asia/Tokyo 5/15 4 1 * mon\"\nresolve_every = \"1m\"\n",
        ),
        ("cron: '0 4 * *'", ""),
        ("every: soon", ""),
        ("falcoversions: http://10.0.0.1:8765/versions", "[falco]\nhttp = \"http://10.0.0.1:8765\"\n"),
    ] {
        let imported = imported(&alloc::format!("artifact:\n  follow:\n    {follow}\n")).1;
        assert_eq!(imported.agent, agent, "{follow}");
        let said = imported.notes.iter().any(|note| note.location.line == 3);
        assert_eq!(said, agent.is_empty(), "{follow}: {:?}", notes(&imported));
    }
}

#[test]
fn what_is_not_understood_is_said() {
    let text = "artifact:\n  noVerify: true\n  follow:\n    refs: [Bad Name, {a: b}, 'x:1.x']\n    assetsDir: /a\nartefact: 1\nlist: [1]\n";
    let notes = notes(&imported(text).1);
    let lines: Vec<_> = notes.iter().filter_map(|note| note.split(' ').next()).collect();
    assert_eq!(lines, ["0", "0", "2", "4", "4", "4", "5", "6", "7"], "{notes:?}");
    for (text, place) in [("- a\n", "falcoctl.yaml:1:1"), ("a: [", "falcoctl.yaml")] {
        assert!(import("falcoctl.yaml", text).unwrap_err().to_string().starts_with(place), "{text}");
    }
}

proptest! {
    /// Whatever the references are, what comes out is a desired state.
    #[test]
    fn the_fleet_is_always_one(
        refs in prop::collection::vec("[a-cA]{1,2}(/[a-c]{1,2}){0,2}(:[0-9x.a]{1,3})?", 0..8),
        names in prop::collection::vec("[a-b\"\\\\]{1,2}", 0..3),
    ) {
        let indexes: Vec<_> = names.iter().map(|name| serde_json::json!({"name": name, "url": "https://h.example/\u{7f}"})).collect();
        let (first, second) = refs.split_at(refs.len() / 2);
        let text = serde_json::json!({"indexes": indexes, "artifact": {"install": {"refs": first}, "follow": {"refs": second}}});
        imported(&text.to_string());
    }
}
