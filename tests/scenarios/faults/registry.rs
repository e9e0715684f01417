//! A registry that lies: nothing of what it says becomes live.

use std::io::Write as _;

use falconer::pack::{PackInput, Packed, pack};
use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::digest::Digest;
use falconer_manifests::name::ArtifactName;
use falconer_manifests::oci;
use falconer_tests::scripted_registry::{Reply, ScriptedRegistry, Seen};

use super::*;

/// The artifact as it should be.
fn packed(bytes: &[u8], file_name: &str) -> Packed {
    pack(&PackInput {
        file_name,
        bytes,
        mode: 0o644,
        kind: ArtifactType::Rulesfile,
        name: ArtifactName::parse("acme-rules").unwrap(),
        version: "2.0.0",
        dependencies: Vec::new(),
        requirements: Vec::new(),
        created: "2026-01-31T08:00:00Z",
        source: None,
    })
    .unwrap()
}

/// What an honest registry answers that has `packed` under every tag.
fn honest(packed: &Packed, seen: &Seen) -> Reply {
    if seen.target.contains("/manifests/") {
        return Reply::ok(oci::MANIFEST, packed.manifest.bytes.clone());
    }
    if seen.target.contains("/tags/list") {
        return Reply::ok("application/json", r#"{"name":"acme/rules","tags":["2.0.0"]}"#);
    }
    let blobs = [&packed.config, &packed.layer];
    match blobs.iter().find(|blob| seen.target.ends_with(blob.digest.as_str())) {
        Some(blob) => Reply::ok("application/octet-stream", blob.bytes.clone()),
        None => Reply::new(404, r#"{"errors":[{"code":"BLOB_UNKNOWN"}]}"#),
    }
}

fn is_layer(packed: &Packed, seen: &Seen) -> bool {
    seen.target.ends_with(packed.layer.digest.as_str())
}

/// A host with version 1 live whose repository now asks for what `registry` has.
fn asking(registry: &ScriptedRegistry) -> Host {
    let host = installed();
    ask(&host, registry);
    host
}

fn ask(host: &Host, registry: &ScriptedRegistry) {
    host.write("password", "canary-secret-5e1d\n");
    let access = format!(
        "[registries.\"{0}\"]\nplain_http = true\n[registries.\"{0}\".credentials]\nusername = \"fleet\"\n\
         password_file = \"password\"\n",
        registry.host()
    );
    follow(host, "fleet", "", &access);
    let wish = fleet_yaml(2).replace("oci:artifacts", &format!("{}/acme/rules", registry.host()));
    host.commit(&[("fleet.yaml", &wish), ("rules/own.yaml", &own(2))]);
}

/// The registry answers with `script`: a pass is refused with these words, and the same again.
#[track_caller]
fn lie(words: &[&str], script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) {
    let registry = ScriptedRegistry::start(script).unwrap();
    let host = asking(&registry);
    is_refused(&host, words);
    assert_live(&host, 1);
    let answer = is_refused(&host, words);
    assert!(!format!("{answer}").contains("canary"), "{answer}");
    assert!(!host.read("state/status.json").contains("canary"));
}

fn good() -> Packed {
    packed(rules(2).as_bytes(), "acme-rules.yaml")
}

#[test]
fn an_honest_registry_is_believed() {
    let good = good();
    let registry = ScriptedRegistry::start(move |seen| honest(&good, seen)).unwrap();
    let host = asking(&registry);
    converges(&host, 2);
}

#[test]
fn other_bytes_and_other_lengths() {
    let artifact = good();
    lie(&["where it had to give sha256", "acme/rules"], move |seen| match is_layer(&artifact, seen) {
        true => Reply::new(200, vec![0; artifact.layer.bytes.len()]),
        false => honest(&artifact, seen),
    });
    let artifact = good();
    lie(&["where it had to give", "bytes", "acme/rules"], move |seen| match is_layer(&artifact, seen) {
        true => Reply::new(200, &artifact.layer.bytes[1..]),
        false => honest(&artifact, seen),
    });
    let artifact = good();
    let stated = Digest::of(b"something else").to_string();
    lie(&["where it had to give sha256", "acme/rules"], move |seen| match seen.target.contains("/manifests/") {
        true => honest(&artifact, seen).header("Docker-Content-Digest", &stated),
        false => honest(&artifact, seen),
    });
}

#[test]
fn too_much() {
    lie(&["4194304"], |_| Reply::endless(Some(400 << 20)).header("Content-Type", oci::MANIFEST));
    lie(&["4194304"], |_| Reply::endless(None).header("Content-Type", oci::MANIFEST));
    let artifact = good();
    lie(&["bytes"], move |seen| match is_layer(&artifact, seen) {
        true => Reply::endless(None),
        false => honest(&artifact, seen),
    });
}

#[test]
fn something_else() {
    lie(&["text/html"], |_| Reply::ok("text/html", "<html>log in</html>"));
    lie(&["has no `2.0.0`"], |_| Reply::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN"}]}"#));
    lie(&["refuses our credentials"], |_| Reply::challenge("Basic realm=\"x\""));
    lie(&["is not a manifest"], |_| Reply::ok(oci::MANIFEST, "{"));
}

/// An archive under the digest that its manifest says, so that the archive itself is the lie.
#[track_caller]
fn archive_lies(words: &[&str], archive: Vec<u8>) {
    let mut artifact = good();
    let old = (artifact.layer.digest.to_string(), format!("\"size\":{}", artifact.layer.bytes.len()));
    artifact.layer.digest = Digest::of(&archive);
    let manifest = String::from_utf8(artifact.manifest.bytes).unwrap();
    assert!(manifest.contains(&old.0) && manifest.contains(&old.1), "{manifest}");
    let manifest = manifest
        .replace(&old.0, artifact.layer.digest.as_str())
        .replace(&old.1, &format!("\"size\":{}", archive.len()));
    artifact.manifest.bytes = manifest.into_bytes();
    artifact.layer.bytes = archive;
    lie(words, move |seen| honest(&artifact, seen));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A tar with one entry; its name goes in as it is.
fn tar(name: &str, kind: tar::EntryType, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_ustar_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    if kind == tar::EntryType::Symlink {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, content).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn archives_that_are_traps() {
    let whole = gzip(&tar("acme-rules.yaml", tar::EntryType::Regular, rules(2).as_bytes()));
    archive_lies(&["archive", "acme/rules"], whole[..whole.len() / 2].to_vec());
    archive_lies(&["archive", "link"], gzip(&tar("acme-rules.yaml", tar::EntryType::Symlink, b"")));
    let outside = gzip(&tar("../../../etc/cron.d/x", tar::EntryType::Regular, b"* * * * * root id\n"));
    archive_lies(&["archive", ".."], outside);
    let bomb = tar("acme-rules.yaml", tar::EntryType::Regular, &vec![0; 300 << 20]);
    archive_lies(&["archive"], gzip(&bomb));
    archive_lies(&["archive"], b"no gzip at all".to_vec());
}

#[test]
fn a_redirect_takes_no_credentials_along() {
    let artifact = good();
    let storage = {
        let artifact = artifact.clone();
        ScriptedRegistry::start(move |_| Reply::new(200, artifact.layer.bytes.clone())).unwrap()
    };
    let location = format!("http://{}/bucket/blob?sig=x", storage.host());
    let registry = ScriptedRegistry::start(move |seen| match &seen.authorization {
        None => Reply::challenge("Basic realm=\"x\""),
        Some(_) if is_layer(&artifact, seen) => Reply::redirect(&location),
        Some(_) => honest(&artifact, seen),
    })
    .unwrap();
    converges(&asking(&registry), 2);
    assert!(registry.seen().iter().any(|seen| seen.authorization.is_some()));
    assert_eq!(storage.seen().len(), 1);
    assert!(storage.seen().iter().all(|seen| seen.authorization.is_none()));

    // A storage that asks for credentials gets none, and its bytes are checked as any.
    let storage = ScriptedRegistry::start(|_| Reply::challenge("Basic realm=\"x\"")).unwrap();
    let (artifact, location) = (good(), format!("http://{}/", storage.host()));
    lie(&["asks for credentials"], move |seen| match is_layer(&artifact, seen) {
        true => Reply::redirect(&location),
        false => honest(&artifact, seen),
    });
    assert!(storage.seen().iter().all(|seen| seen.authorization.is_none()));
}

#[test]
fn a_busy_registry_is_asked_again() {
    let artifact = good();
    let registry = ScriptedRegistry::start({
        let asked = std::sync::atomic::AtomicU32::new(0);
        move |seen| match asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Reply::new(429, "").header("Retry-After", "141.62\u{b5}s, allowed: 44000/minute"),
            _ => honest(&artifact, seen),
        }
    })
    .unwrap();
    converges(&asking(&registry), 2);
    lie(&["429"], |_| Reply::new(429, "").header("Retry-After", "soon"));
}

/// The deadline for a manifest is a minute.
#[test]
fn a_registry_that_drips() {
    if !is_full() {
        say("a_registry_that_drips waits for a minute: skipped unless FALCONER_FAULTS=full");
        return;
    }
    let artifact = good();
    let registry = ScriptedRegistry::start(move |_| {
        Reply::drip(artifact.manifest.bytes.clone(), 1000).header("Content-Type", oci::MANIFEST)
    })
    .unwrap();
    is_refused(&asking(&registry), &["60 s"]);
}

/// Once the registry tells the truth, the next pass believes it, and nothing of its lies is left in the store.
#[test]
fn after_the_lie() {
    let (artifact, lies) = (good(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true)));
    let registry = ScriptedRegistry::start({
        let lies = std::sync::Arc::clone(&lies);
        move |seen| match lies.load(std::sync::atomic::Ordering::SeqCst) && is_layer(&artifact, seen) {
            true => Reply::new(200, vec![7; artifact.layer.bytes.len()]),
            false => honest(&artifact, seen),
        }
    })
    .unwrap();
    let host = asking(&registry);
    is_refused(&host, &["where it had to give sha256"]);
    lies.store(false, std::sync::atomic::Ordering::SeqCst);
    converges(&host, 2);
    for blob in std::fs::read_dir(host.path("state/store/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()) {
        let digest = Digest::of(&std::fs::read(&blob).unwrap());
        assert_eq!(blob.file_name().unwrap().to_str().unwrap(), digest.hex());
    }
}
