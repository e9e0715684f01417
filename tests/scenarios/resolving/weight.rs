//! Indexes and archives that weigh much.

use falconer_tests::heavy::Plugins;
use falconer_tests::memory::measured;

use super::*;

/// An index with 100,000 entries takes some time and memory, and no more than that.
#[test]
fn an_index_with_a_hundred_thousand_entries() {
    let place = Place::new();
    place.rules("acme-rules", "1.0.0", &[]);
    let mut index = (0..99_999).fold(String::new(), |mut text, number| {
        let _written =
            writeln!(text, "- {{name: artifact-{number:05}, registry: r.example, repository: a/a{number:05}}}");
        text
    });
    let _written =
        writeln!(index, "- {{name: acme-rules, registry: '{}', repository: a/acme-rules}}", place.registry.host());
    place.host.write("index.yaml", &index);
    place.fleet("{acme-rules: 1.0.0}", "rules_files: [{artifact: acme-rules}]\n");
    let (run, peak) = measured(place.host.command().args(["lock", "fleet"]));
    let _locked = run.ended_with(0);
    assert!(peak < 160 << 10, "{peak} KiB");
}

/// Archives are never held in memory: more than 64 MiB of them pass through less.
#[test]
fn plugins_heavier_than_the_memory_they_take() {
    let plugins = Plugins::serve(10, 7 << 20);
    let host = plugins.host();
    let (run, peak) = measured(host.command().args(["once", "--output", "json"]));
    let status = run.ended_with(0).json();
    assert_eq!(status["artifacts"].as_array().unwrap().len(), 10);
    assert!(peak < 64 << 10, "{peak} KiB");
    let asked = plugins.registry.seen().len();
    assert_eq!(asked, 10 * 4, "index, manifest, config and layer of each, once");
}
