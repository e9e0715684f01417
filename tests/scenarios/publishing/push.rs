//! What is pushed to a real registry comes back byte for byte, through a reader that shares no code with falconer.

use std::io::Read;

use falconer_tests::registry_server::{Mode, RegistryServer};
use oci_client::Reference;
use oci_client::client::{Client, ClientConfig, ClientProtocol};
use oci_client::secrets::RegistryAuth;

use super::*;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// Another client of the registry.
struct Reader {
    client: Client,
    repository: String,
}

impl Reader {
    fn of(server: &RegistryServer, repository: &str) -> Self {
        // Another test of this process may have installed it already.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let protocol = ClientProtocol::HttpsExcept(vec![server.host()]);
        let client = Client::try_from(ClientConfig { protocol, ..ClientConfig::default() }).unwrap();
        Self { client, repository: format!("{}/{repository}", server.host()) }
    }

    /// The document under a tag or digest, whose digest the client checks where it asks by one.
    async fn document(&self, at: &str) -> (Vec<u8>, Value) {
        let joint = if at.starts_with("sha256:") { '@' } else { ':' };
        let reference: Reference = format!("{}{joint}{at}", self.repository).parse().unwrap();
        let types = [INDEX, MANIFEST];
        let (bytes, _) = self.client.pull_manifest_raw(&reference, &RegistryAuth::Anonymous, &types).await.unwrap();
        (bytes.to_vec(), serde_json::from_slice(&bytes).unwrap())
    }

    async fn blob(&self, descriptor: &Value) -> Vec<u8> {
        let reference: Reference = format!("{}:1.2.3", self.repository).parse().unwrap();
        let mut bytes = Vec::new();
        self.client.pull_blob(&reference, descriptor["digest"].as_str().unwrap(), &mut bytes).await.unwrap();
        assert_eq!(bytes.len() as u64, descriptor["size"].as_u64().unwrap());
        bytes
    }

    /// Name, mode and content of everything in the layer of a manifest.
    async fn files(&self, manifest: &Value) -> Vec<(String, u32, String)> {
        let layer = self.blob(&manifest["layers"][0]).await;
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer.as_slice()));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            (name, entry.header().mode().unwrap(), content)
        });
        entries.collect()
    }
}

#[tokio::test]
async fn a_plugin_for_two_platforms() {
    let server = RegistryServer::start(Mode::Plain).unwrap();
    let host = publisher();
    let line = format!(
        "push {}/acme/plugin libacme.so arm/libacme.so --type plugin --version 1.2.3 --platform linux/amd64 --platform \
         linux/arm64 --requires plugin_api_version:3.0.0 --annotation-source https://git.example/?a=<1>&b --tag 1.2.3 \
         --tag again --plain-http",
        server.host()
    );
    let pushed = answer(&host, &line);
    assert_eq!(texts(&pushed["tags"]), ["1.2.3", "again"]);

    let reader = Reader::of(&server, "acme/plugin");
    let (bytes, index) = reader.document("1.2.3").await;
    assert_eq!(Digest::of(&bytes), digest(&pushed["digest"]));
    assert_eq!(reader.document("again").await.0, bytes);
    let source = "https://git.example/?a=<1>&b";
    let created =
        serde_json::json!({"org.opencontainers.image.created": CREATED, "org.opencontainers.image.source": source});
    assert_eq!(index["mediaType"], INDEX);
    assert_eq!(index["annotations"], serde_json::json!({"org.opencontainers.image.source": source}));
    for (number, (architecture, path)) in [("amd64", "libacme.so"), ("arm64", "arm/libacme.so")].into_iter().enumerate()
    {
        let entry = &index["manifests"][number];
        assert_eq!(entry["platform"], serde_json::json!({"architecture": architecture, "os": "linux"}));
        assert_eq!(entry["artifactType"], "application/vnd.cncf.falco.plugin.config.v1+json");
        assert_eq!(entry["annotations"], created);
        assert_eq!(entry["digest"], pushed["platforms"][number]["digest"]);
        let (_, manifest) = reader.document(entry["digest"].as_str().unwrap()).await;
        assert_eq!(manifest["annotations"], created);
        assert_eq!(manifest["layers"][0]["annotations"]["org.opencontainers.image.title"], "libacme.tar.gz");
        assert_eq!(reader.files(&manifest).await, [("libacme.so".to_string(), 0o755, host.read(path))]);
        let config = String::from_utf8(reader.blob(&manifest["config"]).await).unwrap();
        let requirements = r#"[{"name":"plugin_api_version","version":"3.0.0"}]"#;
        assert_eq!(config, format!(r#"{{"name":"plugin","version":"1.2.3","requirements":{requirements}}}"#));
    }
}

#[tokio::test]
async fn an_asset_of_a_directory_and_one_of_an_archive() {
    let server = RegistryServer::start(Mode::Plain).unwrap();
    let host = publisher();
    let line = format!("push {}/acme/maps:1.2.3 maps --type asset --version 1.2.3 --plain-http", server.host());
    let pushed = answer(&host, &line);
    let reader = Reader::of(&server, "acme/maps");
    let (bytes, manifest) = reader.document("1.2.3").await;
    assert_eq!(Digest::of(&bytes), digest(&pushed["digest"]));
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.cncf.falco.asset.config.v1+json");
    assert_eq!(manifest["layers"][0]["annotations"]["org.opencontainers.image.title"], "maps.tar.gz");
    let files = reader.files(&manifest).await;
    let names: Vec<_> = files.iter().map(|(name, _, content)| (name.as_str(), content.as_str())).collect();
    assert_eq!(names, [("maps/", ""), ("b.json", "{}"), ("a.txt", "a")]);

    // An archive is published as it is, byte for byte.
    let layer = reader.blob(&manifest["layers"][0]).await;
    std::fs::write(host.path("ready.tar.gz"), &layer).unwrap();
    let line =
        format!("push {}/acme/ready:1.2.3 ready.tar.gz --type asset --version 1.2.3 --plain-http", server.host());
    assert_eq!(digest(&answer(&host, &line)["layer"]), Digest::of(&layer));
}

#[test]
fn rules_say_what_they_need_unless_flags_do() {
    let host = publisher();
    let config = |tag: &str| artifact(&host, &format!("config oci:rules:{tag}")).ended_with(0).stdout;
    answer(&host, "push oci:rules:file rules.yaml --type rulesfile --version 1.0.0");
    let json = r#"[{"name":"json","version":"0.7.0","alternatives":[{"name":"k8saudit","version":"0.11.0"}]}]"#;
    let engine = r#"[{"name":"engine_version_semver","version":"0.26.0"}]"#;
    assert_eq!(
        config("file"),
        format!(r#"{{"name":"rules","version":"1.0.0","dependencies":{json},"requirements":{engine}}}"#)
    );
    let flags = "--name other --depends-on z:1.0.0|b:1.0.0|a:1.0.0 --depends-on b:2.0.0";
    answer(&host, &format!("push oci:rules:flags rules.yaml --type rulesfile --version 1.0.0 {flags}"));
    let others = r#"[{"name":"a","version":"1.0.0"},{"name":"b","version":"1.0.0"}]"#;
    let needed =
        format!(r#"[{{"name":"b","version":"2.0.0"}},{{"name":"z","version":"1.0.0","alternatives":{others}}}]"#);
    assert_eq!(
        config("flags"),
        format!(r#"{{"name":"other","version":"1.0.0","dependencies":{needed},"requirements":{engine}}}"#)
    );
    answer(&host, "push oci:rules:both rules.yaml --type rulesfile --version 1.0.0 -d b:2.0.0 -r engine_version:9");
    assert!(config("both").ends_with(r#""requirements":[{"name":"engine_version","version":"9"}]}"#));
}

#[test]
fn a_branch_is_a_version_and_that_is_said() {
    let host = publisher();
    let pushed = answer(&host, "push oci:rules:main rules.yaml --type rulesfile --version main --add-floating-tags");
    assert_eq!(texts(&pushed["tags"]), ["main"]);
    let notes = texts(&pushed["notes"]);
    assert!(notes[0].starts_with("`main` is no version") && notes[1].starts_with("floating tags stay"), "{notes:?}");
    let config: Value = serde_json::from_str(&artifact(&host, "config oci:rules:main").stdout).unwrap();
    assert_eq!(config["version"], "main");
}

#[test]
fn what_hosts_would_refuse_is_said() {
    let host = publisher();
    let archive = host.path("linked.tar.gz");
    let file = std::fs::File::create(&archive).unwrap();
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::default()));
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "rules.yaml", "/etc/passwd").unwrap();
    builder.into_inner().unwrap().finish().unwrap();
    let pushed = answer(&host, "push oci:rules:1 linked.tar.gz --type rulesfile --version 1.0.0");
    assert!(texts(&pushed["notes"])[0].contains("refuse linked.tar.gz"), "{pushed}");
}

#[test]
fn what_cannot_be_published() {
    let host = publisher();
    host.write("bad.yaml", "- rule: x\n");
    for (line, said) in [
        ("rules.yaml --type plugin --version 1.0.0", "1 files and 0 platforms"),
        ("libacme.so --type plugin --version 1.0.0 --platform linux", "platform `linux`"),
        ("rules.yaml --type rulesfile --version 1.0.0 --platform linux/amd64", "a rulesfile has no platforms"),
        ("rules.yaml bad.yaml --type rulesfile --version 1.0.0", "a rulesfile is one file"),
        ("maps --type rulesfile --version 1.0.0", "maps is a directory"),
        ("rules.yaml --type rulesfile --version 1.0", "version `1.0`"),
        ("rules.yaml --type rulesfile --version feature/x", "version `feature/x`"),
        ("rules.yaml --type rulesfile --version 1.0.0 --tag a/b", "tag `a/b`"),
        ("rules.yaml --type rulesfile --version 1.0.0 --depends-on json", "dependency `json`"),
        ("rules.yaml --type rulesfile --version 1.0.0 --requires json", "requirement `json`"),
        ("rules.yaml --type rulesfile --version 1.0.0 --name A", "artifact name `A`"),
        ("rules.yaml --type rulesfile --version 1.0.0-rc1", "`latest` never names one"),
        ("rules.yaml --type rulesfile --version 1.0.0-rc1 --tag latest", "`latest` never names one"),
        ("bad.yaml --type rulesfile --version 1.0.0", "bad.yaml:1:3"),
        ("nothing.yaml --type rulesfile --version 1.0.0", "nothing.yaml"),
    ] {
        let refused = artifact(&host, &format!("push oci:rules {line}")).ended_with(1);
        assert!(refused.stderr.contains(said), "{line}: {}", refused.stderr);
        assert!(!host.path("rules").exists(), "{line}");
    }
    let _usage = artifact(&host, "push oci:rules rules.yaml --type config --version 1.0.0").ended_with(64);
}
