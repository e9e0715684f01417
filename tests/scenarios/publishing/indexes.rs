//! Names that indexes know.

use super::*;

/// Two indexes in files and a fleet.yaml that names both; the later one knows `acme-rules` anew.
fn with_indexes() -> Host {
    let host = publisher();
    let entry = |name: &str, kind: &str, repository: &str| {
        format!(
            "- {{name: {name}, type: {kind}, registry: r.example, repository: {repository}, keywords: [{kind}s, audit]}}\n"
        )
    };
    let one = entry("acme-rules", "rulesfile", "one/acme-rules") + &entry("acme", "plugin", "one/acme");
    host.write("one.yaml", &one);
    host.write("two.yaml", &entry("acme-rules", "rulesfile", "two/acme-rules"));
    let url = |name: &str| format!("file://{}", host.path(name).display());
    let fleet = format!(
        "version: 1\nindexes:\n  - {{name: one, url: '{}'}}\n  - {{name: two, url: '{}'}}\nrules_files: [{{host: /x}}]\n",
        url("one.yaml"),
        url("two.yaml")
    );
    host.write("fleet/fleet.yaml", &fleet);
    host
}

fn found(value: &Value) -> Vec<String> {
    let entries = value["artifacts"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| format!("{} {}", entry["index"].as_str().unwrap(), entry["source"].as_str().unwrap()))
        .collect()
}

#[test]
fn lists_and_searches() {
    let host = with_indexes();
    let listed = answer(&host, "list --fleet fleet");
    assert_eq!(found(&listed), ["one r.example/one/acme", "two r.example/two/acme-rules"]);
    assert_eq!(listed["shadowed"], serde_json::json!([{"name": "acme-rules", "index": "one", "by": "two"}]));
    assert_eq!(found(&answer(&host, "list --fleet fleet --type plugin")), ["one r.example/one/acme"]);
    assert_eq!(found(&answer(&host, "list --fleet fleet --index two")), ["two r.example/two/acme-rules"]);
    let unknown = artifact(&host, "list --fleet fleet --index three").ended_with(1);
    assert!(unknown.stderr.contains("the indexes are: one, two"), "{}", unknown.stderr);

    assert_eq!(found(&answer(&host, "search acme-rule --fleet fleet")), ["two r.example/two/acme-rules"]);
    assert_eq!(found(&answer(&host, "search plugins --fleet fleet")), ["one r.example/one/acme"]);
    let both = answer(&host, "search audit --fleet fleet");
    assert_eq!(both["artifacts"].as_array().unwrap().len(), 2);
    let best = answer(&host, "search acme --fleet fleet --min-score 0.4");
    assert_eq!(found(&best), ["one r.example/one/acme", "two r.example/two/acme-rules"]);
    assert_eq!(best["artifacts"][0]["score"], 1.0);
    let nothing = artifact(&host, "search nonsense --fleet fleet").ended_with(0);
    assert!(nothing.stderr.contains("a lower --min-score finds more"), "{nothing:?}");
    for bad in ["0", "1.1", "x", "NaN"] {
        let _usage = artifact(&host, &format!("search acme --min-score {bad}")).ended_with(64);
    }
    let table = artifact(&host, "list --fleet fleet").ended_with(0).stdout;
    assert!(table.starts_with("INDEX  ARTIFACT    TYPE       SOURCE"), "{table}");
}

#[test]
fn names_lead_to_repositories() {
    let host = with_indexes();
    let unknown = artifact(&host, "config acme-rulez:1 --fleet fleet").ended_with(1);
    assert!(unknown.stderr.contains("no index knows the artifact `acme-rulez`"), "{}", unknown.stderr);
    // The later index counts, and its registry is the one that is asked.
    let server =
        falconer_tests::registry_server::RegistryServer::start(falconer_tests::registry_server::Mode::Plain).unwrap();
    let two = host.read("two.yaml").replace("r.example", &format!("\"{}\"", server.host()));
    host.write("two.yaml", &two);
    let place = format!("{}/two/acme-rules", server.host());
    let pushed = answer(&host, &format!("push {place}:1 rules.yaml --type rulesfile --version 1.0.0 --plain-http"));
    let digest = digest(&pushed["digest"]);
    for name in ["acme-rules:1".to_string(), format!("acme-rules@{digest}"), format!("acme-rules:9@{digest}")] {
        let shown = artifact(&host, &format!("manifest {name} --fleet fleet --plain-http")).ended_with(0);
        assert_eq!(Digest::of(shown.stdout.as_bytes()), digest, "{name}");
    }
    let info = answer(&host, "info acme-rules --fleet fleet --plain-http");
    assert_eq!(info["artifacts"][0]["source"].as_str(), Some(place.as_str()));
    // A full reference needs no index at all.
    std::fs::remove_file(host.path("one.yaml")).unwrap();
    let _shown = artifact(&host, &format!("manifest {place}:1 --fleet fleet --plain-http")).ended_with(0);
    let lost = artifact(&host, "manifest acme-rules:1 --fleet fleet --plain-http").ended_with(1);
    assert!(lost.stderr.contains("one.yaml"), "{}", lost.stderr);
}

#[test]
fn an_index_is_checked() {
    let host = with_indexes();
    let listed = host.falconer(["index", "list", "--fleet", "fleet", "--output", "json"]).ended_with(0).json();
    assert_eq!(listed["indexes"][1]["name"], "two");
    let official = host.falconer(["index", "list"]).ended_with(0).stdout;
    assert!(official.contains("falcosecurity  https://falcosecurity.github.io/falcoctl/index.yaml"), "{official}");

    let good = host.falconer(["index", "check", "one.yaml", "-ojson"]).ended_with(0).json();
    assert_eq!(good["artifacts"], 2);
    host.write(
        "bad.yaml",
        "- name: acme\n  registry: r.example\n- name: Loud\n  registry: r.example\n  repository: a\n",
    );
    let bad = host.falconer(["index", "check", "bad.yaml", "-ojson"]).ended_with(1).json();
    let lines: Vec<_> =
        bad["findings"].as_array().unwrap().iter().map(|one| one["location"]["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [1, 3]);
    let url = format!("file://{}", host.path("bad.yaml").display());
    let said = host.falconer(["index", "check", &url]).ended_with(1).stdout;
    assert!(said.contains("bad.yaml:3:9: artifact name `Loud`"), "{said}");
    let _missing = host.falconer(["index", "check", "nothing.yaml"]).ended_with(1);
}
