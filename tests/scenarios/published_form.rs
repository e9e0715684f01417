//! What `falconer artifact push` publishes, byte for byte what falcoctl 0.13.0 publishes of the same file; and what older
//! falcoctls have left in registries.
//!
//! The expected bytes were taken from falcoctl 0.13.0's `registry push`. Only the time of publishing and the compressed
//! form of the archive, which each compressor has for itself, may differ.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use falconer::layout::{Descriptor, Layout};
use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::digest::Digest;
use falconer_manifests::oci;
use falconer_tests::host::{Host, RULES, fleet_yaml};
use serde_json::Value;

const PUBLISHED: &str = "- required_engine_version: 10
- required_engine_version: 0.40.0
- required_plugin_versions:
    - name: json
      version: 0.7.0
    - name: cloudtrail
      version: 0.2.3
      alternatives:
        - name: zeta
          version: 0.1.0
        - name: alpha
          version: 0.2.0
- required_plugin_versions:
    - name: okta
      version: 0.11.0
- list: acme_shells
  items: [bash]
";

/// falcoctl's config blob of [`PUBLISHED`]: what the file says first counts, in the order of the file.
const CONFIG: &str = concat!(
    r#"{"name":"acme-rules","version":"1.2.0","dependencies":[{"name":"json","version":"0.7.0"},"#,
    r#"{"name":"cloudtrail","version":"0.2.3","alternatives":[{"name":"zeta","version":"0.1.0"},"#,
    r#"{"name":"alpha","version":"0.2.0"}]}],"requirements":[{"name":"engine_version_semver","version":"0.10.0"}]}"#
);

/// The sha256 of falcoctl's archive of [`PUBLISHED`] as `my.rules.yaml` with mode 0640, decompressed.
const ARCHIVE: &str = "sha256:08cb0746a7857d163478a620a6399b90024f13c8141154550880965203bee67e";

/// What was published: the bytes of manifest, config and decompressed layer.
struct Published {
    manifest: String,
    config: String,
    layer: Vec<u8>,
    archive: Vec<u8>,
}

/// Pushes `file` of the host as `acme-rules` 1.2.0 at 2026-01-31T08:00:00Z.
#[track_caller]
fn push(host: &Host, file: &str, more: &[&str]) -> Published {
    let push = ["artifact", "push", "oci:acme-rules:1.2.0", file, "--type", "rulesfile", "--version", "1.2.0"];
    let mut command = host.command();
    command.env("SOURCE_DATE_EPOCH", "1769846400").args(push).args(more).args(["--output", "json"]);
    let answer = falconer_tests::host::run(&mut command).ended_with(0).json();
    let layout = Layout::open(&host.path("acme-rules")).unwrap();
    let blob = |key: &str| {
        let digest = Digest::parse(answer[key].as_str().unwrap()).unwrap();
        layout.read_blob(&digest, 1 << 20).unwrap()
    };
    let tagged = layout.resolve("1.2.0").unwrap().unwrap();
    assert_eq!(
        (tagged.digest.as_str(), tagged.media_type.as_str()),
        (answer["digest"].as_str().unwrap(), oci::MANIFEST)
    );
    let layer = blob("layer");
    let mut archive = Vec::new();
    flate2::read::GzDecoder::new(layer.as_slice()).read_to_end(&mut archive).unwrap();
    let text = |key| String::from_utf8(blob(key)).unwrap();
    Published { manifest: text("digest"), config: text("config"), layer, archive }
}

#[test]
fn manifest_config_and_archive_are_falcoctls() {
    let host = Host::new();
    host.write("my.rules.yaml", PUBLISHED);
    std::fs::set_permissions(host.path("my.rules.yaml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let published = push(&host, "my.rules.yaml", &["--annotation-source", "https://example.org/?a=1&b=<2>"]);
    assert_eq!(published.config, CONFIG);
    assert_eq!(Digest::of(&published.archive).as_str(), ARCHIVE);
    let expected = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""config":{{"mediaType":"application/vnd.cncf.falco.rulesfile.config.v1+json","#,
            r#""digest":"sha256:f49c9926620e73a160fa6cad45912f4a65c4434b57c3d46982f75bd0e4b32238","size":285}},"#,
            r#""layers":[{{"mediaType":"application/vnd.cncf.falco.rulesfile.layer.v1+tar.gz","#,
            r#""digest":"{layer}","size":{size},"#,
            r#""annotations":{{"org.opencontainers.image.title":"my.tar.gz"}}}}],"#,
            r#""annotations":{{"org.opencontainers.image.created":"2026-01-31T08:00:00Z","#,
            r#""org.opencontainers.image.source":"https://example.org/?a=1\u0026b=\u003c2\u003e"}}}}"#
        ),
        layer = Digest::of(&published.layer),
        size = published.layer.len(),
    );
    assert_eq!(published.manifest, expected);
}

#[test]
fn titles_and_configs_by_the_kind_of_file() {
    let host = Host::new();
    let list = "- list: acme_shells\n  items: [bash]\n";
    let plain = r#"{"name":"acme-rules","version":"1.2.0"}"#;
    let engine = |version: &str| {
        plain.replace('}', &format!(r#","requirements":[{{"name":"engine_version_semver","version":"{version}"}}]}}"#))
    };
    for (file, text, title, config) in [
        ("rules", String::new(), "rules.tar.gz", plain.to_string()),
        ("rules.YAML", list.to_string(), "rules.tar.gz", plain.to_string()),
        ("a b.yml", format!("- required_engine_version: 0.31.0\n{list}"), "a b.tar.gz", engine("0.31.0")),
        ("rc.yaml", format!("- required_engine_version: 0.31.0-rc1\n{list}"), "rc.tar.gz", engine("0.31.0-rc1")),
    ] {
        host.write(file, &text);
        let published = push(&host, file, &[]);
        let manifest: Value = serde_json::from_str(&published.manifest).unwrap();
        assert_eq!(manifest["layers"][0]["annotations"]["org.opencontainers.image.title"], title, "{file}");
        assert_eq!(published.config, config, "{file}");
    }
    // An archive is not looked into, and sent as it is.
    host.write("my.rules.yaml", PUBLISHED);
    let archive = push(&host, "my.rules.yaml", &[]).layer;
    std::fs::write(host.path("given.v1.tar.gz"), &archive).unwrap();
    let published = push(&host, "given.v1.tar.gz", &[]);
    assert!(published.manifest.contains(r#""org.opencontainers.image.title":"given.v1.tar.gz""#));
    assert_eq!((published.layer, published.config.as_str()), (archive, plain));
}

/// Older falcoctls published configs that say nothing, titled like a file, and others have none of Falco's.
#[test]
fn artifacts_whose_config_says_nothing_become_live() {
    for (media_type, annotations) in [
        (ArtifactType::Rulesfile.config_media_type(), r#","annotations":{"org.opencontainers.image.title":"config"}"#),
        ("application/vnd.unknown.config.v1+json", ""),
    ] {
        let host = Host::adopted();
        host.publish(RULES, "1.0.0");
        let layout = Layout::open(&host.path("artifacts")).unwrap();
        let manifest = layout.resolve("1.0.0").unwrap().unwrap().digest;
        let manifest: Value = serde_json::from_slice(&layout.read_blob(&manifest, 1 << 20).unwrap()).unwrap();
        let config = layout.write_blob(b"{}").unwrap();
        let old = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"{media_type}","digest":"{config}","size":2{annotations}}},"layers":{}}}"#,
            manifest["layers"]
        );
        let digest = layout.write_blob(old.as_bytes()).unwrap();
        let descriptor =
            Descriptor { media_type: oci::MANIFEST.into(), digest: digest.clone(), size: old.len() as u64 };
        layout.tag("0.1.0", &descriptor).unwrap();
        host.commit(&[("fleet.yaml", &fleet_yaml("0.1.0"))]);
        let status = host.once().ended_with(0).json();
        assert_eq!(status["artifacts"][0]["digest"], digest.as_str(), "{status:#}");
        assert_eq!(status["artifacts"][0]["version"], "", "{status:#}");
        assert_eq!(std::fs::read_to_string(host.live("acme-rules.yaml")).unwrap(), RULES);
    }
}
