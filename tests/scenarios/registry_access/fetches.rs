//! Archives that are fetched at the same time, and programs that go through a proxy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use falconer::layout::Layout;
use falconer::pass::{Event, Listener, Sources, Wanted};
use falconer::settings;
use falconer_manifests::catalog::Blob;
use falconer_manifests::reference::Source;
use falconer_tests::host::run;

use super::*;

const MIB: usize = 1 << 20;

fn sources(host: &Host) -> Sources {
    let settings = settings::read(&host.path("agent.toml")).unwrap();
    Sources::new(&settings, transfer::client().unwrap(), &settings.base).unwrap()
}

/// A registry of blobs that are their number, over and over.
fn registry_of(
    blobs: u8,
    other: impl Fn(u8) -> Option<Reply> + Send + Sync + 'static,
) -> (ScriptedRegistry, Vec<Blob>) {
    let content: Vec<Vec<u8>> = (0..blobs).map(|number| vec![number; MIB]).collect();
    let all = content.iter().map(|content| Blob { digest: Digest::of(content), size: MIB as u64 }).collect();
    let by_target: BTreeMap<_, _> = content
        .into_iter()
        .map(|content| (format!("/v2/acme/rules/blobs/{}", Digest::of(&content)), content))
        .collect();
    let server = ScriptedRegistry::start(move |seen| match by_target.get(&seen.target) {
        Some(content) => other(content[0]).unwrap_or_else(|| Reply::new(200, content.clone())),
        None => Reply::new(404, ""),
    });
    (server.unwrap(), all)
}

#[tokio::test]
async fn archives_come_together_and_are_told_of() {
    let (server, blobs) = registry_of(10, |_| None);
    let host = host_with(&format!("[registries.\"{}\"]\nplain_http = true\n", server.host()));
    let mut sources = sources(&host);
    let told = Arc::new(Mutex::new(BTreeMap::<String, Vec<u64>>::new()));
    let list = Arc::clone(&told);
    sources.report_progress_to(Listener::new(move |event| {
        let mut list = list.lock().unwrap();
        match event {
            Event::Begun { layer, .. } => drop(list.insert(layer.digest.to_string(), Vec::new())),
            Event::Came { digest, bytes } => list.get_mut(digest.as_str()).unwrap().push(bytes),
            Event::Ended { digest } => list.get_mut(digest.as_str()).unwrap().push(u64::MAX),
            Event::Asking { .. } | Event::Answered => panic!("nothing is asked"),
        }
    }));
    let source = Source::parse(&format!("{}/acme/rules", server.host())).unwrap();
    let store = Layout::create(&host.path("store")).unwrap();
    let wanted = |layer| Wanted { source: &source, layer, cap: MIB as u64 };
    let twice = blobs.iter().chain(&blobs).map(wanted);
    sources.fetch_all(twice, &store).await.unwrap();
    assert_eq!(server.seen().len(), 10, "each once");
    for blob in &blobs {
        assert!(store.is_intact(&blob.digest, blob.size).unwrap());
    }
    let told = std::mem::take(&mut *told.lock().unwrap());
    assert_eq!(told.len(), 10);
    for steps in told.values() {
        assert!(steps.is_sorted() && steps.ends_with(&[MIB as u64, u64::MAX]), "{steps:?}");
    }
    // What is there is not asked for again.
    sources.fetch_all(blobs.iter().map(wanted), &store).await.unwrap();
    assert_eq!(server.seen().len(), 10);
}

#[tokio::test]
async fn one_that_fails_does_not_keep_the_others() {
    let (server, blobs) = registry_of(6, |number| match number {
        2 => Some(Reply::new(404, "")),
        4 => Some(Reply::new(200, vec![9; MIB])),
        _ => None,
    });
    let host = host_with(&format!("[registries.\"{}\"]\nplain_http = true\n", server.host()));
    let source = Source::parse(&format!("{}/acme/rules", server.host())).unwrap();
    let store = Layout::create(&host.path("store")).unwrap();
    let wanted = blobs.iter().map(|layer| Wanted { source: &source, layer, cap: MIB as u64 });
    let error = sources(&host).fetch_all(wanted, &store).await.unwrap_err();
    assert!(error.to_string().contains("does not have this blob"), "the first in their order: {error}");
    let intact: Vec<_> = blobs.iter().map(|blob| store.is_intact(&blob.digest, blob.size).unwrap()).collect();
    assert_eq!(intact, [true, true, false, true, false, true]);
    let names = std::fs::read_dir(host.path("store/blobs/sha256")).unwrap();
    assert_eq!(names.count(), 4, "no half of a blob stays");
}

/// Registries and indexes are asked through the proxy of the environment, and those of `NO_PROXY` are not.
#[test]
fn a_proxy_of_the_environment() {
    let proxy = ScriptedRegistry::start(|_| Reply::new(404, "")).unwrap();
    let host = host_with("[registries.\"registry.invalid\"]\nplain_http = true\n");
    let index = "version: 1\nindexes: [{name: a, url: 'http://index.invalid/index.yaml'}]\nartifacts: {a: '1'}\n\
                 rules_files: [{artifact: a}]\n";
    let address = format!("http://{}", proxy.host());
    let lock = |document: &str, variables: &[(&str, &str)]| {
        host.write("fleet/fleet.yaml", document);
        run(host.command().args(["lock", "fleet"]).envs(variables.iter().copied())).ended_with(1)
    };
    let proxied = [("HTTP_PROXY", address.as_str()), ("http_proxy", &address)];
    let _refused = lock(index, &proxied);
    let _refused = lock(&fleet("registry.invalid/acme/rules:1"), &proxied);
    let seen = proxy.seen();
    let registry = "http://registry.invalid/v2/acme/rules/manifests/1";
    assert_eq!(targets(&seen), ["http://index.invalid/index.yaml", registry]);
    let except = [proxied.as_slice(), &[("NO_PROXY", "registry.invalid"), ("no_proxy", "registry.invalid")]].concat();
    let _unreachable = lock(&fleet("registry.invalid/acme/rules:1"), &except);
    assert_eq!(proxy.seen().len(), 2);
}
