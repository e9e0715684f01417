//! How many exchanges a registry gets at the same time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

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
