//! The registry room, the index room and pack against real registries, and against one that lies.

mod credentials;
mod indexes;
mod lies;
mod redirects;
mod round_trip;
mod waits;

use std::collections::BTreeMap;
use std::time::Duration;

use falconer::pack::{PackInput, Packed, pack};
use falconer::registry::{Access, Credentials, Limits, Problem, Registries, RegistryError, Repository, TagOrDigest};
use falconer::transfer::{self, Backoff, Pace};
use falconer_manifests::artifact::{ArtifactType, Requirement};
use falconer_manifests::digest::Digest;
use falconer_manifests::name::ArtifactName;
use falconer_manifests::oci;
use falconer_manifests::reference::Tag;
use falconer_tests::scripted_registry::{Reply, Seen};

/// What the kernel may take for a client that reads no more: send and receive buffers of loopback.
const KERNEL_BUFFERS: u64 = 12 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;

/// Limits that make a test short where time is what it waits for.
fn short() -> Limits {
    Limits {
        manifest_time: Duration::from_secs(20),
        blob_time: Duration::from_secs(20),
        backoff: Backoff { attempts: 4, first: Duration::from_millis(5), longest: Duration::from_millis(20) },
        ..Limits::default()
    }
}

fn plain() -> Access {
    Access { plain_http: true, ..Access::default() }
}

fn with_password(username: &str, password: &str) -> Access {
    let credentials = Credentials::Basic { username: username.into(), password: password.into() };
    Access { credentials: Some(credentials), ..plain() }
}

fn registries(host: &str, access: Access) -> Registries {
    Registries::new(transfer::client().unwrap(), BTreeMap::from([(host.to_owned(), access)])).with_limits(short())
}

fn repository(host: &str) -> Repository {
    Repository { registry: host.to_owned(), name: "acme/rules".to_owned() }
}

fn tag(text: &str) -> TagOrDigest {
    TagOrDigest::Tag(Tag::parse(text).unwrap())
}

/// A manifest without layers, which is all that the exchange itself looks at.
fn manifest() -> Vec<u8> {
    let config = format!(r#"{{"mediaType":"a/b","digest":"{}","size":2}}"#, Digest::of(b"{}"));
    format!(r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[]}}"#, oci::MANIFEST).into_bytes()
}

fn good_manifest() -> Reply {
    Reply::ok(oci::MANIFEST, manifest())
}

/// An artifact of one rules file.
fn packed(version: &str) -> Packed {
    pack(&PackInput {
        file_name: "acme_rules.yaml",
        bytes: b"- required_engine_version: 0.31.0\n- list: falco_binaries\n  items: [falconer]\n",
        mode: 0o644,
        kind: ArtifactType::Rulesfile,
        name: ArtifactName::parse("rules").unwrap(),
        version,
        dependencies: Vec::new(),
        requirements: vec![Requirement { name: "engine_version_semver".into(), version: "0.31.0".into() }],
        created: "2026-01-31T08:00:00Z",
        source: Some("https://git.example/rules?a=1&b=<2>"),
    })
    .unwrap()
}

fn problem<T>(result: Result<T, RegistryError>) -> Problem {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => error.problem,
    }
}

/// How many of the requests showed the password, in any form.
fn credentials_in(seen: &[Seen]) -> usize {
    seen.iter().filter(|request| request.authorization.is_some()).count()
}

fn pace(bytes: u64, over: Duration) -> Limits {
    Limits { pace: Pace { bytes, over }, ..short() }
}
