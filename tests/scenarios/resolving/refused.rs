//! What cannot be locked is said at its place, with what to do.

use super::*;

/// The one finding of `lock`, which writes nothing.
#[track_caller]
fn refused(place: &Place, artifacts: &str, more: &str) -> String {
    place.fleet(artifacts, more);
    let run = place.lock(&[]).ended_with(1);
    assert!(!place.host.path("fleet/falconer.lock").exists());
    assert_eq!(run.stderr.matches("hint:").count(), 1, "{}", run.stderr);
    run.stderr
}

#[test]
fn names_tags_types_and_circles() {
    let place = Place::new();
    place.index(&["acme-rules", "round-rules", "circle", "gone"]);
    place.rules("acme-rules", "1.0.0", &["--add-floating-tags"]);
    place.plugin("circle", "1.0.0", &["--depends-on", "round-rules:1.0.0"]);
    place.rules("round-rules", "1.0.0", &["--depends-on", "circle:1.0.0"]);
    let files = "rules_files: [{artifact: a}]\n";
    for (artifacts, more, said) in [
        (
            "{acme-rule: '1'}",
            "rules_files: [{artifact: acme-rule}]\n",
            &["fleet.yaml:3:13: ", "`acme-rule` is in none of the indexes (local)", "hint: `acme-rules` is; "][..],
        ),
        (
            "{acme-rules: '9'}",
            "rules_files: [{artifact: acme-rules}]\n",
            &["fleet.yaml:3:13: ", "/a/acme-rules has no `9`", "`falconer artifact info localhost:"],
        ),
        (
            "{acme-rules: ^9}",
            "rules_files: [{artifact: acme-rules}]\n",
            &["fleet.yaml:3:13: ", "no tag of ", "/a/acme-rules meets `^9`", "the newest version there is 1.0.0"],
        ),
        (
            "{gone: ^1}",
            "rules_files: [{artifact: gone}]\n",
            &["fleet.yaml:3:13: ", "no tag of ", "no tag there is a version"],
        ),
        (
            "{circle: 1.0.0, acme-rules: '1'}",
            "rules_files:\n  - artifact: acme-rules\n  - artifact: circle\n",
            &["artifact `circle` is of type plugin", "only rulesfiles can be loaded as rules"],
        ),
        (
            "{acme-rules: {version: '1', open_params: a}}",
            "rules_files: [{artifact: acme-rules}]\n",
            &["fleet.yaml:3:13: ", "is of type rulesfile and takes no plugin settings"],
        ),
        (
            "{circle: 1.0.0, round-rules: 1.0.0}",
            "rules_files: [{artifact: round-rules}]\n",
            &["circle 1.0.0 needs round-rules >= 1.0.0, round-rules 1.0.0 needs circle >= 1.0.0, which is a circle"],
        ),
        ("{a: 127.0.0.1:1/a/b:1}", files, &["127.0.0.1:1"]),
    ] {
        let stderr = refused(&place, artifacts, more);
        for said in said {
            assert!(stderr.contains(said), "{said} in: {stderr}");
        }
    }

    // The name of a file in an archive is not what Falco's metrics know it by, so two may have the same.
    place.host.write("rules.yaml", "- list: other\n  items: [a]\n");
    place.rules("other-rules", "1.0.0", &[]);
    place.index(&["acme-rules", "other-rules"]);
    place.fleet(
        "{acme-rules: '1', other-rules: 1.0.0}",
        "rules_files: [{artifact: other-rules}, {artifact: acme-rules}]\n",
    );
    let _locked = place.lock(&[]).ended_with(0);
    let _commit = place.host.commit(&[]);
    let _adopted = place.host.falconer(["adopt"]).ended_with(0);
    let _status = place.host.once().ended_with(0);
    assert_eq!(place.host.read("state/current/rules/10-other-rules.yaml"), "- list: other\n  items: [a]\n");
    assert_eq!(place.host.read("state/current/rules/20-acme-rules.yaml"), falconer_tests::host::RULES);
}
