//! How many exchanges a registry gets at the same time.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use falconer::pack::{PackInput, pack};
use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::name::ArtifactName;

use super::*;

/// A registry that answers nobody until `together` requests are there, or nobody comes for a while; it counts the most
/// that were there at the same time.
fn counting(together: usize) -> (ScriptedRegistry, Arc<AtomicUsize>) {
    let most = Arc::new(AtomicUsize::new(0));
    let (now, seen_most) = (Arc::new((Mutex::new(0_usize), Condvar::new())), Arc::clone(&most));
    let server = ScriptedRegistry::start(move |_| {
        let (count, changed) = &*now;
        let mut here = count.lock().unwrap();
        *here += 1;
        seen_most.fetch_max(*here, Ordering::SeqCst);
        changed.notify_all();
        let waited = changed.wait_timeout_while(here, Duration::from_millis(300), |here| *here < together).unwrap();
        here = waited.0;
        *here -= 1;
        good_manifest()
    })
    .unwrap();
    (server, most)
}

#[tokio::test]
async fn a_registry_gets_four_at_a_time() {
    let (server, most) = counting(5);
    let host = server.host();
    let registries = registries([(&host, plain())]);
    let names: Vec<_> = (0..12).map(|number| repository(&host, &format!("acme/{number}"))).collect();
    let one = tag("1");
    let all = futures_util::future::join_all(names.iter().map(|name| registries.manifest(name, &one))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!((most.load(Ordering::SeqCst), server.seen().len()), (4, 12));
}

/// As many artifacts as the official index has entries: every question is asked once, and several at a time.
#[test]
fn no_question_is_asked_twice() {
    const ARTIFACTS: usize = 28;
    let mut content = BTreeMap::new();
    for number in 0..ARTIFACTS {
        let packed = pack(&PackInput {
            file_name: "rules.yaml",
            bytes: format!("- list: list_{number}\n  items: [a]\n").as_bytes(),
            mode: 0o644,
            kind: ArtifactType::Rulesfile,
            name: ArtifactName::parse(&format!("rules-{number}")).unwrap(),
            version: "1.0.0",
            dependencies: Vec::new(),
            requirements: Vec::new(),
            created: "2026-01-31T08:00:00Z",
            source: None,
        })
        .unwrap();
        let below = format!("/v2/acme/rules-{number}");
        content.insert(format!("{below}/manifests/1.0.0"), (oci::MANIFEST, packed.manifest.bytes));
        for blob in [packed.config, packed.layer] {
            content.insert(format!("{below}/blobs/{}", blob.digest), ("application/octet-stream", blob.bytes));
        }
    }
    let index = Arc::new(Mutex::new(String::new()));
    let (named, here, most) = (Arc::clone(&index), AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let seen_most = Arc::clone(&most);
    let server = ScriptedRegistry::start(move |seen| {
        seen_most.fetch_max(here.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Long enough for the others to come while this one is here.
        std::thread::sleep(Duration::from_millis(10));
        here.fetch_sub(1, Ordering::SeqCst);
        match content.get(&seen.target) {
            Some((media_type, bytes)) => Reply::ok(media_type, bytes.clone()),
            None if seen.target == "/index.yaml" => Reply::new(200, named.lock().unwrap().as_bytes()),
            None => Reply::new(404, ""),
        }
    })
    .unwrap();
    let host = host_with(&format!("[registries.\"{}\"]\nplain_http = true\n", server.host()));
    let names: Vec<_> = (0..ARTIFACTS).map(|number| format!("rules-{number}")).collect();
    let entry = |name: &String| {
        format!("- {{name: {name}, type: rulesfile, registry: '{}', repository: acme/{name}}}\n", server.host())
    };
    *index.lock().unwrap() = names.iter().map(entry).collect();
    let artifacts: String = names.iter().map(|name| format!("  {name}: 1.0.0\n")).collect();
    let files: String = names.iter().map(|name| format!("  - artifact: {name}\n")).collect();
    let fleet = format!(
        "version: 1\nindexes: [{{name: a, url: 'http://{}/index.yaml'}}]\nartifacts:\n{artifacts}rules_files:\n{files}",
        server.host()
    );
    host.commit(&[("fleet.yaml", &fleet)]);
    let _locked = host.falconer(["lock", "fleet"]).ended_with(0);
    let seen = server.seen();
    let distinct: BTreeSet<_> = seen.iter().map(|seen| (&seen.method, &seen.target)).collect();
    assert_eq!((distinct.len(), seen.len()), (3 * ARTIFACTS + 1, 3 * ARTIFACTS + 1));
    assert!((2..=4).contains(&most.load(Ordering::SeqCst)));
}

/// A registry that hangs does not keep another one waiting.
#[tokio::test]
async fn registries_do_not_wait_for_each_other() {
    let hanging = ScriptedRegistry::start(|_| Reply::silence()).unwrap();
    let (good, _) = counting(1);
    let (slow, quick) = (hanging.host(), good.host());
    let registries = registries([(&slow, plain()), (&quick, plain())]);
    let (nowhere, there, one) = (repository(&slow, "a"), repository(&quick, "a"), tag("1"));
    let waiting = futures_util::future::join_all((0..8).map(|_| registries.manifest(&nowhere, &one)));
    tokio::select! {
        all = waiting => panic!("{all:?}"),
        answer = registries.manifest(&there, &one) => drop(answer.unwrap()),
    }
}
