//! Pulling, and looking at what is there.

use falconer::layout::{Descriptor, Layout};
use falconer_manifests::oci;
use falconer_tests::registry_server::{Mode, RegistryServer};

use super::*;

fn push_plugin(host: &Host, place: &str) -> Value {
    let platforms = "--platform linux/amd64 --platform linux/arm64";
    answer(
        host,
        &format!("push {place} libacme.so arm/libacme.so --type plugin --version 1.2.3 {platforms} --plain-http"),
    )
}

#[test]
fn documents_are_printed_as_they_are_stored() {
    let server = RegistryServer::start(Mode::Plain).unwrap();
    let host = publisher();
    for place in ["oci:plugin:1".to_string(), format!("{}/acme/plugin:1", server.host())] {
        let pushed = push_plugin(&host, &place);
        let shown = |line: &str| artifact(&host, &format!("{line} {place} --plain-http")).ended_with(0).stdout;
        assert_eq!(Digest::of(shown("manifest").as_bytes()), digest(&pushed["digest"]));
        for platform in pushed["platforms"].as_array().unwrap() {
            let flag = format!("--platform {}", platform["platform"].as_str().unwrap());
            assert_eq!(Digest::of(shown(&format!("manifest {flag}")).as_bytes()), digest(&platform["digest"]));
            assert_eq!(Digest::of(shown(&format!("config {flag}")).as_bytes()), digest(&platform["config"]));
        }
        let by_digest = format!("{}@{}", place.trim_end_matches(":1"), digest(&pushed["digest"]));
        let document = artifact(&host, &format!("manifest {by_digest} --plain-http")).ended_with(0);
        assert_eq!(document.stdout, shown("manifest"));
        let refused = artifact(&host, &format!("config {place} --plain-http --platform darwin/arm64")).ended_with(1);
        assert!(refused.stderr.contains("not published for darwin/arm64, only for linux/amd64, linux/arm64"));
    }
}

#[test]
fn the_archive_or_the_files_in_it() {
    let host = publisher();
    let pushed = push_plugin(&host, "oci:plugin:1");
    let pulled = answer(&host, "pull oci:plugin:1 --platform linux/arm64 --dest-dir new/place");
    assert_eq!(pulled["files"][0]["path"], "libacme.tar.gz");
    let archive = std::fs::read(host.path("new/place/libacme.tar.gz")).unwrap();
    assert_eq!(Digest::of(&archive), digest(&pushed["platforms"][1]["layer"]));
    let pulled = answer(&host, "pull oci:plugin:1 --platform linux/arm64 --extract -d new/place");
    assert_eq!(digest(&pulled["files"][0]["sha256"]), Digest::of(host.read("arm/libacme.so").as_bytes()));
    assert_eq!(host.read("new/place/libacme.so"), host.read("arm/libacme.so"));
    let mode = std::fs::metadata(host.path("new/place/libacme.so")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    // Nothing else was left there.
    let mut names: Vec<_> =
        std::fs::read_dir(host.path("new/place")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["libacme.so", "libacme.tar.gz"]);
    // The current directory is the default, and what is there is replaced.
    host.write("rules.tar.gz", "old");
    answer(&host, "push oci:rules:1 rules.yaml --type rulesfile --version 1.0.0");
    host.write("rules.yaml", "old");
    for flag in ["", "--extract"] {
        let _pulled = artifact(&host, &format!("pull oci:rules:1 {flag}")).ended_with(0);
    }
    assert_eq!(host.read("rules.yaml"), NEEDY);
    assert_eq!(std::fs::read(host.path("rules.tar.gz")).unwrap()[..2], [0x1f, 0x8b]);
}

/// Publishes rules under `title`, which falconer itself would not do.
fn with_title(host: &Host, title: &str) {
    answer(host, "push oci:odd:1 rules.yaml --type rulesfile --version 1.0.0");
    let layout = Layout::open(&host.path("odd")).unwrap();
    let old = layout.resolve("1").unwrap().unwrap();
    let manifest = String::from_utf8(layout.read_blob(&old.digest, 1 << 20).unwrap()).unwrap();
    let manifest = manifest.replace("\"rules.tar.gz\"", &serde_json::json!(title).to_string());
    let digest = layout.write_blob(manifest.as_bytes()).unwrap();
    let size = manifest.len() as u64;
    layout.tag("1", &Descriptor { media_type: oci::MANIFEST.into(), digest, size }).unwrap();
}

#[test]
fn a_title_leads_nowhere_else() {
    let host = publisher();
    for title in ["../odd.tar.gz", "/tmp/odd.tar.gz", "a/b.tar.gz", "..", "", "a\nb"] {
        with_title(&host, title);
        let refused = artifact(&host, "pull oci:odd:1 --dest-dir inside").ended_with(1);
        assert!(refused.stderr.contains("--extract"), "{title}: {}", refused.stderr);
        assert!(!host.path("inside").exists(), "{title}");
    }
    let _pulled = artifact(&host, "pull oci:odd:1 --dest-dir inside --extract").ended_with(0);
    assert_eq!(host.read("inside/rules.yaml"), NEEDY);
}

#[test]
fn damage_is_not_pulled() {
    let host = publisher();
    let pushed = answer(&host, "push oci:rules:1 rules.yaml --type rulesfile --version 1.0.0");
    let blob = format!("rules/blobs/sha256/{}", digest(&pushed["layer"]).hex());
    let bytes = std::fs::read(host.path(&blob)).unwrap();
    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    std::fs::write(host.path(&blob), damaged).unwrap();
    for flag in ["", "--extract"] {
        let _refused = artifact(&host, &format!("pull oci:rules:1 --dest-dir out {flag}")).ended_with(1);
        assert_eq!(std::fs::read_dir(host.path("out")).unwrap().count(), 0);
    }
}

#[test]
fn tags_and_what_they_mean() {
    let host = publisher();
    for (version, flags) in
        [("1.9.0", "--add-floating-tags"), ("1.10.0", "--add-floating-tags --tag nightly"), ("main", "--tag main")]
    {
        answer(&host, &format!("push oci:rules rules.yaml --type rulesfile --version {version} {flags}"));
    }
    let signature = format!("sha256-{}.sig", "0".repeat(64));
    answer(&host, &format!("push oci:rules:{signature} rules.yaml --type rulesfile --version 1.0.0"));
    let info = answer(&host, "info oci:rules");
    assert_eq!(texts(&info["artifacts"][0]["versions"]), ["1.9.0", "1.10.0"]);
    let tags: Vec<_> =
        info["artifacts"][0]["tags"].as_array().unwrap().iter().map(|tag| tag["tag"].as_str().unwrap()).collect();
    assert_eq!(tags, ["1", "1.10", "1.9", "main", "nightly"]);
    let newest = artifact(&host, "manifest oci:rules:1.10.0").stdout;
    assert_eq!(digest(&info["artifacts"][0]["tags"][0]["digest"]), Digest::of(newest.as_bytes()));
    let text = artifact(&host, "info oci:rules").ended_with(0).stdout;
    let rows: Vec<_> = text.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(rows[1..4], ["versions: 1.9.0,", "TAG VERSION", "1 1.10.0"]);
    // One tag, and one that is not there.
    assert_eq!(answer(&host, "info oci:rules:1.9.0")["artifacts"][0]["tags"][0]["version"], "1.9.0");
    let missing = artifact(&host, "info oci:rules:7").ended_with(1);
    assert!(missing.stderr.contains("there is no oci:rules:7"), "{}", missing.stderr);
    let missing = artifact(&host, "manifest oci:rules").ended_with(1);
    assert!(missing.stderr.contains("there is no oci:rules:latest"), "{}", missing.stderr);
    assert_eq!(text.lines().next(), Some("oci:rules"));
    // What can be told is told, also when something else cannot.
    let partly = artifact(&host, "info oci:rules oci:nowhere --output json").ended_with(1).json();
    assert_eq!(partly["artifacts"][0]["versions"][1], "1.10.0");
    assert!(partly["artifacts"][1]["error"].as_str().unwrap().contains("oci:nowhere"), "{partly}");
}
