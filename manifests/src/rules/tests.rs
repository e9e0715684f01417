use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

const WHOLE: &str = r#"
- required_engine_version: 0.57.0
- required_plugin_versions:
  - name: container
    version: 0.4.0
    alternatives: [{name: other, version: 1.2.3}]
- required_engine_version: 26
- list: shells
  items: [bash, "", 5]
- macro: spawned
  condition: evt.type = execve
- rule: Shell
  desc: >
    A shell
  condition: spawned and proc.name in (shells)
  output: A shell %proc.name
  priority: notice
  source: syscall
  enabled: Yes
  tags: [shell]
  exceptions:
    - {name: a, fields: [proc.name, fd.name], comps: [=, in], values: [[cat, [/a, /b]], []]}
    - {name: b, fields: proc.name, comps: in, values: [a, b]}
    - {name: c, fields: [proc.name]}
- rule: Shell
  enabled: false
- rule: Shell
  append: true
  condition: and not never
- rule: Shell
  condition: and not never
  exceptions: [{name: a, values: [[x, y]]}]
  priority: ERROR
  capture: true
  override: {condition: append, exceptions: append, priority: replace, capture: replace}
- list: shells
  items: [zsh]
  override: {items: append}
- macro: spawned
  condition: or never
  append: on
"#;

#[test]
fn a_whole_file() {
    let summary = check("a.yaml", WHOLE).unwrap_or_else(|findings| panic!("{findings}"));
    assert_eq!((summary.rules, summary.macros, summary.lists), (1, 1, 1));
    assert_eq!(summary.required_engine_version.map(|version| version.to_string()).as_deref(), Some("0.57.0"));
    let [container] = summary.required_plugin_versions.as_slice() else { panic!() };
    assert_eq!((container.name.as_str(), container.version.as_str()), ("container", "0.4.0"));
    assert_eq!(container.alternatives[0].name, "other");
    assert_eq!(summary.warnings, []);
    let old = check("a", "- required_engine_version: 26\n").unwrap();
    assert_eq!(old.required_engine_version, Some(Version::new(0, 26, 0)));
}

/// What Falco takes, if with a warning.
#[test]
fn never_refused() {
    for text in [
        "",
        "# only a comment\n",
        "---\n---\n- list: a\n  items: []\n...\n",
        "\u{feff}- list: a\r\n  items:\r\n  - b\r\n",
        "- \n- ~\n- list: a\n  items: []\n",
        "- list: &a x\n  items: &b [1]\n- list: *a\n  items: *b\n",
        "- list: a\n  items: [\n  b\n]\n",
        "- list: 'has space'\n  items: []\n",
        "- macro: has-dash\n  condition: a\n",
        "- rule: x\n  enabled: OFF\n",
        "- rule: x\n  append: true\n",
        "- rule: x\n  append: true\n  output: [ignored]\n",
        "- {rule: x, desc: d, condition: c, output: o, priority: INFO, exceptions: , capture: maybe, other: {}}\n",
        "- {rule: x, desc: d, condition: c, output: o, priority: debug, override: replace}\n",
        "- {rule: x, desc: d, condition: c, output: o, priority: debug, override: []}\n",
        "- {rule: x, tags: [], override: {tags: replace}}\n",
        "- {rule: x, condition: and a, source: syscall, append: false, override: {condition: append}}\n",
        "- {rule: x, exceptions: [{name: e}], override: {exceptions: append}}\n",
        "- {rule: x, desc: d, condition: c, output: o, priority: debug, exceptions: [{name: e, fields: [a], comps: []}]}\n",
        "- {rule: x, desc: d, condition: c, output: o, priority: debug, exceptions: [{name: e, fields: a, values: [~, {}]}]}\n",
        "- required_engine_version: '26'\n- required_engine_version: 0.57.0-rc1\n",
        "- required_plugin_versions: []\n",
        "- required_plugin_versions: [{name: a, version: 1.0.0, other: 1}]\n",
        "- {? [a] : b, list: x, items: []}\n",
        "- list: a\n  items: &b []\n- <<: *b\n  rule: y\n",
    ] {
        if let Err(findings) = check("a", text) {
            panic!("{text}\n{findings}");
        }
    }
}

#[test]
fn warnings() {
    let text = "- plugin: x\n- list: a\n  items: []\n  items: [b]\n- {}\n";
    let warnings = check("a", text).unwrap().warnings;
    let lines: Vec<(usize, &str)> = warnings.iter().map(|w| (w.location.line, w.message.as_str())).collect();
    assert_eq!(
        lines,
        [
            (1, "Falco does not know the item `plugin` and passes it over"),
            (4, "the key `items` stands twice, first in line 3"),
            (5, "Falco does not know an item without keys and passes it over"),
        ]
    );
}

fn refused(text: &str) -> Vec<String> {
    let findings = check("a", text).expect_err(text);
    let line = |finding: &Finding| {
        assert!(!finding.hint.is_empty(), "{finding}");
        format!("{}:{}: {}", finding.location.line, finding.location.column, finding.message)
    };
    findings.as_slice().iter().map(line).collect()
}

#[test]
fn findings_about_items() {
    for (text, expected) in [
        ("a: 1", "1:1: expected a list of rules, macros and lists, found a map"),
        ("text", "1:1: expected a list of rules, macros and lists, found `text`"),
        ("- a", "1:3: expected an item as a map, found `a`"),
        ("- rule: [", "2:1: not well-formed YAML"),
        ("- list: a", "1:3: list `a` has no `items`"),
        ("- {list: a, items: b}", "1:20: expected `items` of list `a` as a list, found `b`"),
        ("- {list: a, items: [b, ~]}", "1:24: expected text in `items` of list `a`, found nothing"),
        ("- {list: a, items: [[b]]}", "1:21: expected text in `items` of list `a`, found a list"),
        ("- {list: , items: []}", "1:8: list: its name is empty"),
        ("- {list: [a], items: []}", "1:10: expected text for its name of list, found a list"),
        ("- {list: a, items: [], append: maybe}", "1:32: list `a`: `append` is neither true nor false but `maybe`"),
        ("- {list: a, items: [], override: {name: append}}", "1:35: list `a`: `name` cannot be appended to"),
        (
            "- {list: a, items: [], append: true, override: {items: append}}",
            "1:32: list `a` has both `append: true` and `override`",
        ),
        ("- macro: a", "1:3: macro `a` has no `condition`"),
        ("- {macro: a, condition: ''}", "1:25: macro `a`: `condition` is empty"),
        ("- {macro: a, condition: [b]}", "1:25: expected text for `condition` of macro `a`, found a list"),
        (
            "- required_engine_version: 0.31",
            "1:28: the engine version `0.31` is neither a number nor of the form x.y.z",
        ),
        (
            "- required_engine_version: v0.31.0",
            "1:28: the engine version `v0.31.0` is neither a number nor of the form x.y.z",
        ),
        ("- required_engine_version:", "1:26: the item: `required_engine_version` is empty"),
        ("- required_plugin_versions: a", "1:29: expected `required_plugin_versions` as a list, found `a`"),
        ("- required_plugin_versions: [a]", "1:30: expected a required plugin as a map, found `a`"),
        ("- required_plugin_versions: [{name: a}]", "1:30: a required plugin has no `version`"),
        (
            "- required_plugin_versions: [{name: a, version: '1'}]",
            "1:49: the plugin version `1` is not of the form x.y.z",
        ),
        (
            "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: b}]",
            "1:70: expected `alternatives` as a list, found `b`",
        ),
        (
            "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [{name: a, version: 1.0.0}]}]",
            "1:71: the plugin `a` is required twice in one entry",
        ),
    ] {
        let found = refused(text);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{text}: {found:?}");
    }
}

#[test]
fn findings_about_rules() {
    for (text, expected) in [
        ("desc: d, condition: c, output: o", "1:3: rule `x` has no `priority`"),
        ("desc: d, condition: c, priority: Debug", "1:3: rule `x` has no `output`"),
        ("other: 1", "1:3: rule `x` has no `condition`"),
        ("enabled: ", "1:20: rule `x`: `enabled` is empty"),
        ("desc: d, condition: c, output: o, priority: Wanring", "1:57: rule `x`: `Wanring` is not a priority"),
        ("desc: d, condition: c, output: o, priority: ~", "1:57: rule `x`: `priority` is empty"),
        (
            "desc: {}, condition: c, output: o, priority: Debug",
            "1:19: expected text for `desc` of rule `x`, found a map",
        ),
        (
            "desc: d, condition: c, output: o, priority: Debug, tags: t",
            "1:70: expected `tags` of rule `x` as a list, found `t`",
        ),
        (
            "desc: d, condition: c, output: o, priority: Debug, enabled: 1",
            "1:73: rule `x`: `enabled` is neither true nor false but `1`",
        ),
        ("desc: d, condition: c, output: o, priority: Debug, source: ''", "1:72: rule `x`: `source` is empty"),
        ("append: true, condition: ''", "1:38: rule `x`: `condition` is empty"),
        (
            "append: true, condition: c, override: {condition: append}",
            "1:21: rule `x` has both `append: true` and `override`",
        ),
        ("override: {condition: append}", "1:24: rule `x` overrides `condition`, but does not give it"),
        ("override: {priority: append}, enabled: true", "1:24: rule `x`: `priority` cannot be appended to"),
        ("override: {source: replace}, enabled: true", "1:24: rule `x`: `source` cannot be replaced"),
        (
            "override: {condition: add}, condition: c",
            "1:35: expected append or replace for `condition` of rule `x`, found `add`",
        ),
        ("override: [condition], enabled: true", "1:23: expected `override` of rule `x` as a map, found a list"),
        (
            "override: {condition: append}, condition: c, output: o",
            "1:66: rule `x` gives `output`, which is not under `override`",
        ),
        ("override: {priority: replace}, priority: high", "1:54: rule `x`: `high` is not a priority"),
        ("override: {exceptions: append}, exceptions: [{}]", "1:58: an exception of rule `x` has no `name`"),
    ] {
        let text = format!("- {{rule: x, {text}}}");
        let found = refused(&text);
        assert_eq!(found, [expected], "{text}");
    }
    assert_eq!(refused("- rule: x\n  output: o\n- macro: y\n").len(), 4, "all in one go");
}

#[test]
fn findings_about_exceptions() {
    for (text, expected) in [
        ("a", "expected `exceptions` of rule `x` as a list, found `a`"),
        ("[a]", "expected an exception of rule `x` as a map, found `a`"),
        ("[{fields: [a]}]", "an exception of rule `x` has no `name`"),
        ("[{name: e}]", "exception `e` of rule `x` has no `fields`"),
        ("[{name: e, fields: []}]", "exception `e` of rule `x` has no `fields`"),
        ("[{name: e, fields: [a]}, {name: e, fields: [b]}]", "rule `x` has two exceptions named `e`"),
        ("[{name: e, fields: [a, b], comps: [in]}]", "exception `e` of rule `x` has 2 fields and 1 comps"),
        (
            "[{name: e, fields: [a], comps: in}]",
            "exception `e` of rule `x`: of `fields` and `comps` one is a list, the other is not",
        ),
        (
            "[{name: e, fields: a, comps: [in]}]",
            "exception `e` of rule `x`: of `fields` and `comps` one is a list, the other is not",
        ),
        ("[{name: e, fields: a, values: }]", "expected `values` of exception `e` of rule `x` as a list, found nothing"),
        ("[{name: e, fields: [a], values: [['']]}]", "exception `e` of rule `x`: empty text in `values`"),
    ] {
        let text = format!("- {{rule: x, desc: d, condition: c, output: o, priority: Debug, exceptions: {text}}}");
        let found = refused(&text);
        assert!(found.len() == 1 && found[0].starts_with("1:") && found[0].ends_with(expected), "{text}: {found:?}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_check_panic(
        text in "((rule|list|macro|override|exceptions|items|required_engine_version)?[-:{}\\[\\], \n1a.'\"&*]{0,4}){0,14}"
    ) {
        let _ = check("a", &text);
    }
}
