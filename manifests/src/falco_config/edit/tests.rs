use std::string::ToString as _;

use proptest::prelude::*;
use serde_json::json;

use super::super::IncludeEntry;
use super::*;

const STOCK: [(&str, &str); 6] = [
    ("0.32.2", include_str!("../../../../fixtures/falco-yaml/0.32.yaml")),
    ("0.36.2", include_str!("../../../../fixtures/falco-yaml/0.36.yaml")),
    ("0.38.2", include_str!("../../../../fixtures/falco-yaml/0.38.yaml")),
    ("0.40.0", include_str!("../../../../fixtures/falco-yaml/0.40.yaml")),
    ("0.41.3", include_str!("../../../../fixtures/falco-yaml/0.41.yaml")),
    ("0.44.1", include_str!("../../../../fixtures/falco-yaml/0.44.yaml")),
];

fn include(generation: u32) -> Include {
    let settings = json!({
        "priority": "warning",
        "webserver": {"enabled": true, "listen_port": 8765, "prometheus_metrics_enabled": true},
        "metrics": {"enabled": true, "interval": "1h"},
    });
    Include {
        rules_files: vec![
            format!("/var/lib/falconer/generations/{generation}/rules/10-acme.yaml"),
            "/etc/falco/falco_rules.local.yaml".into(),
        ],
        settings: settings.as_object().unwrap().clone().into_iter().collect(),
    }
}

fn edited_with(
    text: &str,
    version: &str,
    include: &Include,
    includes: &[(&str, IncludeEntry)],
) -> Result<String, EditError> {
    let path = AbsolutePath::parse("/etc/falco/falco.yaml").unwrap();
    let includes = includes.iter().map(|(path, entry)| (AbsolutePath::parse(path).unwrap(), entry.clone())).collect();
    let version = FalcoVersion::parse(version);
    with_keys(&Sources { path: &path, text, version: version.as_ref(), includes: &includes, exclude: None }, include)
}

fn edited(text: &str, include: &Include) -> Result<String, EditError> {
    edited_with(text, "0.44.1", include, &[])
}

fn settings(text: &str) -> Map<String, Value> {
    Document::parse("falco.yaml", text).unwrap().settings()
}

fn rules(paths: &[&str]) -> Include {
    Include { rules_files: paths.iter().map(ToString::to_string).collect(), settings: BTreeMap::new() }
}

#[test]
fn every_release_gets_its_key_and_its_owner_gets_everything_back() {
    for (version, text) in STOCK {
        let first = edited_with(text, version, &include(1), &[]).unwrap();
        let after = settings(&first);
        let key = if version < "0.38" { "rules_file" } else { "rules_files" };
        let other = if version < "0.38" { "rules_files" } else { "rules_file" };
        assert_eq!(after[key], json!(include(1).rules_files), "{version}");
        assert!(!after.contains_key(other), "{version}");
        for (name, value) in include(1).settings {
            assert_eq!(after[&name], value, "{version}");
        }
        for (name, value) in settings(text) {
            assert!(
                include(1).settings.contains_key(&name) || name == key || after[&name] == value,
                "{version} {name}"
            );
        }
        for line in text.lines() {
            assert!(first.lines().any(|other| other == line || other.strip_prefix("#| ") == Some(line)), "{line}");
        }
        let second = edited_with(&first, version, &include(2), &[]).unwrap();
        assert_eq!(second, first.replace("generations/1/", "generations/2/"), "{version}");
        assert_eq!(owner_text("falco.yaml", &second).unwrap(), text, "{version}");
    }
}

#[test]
fn the_owners_own_edits_stay() {
    let text = "a: 1\nrules_files: [/x]\nb: 2\n";
    let ours = edited(text, &rules(&["/r"])).unwrap();
    let changed = format!("# hello\n{}c: 3\n", ours.replace("b: 2", "b: 4"));
    assert_eq!(edited(&changed, &rules(&["/r"])).unwrap(), changed, "and are not astray");
    assert_eq!(owner_text("f", &changed).unwrap(), "# hello\na: 1\nrules_files: [/x]\nb: 4\nc: 3\n");
    let tampered = changed.replace("- \"/r\"", "- /evil");
    assert_eq!(edited(&tampered, &rules(&["/r"])).unwrap(), changed);
}

#[test]
fn shapes_of_a_key_and_of_the_file() {
    let block = |owner: &str, path: &str| {
        format!(
            "# >>> falconer: rules_files\n{}\n{owner}rules_files:\n  - \"{path}\"\n# <<< falconer: rules_files",
            "# Set by falconer. The owner's own lines stand after \"#|\"; `falconer eject` knows them."
        )
    };
    for (before, after) in [
        ("", format!("{}\n", block("", "/r"))),
        ("# x", format!("# x\n{}", block("", "/r"))),
        ("a: 1", format!("a: 1\n{}", block("", "/r"))),
        ("rules_files:", block("#| rules_files:\n", "/r")),
        (
            "rules_files: [\n  /a,\n ]\n# c\nb: 1\n",
            format!("{}\n# c\nb: 1\n", block("#| rules_files: [\n#|   /a,\n#|  ]\n", "/r")),
        ),
        ("rules_files: /a # c\n\n", format!("{}\n\n", block("#| rules_files: /a # c\n", "/r"))),
        (
            "rules_files:\n- /a\n\n- /b\n  # - /c\n\n# next\nb: 1\n",
            format!("{}\n\n# next\nb: 1\n", block("#| rules_files:\n#| - /a\n#|\n#| - /b\n#|   # - /c\n", "/r")),
        ),
        (
            "---\n\"rules_files\" : [\t/a]\n...\n",
            format!("---\n{}\n...\n", block("#| \"rules_files\" : [\t/a]\n", "/r")),
        ),
        ("a: 1\n...\n# end\n", format!("a: 1\n{}\n...\n# end\n", block("", "/r"))),
        ("\u{feff}rules_files: []\n", format!("\u{feff}{}\n", block("#| rules_files: []\n", "/r"))),
    ] {
        let done = edited(before, &rules(&["/r"]));
        assert_eq!(done.as_deref(), Ok(after.as_str()), "{before:?}");
        assert_eq!(owner_text("f", &after).unwrap(), before);
        let crlf = before.replace('\n', "\r\n");
        let done = edited(&crlf, &rules(&["/r"])).unwrap();
        assert_eq!(owner_text("f", &done).unwrap(), crlf, "{before:?}");
        assert!(!crlf.contains('\n') || !done.replace("\r\n", "").contains(['\r', '\n']), "{done:?}");
    }
}

#[test]
fn what_is_refused_and_where() {
    for (text, wanted) in [
        (
            "a: 1\nrules_files: []\nrules_files: []\n",
            "f:3:1: the key `rules_files` is there twice; Falco uses the first",
        ),
        ("a: &x 1\nrules_files: [*x]\n", "f:2:15: an anchor or an alias is in a key that is to be set"),
        ("rules_files: &x [/a]\nb: *x\n", "f:1:14: an anchor or an alias is in a key that is to be set"),
        ("{rules_files: [/a]}\n", "f:1:1: the whole file is one flow map"),
        ("  rules_files: [/a]\n", "f:1:3: a top-level key does not stand at the start of its line"),
        ("? rules_files\n: [/a]\n", "f:1:3: a top-level key does not stand at the start of its line"),
        ("a: 1\n---\nb: 1\n", "f:2:1: a second YAML document begins here, which Falco does not read"),
        ("a: 1\r# c\rb: 1\n", "f:1:1: a line ends in a carriage return alone"),
        ("a:\n\t- b\n", "f:2:2: tabs"),
        ("- a\n", "f:1:1: the document is not a map"),
        ("# >>> falconer: a\na: 1\n", "f:1:1: a block of falconer begins and does not end"),
        ("# <<< falconer: a\n", "f:1:1: a block of falconer ends that did not begin"),
        ("# >>> falconer: a\n# >>> falconer: b\n", "f:2:1: a block of falconer begins inside another"),
        ("# >>> falconer: a\n# <<< falconer: b\n", "f:2:1: a block of falconer ends under another name"),
        (
            "# >>> falconer: ab\nab: 1\nmine: 2\n# <<< falconer: ab\n",
            "f:1:1: the block of falconer for ab also holds `mine`; move that out of the block",
        ),
    ] {
        let error = edited(text, &rules(&["/r"])).unwrap_err().to_string();
        let error = error.replace("/etc/falco/falco.yaml", "f");
        assert!(error.starts_with(wanted), "{text:?}: {error}");
    }
    assert!(matches!(edited("", &rules(&["/${HOME}/r"])), Err(EditError::Variable { .. })));
    // What is in keys that are not touched is the owner's.
    let others = "a: &x 1\nb: [*x]\nb: 2\n";
    assert_eq!(owner_text("f", &edited(others, &rules(&["/r"])).unwrap()).unwrap(), others);
}

#[test]
fn both_names_of_the_list() {
    let old = "a: 1\nrules_file: [/a]\n";
    let ours = edited(old, &rules(&["/r"])).unwrap();
    assert_eq!(Value::Object(settings(&ours)), json!({"a": 1, "rules_files": ["/r"]}));
    assert_eq!(owner_text("f", &ours).unwrap(), old);
    let before = edited_with(old, "0.37.1", &rules(&["/r"]), &[]).unwrap();
    assert_eq!(Value::Object(settings(&before)), json!({"a": 1, "rules_file": ["/r"]}));
}

#[test]
fn what_packages_include_is_not_registered_twice() {
    let directory = |text: &str| {
        ("/etc/falco/config.d", IncludeEntry::Directory(vec![("falco.container_plugin.yaml".into(), text.into())]))
    };
    let main = "config_files: [/etc/falco/config.d]\nrules_files: []\nload_plugins: []\nplugins: []\n";
    let stock = "load_plugins: [container]\nplugins:\n  - {name: container, library_path: libcontainer.so}\n";
    let ours = |plugins: Value, load: Value| {
        let settings = BTreeMap::from([("plugins".into(), plugins), ("load_plugins".into(), load)]);
        Include { settings, ..rules(&["/r"]) }
    };
    let json_plugin = json!({"name": "json", "library_path": "/p/libjson.so"});
    let with_json = ours(
        json!([{"name": "container", "library_path": "libcontainer.so"}, json_plugin]),
        json!(["container", "json"]),
    );
    let done = edited_with(main, "0.44.1", &with_json, &[directory(stock)]).unwrap();
    assert_eq!(
        (&settings(&done)["plugins"], &settings(&done)["load_plugins"]),
        (&json!([json_plugin]), &json!(["json"]))
    );

    let newer = json!({"name": "container", "library_path": "/p/libcontainer.so"});
    let done = edited_with(main, "0.44.1", &ours(json!([newer]), json!(["container"])), &[directory(stock)]).unwrap();
    assert_eq!((&settings(&done)["plugins"], &settings(&done)["load_plugins"]), (&json!([newer]), &json!([])));

    let error = edited_with(main, "0.40.0", &with_json, &[directory(stock)]).unwrap_err().to_string();
    assert!(error.contains("falco.container_plugin.yaml is included") && error.contains("after it"), "{error}");
    let error = edited_with(main, "0.44.1", &rules(&["/r"]), &[directory("rules_files: [/x]\n")]).unwrap_err();
    assert!(matches!(error, EditError::Shadowed { key, .. } if key == "rules_files"));
}

#[test]
fn plain_keys_for_the_time_after() {
    let path = AbsolutePath::parse("/etc/falco/falco.yaml").unwrap();
    let text = edited("rules_files: [/a]\nb: 1\n", &rules(&["/r"])).unwrap();
    let sources = Sources { path: &path, text: &text, version: None, includes: &BTreeMap::new(), exclude: None };
    let plain = with_plain_keys(&sources, &rules(&["/x"])).unwrap();
    let wanted = "# As falconer left it. What stood here before falconer, if anything:\n# rules_files: [/a]\nrules_files:\n  - \"/x\"\nb: 1\n";
    assert_eq!(plain, wanted);
}

fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("a: 1"),
        Just("b:"),
        Just("  - x"),
        Just("  c: [1, 2]"),
        Just("rules_files:"),
        Just("- /x"),
        Just("# note"),
        Just("  # inner"),
        Just(""),
        Just("priority: debug"),
        Just("text: |"),
        Just("  # no comment"),
        Just("..."),
        Just("rules_files: [/a]"),
        Just("webserver: {enabled: true}"),
        Just("x: &a 1"),
        Just("y: *a"),
        Just(" "),
        Just("#|"),
        Just("\t"),
        Just("m: \"p"),
        Just("  q\""),
    ];
    let end = prop_oneof![Just("\n"), Just("\r\n")];
    (prop::collection::vec(line, 0..12), end, any::<bool>()).prop_map(|(lines, end, last)| {
        let text = lines.join(end);
        if last { text + end } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn only_the_keys_change_or_nothing_does(text in lines()) {
        if let Ok(done) = edited(&text, &include(1)) {
            let mut wanted = settings(&text);
            wanted.extend(include(1).settings);
            wanted.insert("rules_files".into(), json!(include(1).rules_files));
            prop_assert_eq!(settings(&done), wanted);
            prop_assert_eq!(owner_text("f", &done).unwrap(), text);
            let again = edited(&done, &include(1)).unwrap();
            prop_assert_eq!(again, done);
        }
    }
}
