//! Registries and indexes as people have them: logins of all kinds, TLS of their own, mirrors, and servers that are away.

mod canary;
mod fetches;
mod indexes;
mod limits;
mod logins;
mod mirrors;
mod programs;
mod tls;
mod tokens;

use std::collections::BTreeMap;
use std::time::Duration;

use falconer::registry::{Access, Credentials, Limits, Problem, Registries, RegistryError, Repository, TagOrDigest};
use falconer::transfer::{self, Backoff};
use falconer_manifests::digest::Digest;
use falconer_manifests::oci;
use falconer_manifests::reference::Tag;
use falconer_tests::host::{Host, Run};
use falconer_tests::scripted_registry::{Reply, ScriptedRegistry, Seen};

/// What no output may show.
const SECRET: &str = "canary-secret-c01d";

/// Limits that make a test short where time is what it waits for.
fn short() -> Limits {
    Limits {
        manifest_time: Duration::from_secs(20),
        blob_time: Duration::from_secs(20),
        backoff: Backoff { attempts: 2, first: Duration::from_millis(5), longest: Duration::from_millis(20) },
        ..Limits::default()
    }
}

fn plain() -> Access {
    Access { plain_http: true, ..Access::default() }
}

fn with(credentials: Credentials) -> Access {
    Access { credentials: Some(credentials), ..plain() }
}

fn basic(username: &str) -> Access {
    with(Credentials::Basic { username: username.into(), password: SECRET.into() })
}

fn registries<const N: usize>(access: [(&str, Access); N]) -> Registries {
    let access: BTreeMap<_, _> = access.map(|(host, access)| (host.to_owned(), access)).into();
    Registries::new(transfer::client().unwrap(), access).with_limits(short())
}

fn repository(host: &str, name: &str) -> Repository {
    Repository { registry: host.to_owned(), name: name.to_owned() }
}

fn tag(text: &str) -> TagOrDigest {
    TagOrDigest::Tag(Tag::parse(text).unwrap())
}

fn problem<T>(result: Result<T, RegistryError>) -> Problem {
    match result {
        Ok(_) => panic!("no error"),
        Err(error) => error.problem,
    }
}

/// A manifest without layers, which is all that an exchange itself looks at.
fn manifest() -> Vec<u8> {
    let config = format!(r#"{{"mediaType":"a/b","digest":"{}","size":2}}"#, Digest::of(b"{}"));
    format!(r#"{{"schemaVersion":2,"mediaType":"{}","config":{config},"layers":[]}}"#, oci::MANIFEST).into_bytes()
}

fn good_manifest() -> Reply {
    Reply::ok(oci::MANIFEST, manifest())
}

/// The name of a host that nobody listens on.
fn dead_host() -> String {
    let server = ScriptedRegistry::start(|_| Reply::hangup()).unwrap();
    server.host()
}

fn targets(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|request| request.target.as_str()).collect()
}

/// A host whose agent.toml ends in `tables`.
fn host_with(tables: &str) -> Host {
    let host = Host::new();
    host.write("agent.toml", &format!("{}{tables}", falconer_tests::host::agent_toml("fleet")));
    host.write("rules.yaml", falconer_tests::host::RULES);
    host
}

/// The same, with the falco.yaml that a host has after `falconer adopt`.
fn adopted(host: Host) -> Host {
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    host
}

/// The arguments that publish the rules file of [`host_with`].
fn push(reference: &str) -> [&str; 7] {
    ["artifact", "push", reference, "rules.yaml", "--type", "rulesfile", "--version=1.0.0"]
}

/// A fleet.yaml with one artifact.
fn fleet(artifact: &str) -> String {
    format!("version: 1\nindexes: []\nartifacts:\n  acme-rules: {artifact}\nrules_files: [{{artifact: acme-rules}}]\n")
}
