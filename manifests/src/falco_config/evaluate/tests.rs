use serde_json::json;

use super::*;

fn path(text: &str) -> AbsolutePath {
    AbsolutePath::parse(text).unwrap()
}

fn merged(main: &str, version: &str, includes: &[(&str, IncludeEntry)]) -> Result<Evaluated, EvaluateError> {
    let includes = includes.iter().map(|(at, entry)| (path(at), entry.clone())).collect();
    let version = FalcoVersion::parse(version);
    let main_path = path("/etc/falco/falco.yaml");
    let ours = path("/ours.yaml");
    evaluate(&Sources {
        path: &main_path,
        text: main,
        version: version.as_ref(),
        includes: &includes,
        exclude: Some(&ours),
    })
}

fn file(text: &str) -> IncludeEntry {
    IncludeEntry::File(text.into())
}

#[test]
fn strategies_from_0_41() {
    let extra = || file("list: [b]\nmap: {y: 2}\nscalar: 2\nnew: 1\n");
    for (strategy, wanted) in [
        ("", json!({"list": ["a", "b"], "map": {"y": 2}, "scalar": 2, "new": 1})),
        (", strategy: append", json!({"list": ["a", "b"], "map": {"y": 2}, "scalar": 2, "new": 1})),
        (", strategy: nonsense", json!({"list": ["a", "b"], "map": {"y": 2}, "scalar": 2, "new": 1})),
        (", strategy: override", json!({"list": ["b"], "map": {"y": 2}, "scalar": 2, "new": 1})),
        (", strategy: add-only", json!({"list": ["a"], "map": {"x": 1}, "scalar": 1, "new": 1})),
    ] {
        let main = std::format!("list: [a]\nmap: {{x: 1}}\nscalar: 1\nconfig_files: [{{path: /i.yaml{strategy}}}]\n");
        let mut evaluated = merged(&main, "0.41.0", &[("/i.yaml", extra())]).unwrap();
        evaluated.settings.remove("config_files");
        assert_eq!(Value::Object(evaluated.settings), wanted, "{strategy}");
        assert_eq!(evaluated.notes.len(), usize::from(strategy.contains("nonsense")));
    }
}

#[test]
fn an_empty_list_appends_nothing() {
    let main = "scalar: 1\nnothing: ~\nlist: [a]\nconfig_files: [{path: /i.yaml}]\n";
    let extra = file("scalar: []\nnothing: []\nlist: []\nload_plugins: []\n");
    let mut evaluated = merged(main, "0.44.1", &[("/i.yaml", extra)]).unwrap();
    evaluated.settings.remove("config_files");
    assert_eq!(Value::Object(evaluated.settings), json!({"scalar": 1, "nothing": null, "list": ["a"]}));
    assert_eq!(evaluated.origins.get("load_plugins"), None);
}

#[test]
fn releases_differ() {
    let main = "list: [a]\nconfig_files: [/i.yaml]\n";
    for (version, wanted) in [
        ("0.37.1", json!(["a"])),
        ("0.38.0", json!(["b"])),
        ("0.40.0", json!(["b"])),
        ("0.41.0", json!(["a", "b"])),
        ("", json!(["a", "b"])),
    ] {
        let evaluated = merged(main, version, &[("/i.yaml", file("list: [b]\n"))]).unwrap();
        assert_eq!(evaluated.settings["list"], wanted, "{version}");
    }
    let main = "config_files: [{path: /i.yaml}]\n";
    assert_eq!(merged(main, "0.40.0", &[]).unwrap_err(), EvaluateError::BadInclude);
}

#[test]
fn directories_order_origins_and_our_own_include() {
    let directory =
        IncludeEntry::Directory(vec![("b".into(), "x: b\ny: [b]\n".into()), (".a".into(), "x: a\ny: [a]\n".into())]);
    let main = "y: [m]\nconfig_files:\n  - /etc/falco/config.d/\n  - /gone\n  - ${HOME}/x\n  - {path: /ours.yaml, strategy: override}\n";
    let evaluated =
        merged(main, "0.44.1", &[("/etc/falco/config.d", directory), ("/ours.yaml", file("x: ours\n"))]).unwrap();
    assert_eq!((&evaluated.settings["x"], &evaluated.settings["y"]), (&json!("b"), &json!(["m", "a", "b"])));
    assert_eq!(evaluated.origins["x"], [path("/etc/falco/config.d/b")]);
    assert_eq!(
        evaluated.origins["y"],
        [path("/etc/falco/falco.yaml"), path("/etc/falco/config.d/.a"), path("/etc/falco/config.d/b")]
    );
    assert_eq!(evaluated.files.len(), 3);
    let wanted = [Note::Missing { include: "/gone".into() }, Note::Variable { include: "${HOME}/x".into() }];
    assert_eq!(evaluated.notes, wanted);
}

#[test]
fn equal_keys_in_the_main_file_and_in_an_include() {
    let evaluated =
        merged("a: 1\na: 2\nconfig_files: /i\n", "0.44.1", &[("/i", file("b: 1\nb: 2\nl: [1]\nl: [2]\n---\nc: 1\n"))])
            .unwrap();
    assert_eq!(evaluated.settings["a"], json!(1));
    assert_eq!((&evaluated.settings["b"], &evaluated.settings["l"]), (&json!(2), &json!([1, 2])));
    assert!(!evaluated.settings.contains_key("c"));
    let notes: Vec<_> = evaluated.notes.iter().map(std::string::ToString::to_string).collect();
    assert_eq!(
        notes,
        [
            "/etc/falco/falco.yaml:2: the key `a` is there twice",
            "/i:2: the key `b` is there twice",
            "/i:4: the key `l` is there twice",
            "/i: only the first YAML document is read"
        ]
    );
}

#[test]
fn what_falco_does_not_start_with() {
    let error = |main: &str, include: &str| merged(main, "0.44.1", &[("/i", file(include))]).unwrap_err().to_string();
    assert_eq!(error("config_files: [/i]\n", "config_files: []\n"), "/i is included and has config_files itself");
    assert_eq!(error("config_files: [/etc/falco/falco.yaml]\n", ""), "/etc/falco/falco.yaml includes itself");
    assert_eq!(error("config_files: [/i]\na: 1\n", "a: [1]\n"), "/i appends a list to `a`, which is no list");
    assert_eq!(
        error("config_files: [[/i]]\n", ""),
        "an entry of config_files is not a path that this Falco understands"
    );
    assert_eq!(
        error("config_files: [/i]\nrules_file: [a]\n", "rules_files: [a]"),
        "both rules_files and rules_file are set"
    );
    assert!(error("config_files: [/i]\n", "a: [\n").starts_with("/i:2:1: "));
    assert!(merged("config_files: [/i]\n", "0.44.1", &[("/i", file(""))]).is_ok());
}

#[test]
fn rules_files_under_both_names() {
    let rules = |main: &str, version: &str| merged(main, version, &[]).unwrap().rules_files();
    assert_eq!(rules("rules_files: [a, b]\n", "0.44.1"), ["a", "b"]);
    assert_eq!(rules("rules_files: a\n", "0.44.1"), ["a"]);
    assert_eq!(rules("rules_file: [a]\n", "0.36.2"), ["a"]);
    assert!(rules("b: 1\n", "0.44.1").is_empty());
    let note = Note::DeprecatedRulesFile { file: path("/etc/falco/falco.yaml") };
    assert_eq!(merged("rules_file: [a]\n", "0.44.1", &[]).unwrap().notes, [note]);
}

#[test]
fn paths_to_read() {
    let main = "config_files: [/a/, {path: b/c}, '${X}/y']\n";
    let found = included_paths(&path("/etc/falco/falco.yaml"), main, None).unwrap();
    assert_eq!(found, [path("/a"), path("/b/c")]);
}
