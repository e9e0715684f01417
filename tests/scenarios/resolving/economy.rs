//! What is asked of a registry to lock: each thing once, and no more than is needed.

use std::collections::BTreeMap;

use super::*;

#[test]
fn nothing_is_asked_twice_and_what_is_pinned_is_not_asked_for() {
    let place = Place::new();
    let names = ["a-rules", "b-rules", "c-rules", "d-rules"];
    // All rules are the same archive, and the plugin's is the same for both platforms.
    for name in names {
        place.rules(name, "1.0.0", &["--add-floating-tags", "--depends-on", "tick:1.0.0"]);
    }
    for version in ["1.0.0", "1.1.0"] {
        place.plugin("tick", version, &["liba.so", "--platform", "linux/riscv64"]);
    }
    place.rules("e-rules", "1.0.0", &["--depends-on", "tick:1.1.0"]);
    place.index(&["a-rules", "b-rules", "c-rules", "d-rules", "e-rules", "tick"]);
    place.fleet(
        "{a-rules: '1', b-rules: '1', c-rules: ^1, d-rules: '1', e-rules: '1.0.0'}",
        "rules_files:\n  - artifact: a-rules\n  - artifact: b-rules\n  - artifact: c-rules\n  - artifact: d-rules\n  - artifact: e-rules\ndependencies: install\n",
    );
    let before = place.registry.requests().unwrap().len();
    let _locked = place.lock(&[]).ended_with(0);
    let requests = place.registry.requests().unwrap().split_off(before);
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for request in &requests {
        *counted.entry(request).or_default() += 1;
    }
    let twice: Vec<_> = counted.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(twice, Vec::<(&&str, &usize)>::new());
    // Manifests: five of rules, the plugin's index, one for each platform. Config blobs: one for each artifact. Archives:
    // one of rules, one of the plugin. And one list of tags, for the range.
    let of = |what: &str| requests.iter().filter(|request| request.contains(what)).count();
    assert_eq!((of("/manifests/"), of("/tags/list"), of("/blobs/")), (5 + 1 + 2, 1, 6 + 2), "{requests:#?}");
    assert_eq!(requests.iter().filter(|request| !request.starts_with("GET /v2/a/")).count(), 0, "{requests:#?}");

    let before = place.registry.requests().unwrap().len();
    let again = place.lock(&[]).ended_with(0);
    assert!(again.stdout.ends_with("unchanged\n"), "{again:?}");
    assert_eq!(place.registry.requests().unwrap().split_off(before), Vec::<String>::new());
}
