//! Indexes and archives that weigh much.

use std::time::Instant;

use falconer_tests::host::RULES;
use falconer_tests::memory::measured;

use super::*;

/// An index with 100,000 entries is read in a moment, and a name that is not in it is answered as with a short one.
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
    for (name, code) in [("acme-rules", 0), ("acme-rulse", 1)] {
        place.fleet(&format!("{{{name}: 1.0.0}}"), &format!("rules_files: [{{artifact: {name}}}]\n"));
        let started = Instant::now();
        let (run, peak) = measured(place.host.command().args(["lock", "fleet"]));
        eprintln!("{name}: {} KiB, {:?}, an index of {} bytes", peak, started.elapsed(), index.len());
        let run = run.ended_with(code);
        assert!(code == 0 || run.stderr.contains("hint: `acme-rules` is; "), "{}", run.stderr);
        assert!(peak < 256 << 10, "{peak} KiB");
    }
    let _rules = RULES;
}
