use proptest::prelude::*;

use super::*;

const OURS: &str = "/var/lib/falconer/current/falconer.yaml";

fn ours() -> AbsolutePath {
    AbsolutePath::parse(OURS).unwrap()
}

fn adopted(text: &str, version: &str) -> Result<String, AdoptError> {
    match adopt(text, &ours(), FalcoVersion::parse(version).as_ref())? {
        Adopted::Unchanged => Ok(text.into()),
        Adopted::Changed(text) => Ok(text),
    }
}

#[test]
fn every_shape_of_the_list() {
    let entry = "- path: /var/lib/falconer/current/falconer.yaml\n    strategy: override\n";
    let flow = "{path: /var/lib/falconer/current/falconer.yaml, strategy: override}";
    for (before, after) in [
        (
            "config_files:\n  - /c.d\n  # note\n\nb: 1\n",
            format!("config_files:\n  - /c.d\n  {entry}  # note\n\nb: 1\n"),
        ),
        ("b: 1\nconfig_files:\n  - {path: /c.d}\n", format!("b: 1\nconfig_files:\n  - {{path: /c.d}}\n  {entry}")),
        ("config_files: []\nb: 1\n", format!("config_files: [{flow}]\nb: 1\n")),
        ("config_files: [/a] # x\n", format!("config_files: [/a, {flow}] # x\n")),
        ("# none\nb: 1\n", format!("# none\nb: 1\nconfig_files:\n  {entry}")),
        ("b: 1", format!("b: 1\nconfig_files:\n  {entry}")),
        ("", format!("config_files:\n  {entry}")),
        ("config_files: # x\n  # - /c.d\nb: 1\n", format!("config_files: # x\n  {entry}  # - /c.d\nb: 1\n")),
        ("b: 1\nconfig_files:", format!("b: 1\nconfig_files:\n  {entry}")),
    ] {
        assert_eq!(adopted(before, "0.44.1").unwrap(), after, "{before}");
        assert_eq!(adopt(&after, &ours(), None).unwrap(), Adopted::Unchanged);
        let gone = without_include(&after, &ours(), None).unwrap();
        // A key without a value is nothing to Falco, and goes with the entry where it is the last.
        let wanted = before.trim_end().trim_end_matches("\nconfig_files:");
        assert_eq!(gone.trim_end(), wanted, "the way back: {after}");
        if before.contains('\n') {
            let crlf = before.replace('\n', "\r\n");
            assert_eq!(adopted(&crlf, "0.44.1").unwrap(), after.replace('\n', "\r\n"), "{before}");
        }
    }
}

#[test]
fn line_ends_and_a_missing_last_one_stay() {
    let text = "config_files:\r\n- /c.d";
    let wanted = format!("config_files:\r\n- /c.d\r\n- path: {OURS}\r\n  strategy: override");
    assert_eq!(adopted(text, "").unwrap(), wanted);
}

#[test]
fn releases_with_paths_only() {
    let wanted = format!("config_files:\n  - /c.d\n  - {OURS}\n");
    assert_eq!(adopted("config_files:\n  - /c.d\n", "0.40.0").unwrap(), wanted);
    assert_eq!(adopted("b: 1\n", "0.38.0").unwrap(), format!("b: 1\nconfig_files:\n  - {OURS}\n"));
    let error = adopted("b: 1\n", "0.37.1").unwrap_err();
    assert_eq!(error.to_string(), "Falco 0.37.1 does not know config_files, which came with 0.38");
    // The same list under a newer Falco no longer overrides.
    assert_eq!(adoption(&wanted, &ours(), None), Adoption::WrongStrategy);
    let moved = format!("config_files:\n  - /c.d\n  - path: {OURS}\n    strategy: override\n");
    assert_eq!(adopted(&wanted, "0.41.0").unwrap(), moved);
}

#[test]
fn an_entry_elsewhere_is_moved() {
    let text =
        format!("# a\nconfig_files:\n  # ours\n  - path: {OURS}\n    strategy: override\n  - /c.d # x\n# end\nb: 1\n");
    assert_eq!(adoption(&text, &ours(), None), Adoption::NotLast);
    let after = adopted(&text, "").unwrap();
    assert_eq!(adoption(&after, &ours(), None), Adoption::Adopted);
    assert_eq!(after.matches(OURS).count(), 1);
    assert!(
        after.contains("  - /c.d # x\n") && after.contains("  # ours\n") && after.ends_with("# end\nb: 1\n"),
        "{after}"
    );

    let twice = format!("config_files: ['{OURS}', {{path: {OURS}, strategy: override}}, /c.d]\n");
    assert_eq!(adoption(&twice, &ours(), None), Adoption::NotLast);
    assert_eq!(adopted(&twice, "").unwrap().matches(OURS).count(), 1);
}

#[test]
fn how_a_file_stands() {
    for (text, wanted) in [
        ("b: 1\n", Adoption::Absent),
        ("config_files: [{path: //var/lib/falconer/./current/falconer.yaml, strategy: override}]\n", Adoption::Adopted),
        ("config_files: [{path: /var/lib/falconer/current/falconer.yaml}]\n", Adoption::WrongStrategy),
    ] {
        assert_eq!(adoption(text, &ours(), None), wanted, "{text}");
    }
    assert!(matches!(adoption("a: [\n", &ours(), None), Adoption::Unreadable(_)));
}

#[test]
fn what_is_refused() {
    for (text, reason) in [
        ("a: 1\nb: {c: 1, c: 2}\n", "line 2: the key `b.c` is there twice"),
        ("a: &x 1\nb: *x\n", "the file has aliases, which an edit may break"),
        ("a: 1\n---\nb: 1\n", "the file has more than one YAML document"),
        ("rules_file: [/a]\n", "the file sets rules_file, which cannot stand beside the rules_files of the include"),
        ("config_files: /c.d\n", "config_files is not a list"),
        ("config_files: {a: 1}\n", "config_files is not a list"),
        ("config_files: [[a]]\n", "an entry of config_files is not a path that this Falco understands"),
        ("a: [\n", "falco.yaml:2:1: while parsing a node, did not find expected node content"),
        ("  a: 1\n", "an entry cannot be added to config_files without changing something else"),
        ("{a: 1}\n", "an entry cannot be added to config_files without changing something else"),
        ("a: 1\n...\n", "an entry cannot be added to config_files without changing something else"),
    ] {
        let error = adopted(text, "").unwrap_err();
        assert_eq!(error.to_string(), reason, "{text}");
        assert!(!error.hint().is_empty());
    }
}

#[test]
fn a_candidate_takes_the_place() {
    let next = AbsolutePath::parse("/var/lib/falconer/generations/7/falconer.yaml").unwrap();
    let text = adopted("config_files:\n  - /c.d\nb: 1 # x\n", "").unwrap();
    let candidate = with_include_replaced(&text, &ours(), &next, None).unwrap();
    assert_eq!(candidate, text.replace(OURS, next.as_str()));
    assert_eq!(with_include_replaced(&candidate, &ours(), &next, None).unwrap(), candidate);
    let fresh = with_include_replaced("b: 1\n", &ours(), &next, None).unwrap();
    assert_eq!(adoption(&fresh, &next, None), Adoption::Adopted);
}

/// A falco.yaml as people write them: comments and blank lines anywhere, lists at either indentation, flow or block.
fn falco_yaml() -> impl proptest::strategy::Strategy<Value = String> {
    let filler = prop_oneof![Just(""), Just("\n"), Just("# note: [x\n"), Just("#\n\n"), Just("  # - path: y\n")];
    let section = prop_oneof![
        Just("priority: debug\n"),
        Just("webserver:\n  enabled: true # on\n  listen_port: 8765\n"),
        Just("text: |\n  - not\n  - a list\n"),
        Just("plugins: [{name: a, library_path: b.so}]\n"),
        Just("rules_files:\n  - /a.yaml\n  - /b.yaml\n"),
    ];
    let item = prop_oneof![
        Just("/etc/falco/config.d"),
        Just("'/quoted path'"),
        Just("{path: /x, strategy: add-only}"),
        Just("path: /y\n@  strategy: append"),
    ];
    let list = (prop::collection::vec(item, 0..4), 0_usize..5, any::<bool>()).prop_map(|(items, indent, flow)| {
        let flat = flow || items.is_empty();
        if flat {
            let items: Vec<_> = items.into_iter().filter(|item| !item.contains('@')).collect();
            return format!("config_files: [{}]\n", items.join(", "));
        }
        let pad = " ".repeat(indent);
        items
            .iter()
            .fold(String::from("config_files:\n"), |text, item| format!("{text}{pad}- {}\n", item.replace('@', &pad)))
    });
    (
        prop::collection::vec((filler.clone(), section), 0..5),
        prop::option::of(list),
        any::<prop::sample::Index>(),
        filler,
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(sections, list, at, last, crlf, newline)| {
            let mut pieces: Vec<String> = Vec::new();
            for (filler, section) in sections {
                if !pieces.iter().any(|piece| piece == section) {
                    pieces.extend([filler.into(), section.into()]);
                }
            }
            if let Some(list) = list {
                pieces.insert(at.index(pieces.len() + 1), list);
            }
            let mut text = pieces.concat() + last;
            if !newline {
                text.truncate(text.trim_end().len());
            }
            if crlf { text.replace('\n', "\r\n") } else { text }
        })
}

proptest! {
    #[test]
    fn only_the_entry_is_added_and_only_once(text in falco_yaml()) {
        let after = adopted(&text, "0.44.1").unwrap();
        prop_assert!(is_insertion(&text, &after));
        prop_assert_eq!(comments(&text), comments(&after));
        prop_assert_eq!(adopt(&after, &ours(), None).unwrap(), Adopted::Unchanged);
        if text.contains("\r\n") {
            prop_assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
        }
    }

    #[test]
    fn a_candidate_of_any_file_is_adopted(text in falco_yaml()) {
        let next = AbsolutePath::parse("/next.yaml").unwrap();
        let candidate = with_include_replaced(&adopted(&text, "0.44.1").unwrap(), &ours(), &next, None).unwrap();
        prop_assert_eq!(adoption(&candidate, &next, None), Adoption::Adopted);
        prop_assert_eq!(adoption(&candidate, &ours(), None), Adoption::Absent);
        prop_assert_eq!(comments(&text), comments(&candidate));
    }
}
