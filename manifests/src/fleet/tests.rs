mod windows;

use alloc::string::ToString;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::reference::Tag;

const FULL: &str = r#"# every host
version: 1
indexes:
  - {name: falcosecurity, url: "https://falcosecurity.github.io/falcoctl/index.yaml"}
  - {name: local, url: file:///srv/index.yaml}
artifacts:
  falco-rules: "5"
  five: 5.10
  custom-rules: {ref: ghcr.io/acme/falco/custom-rules, version: "~1.4"}
  more-rules: ghcr.io/acme/falco/more-rules
  pinned: oci:layout:1.0.0
  by-map: {version: ">=1, <2"}
  by-digest: ghcr.io/a/b:1@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
rules_files:
  - artifact: falco-rules
  - host: /etc/falco/falco_rules.local.yaml
  - file: rules/acme.yaml
  - artifact: custom-rules
config:
  priority: warning
  outputs: {rate: 1, max_burst: [1000, ~]}
"#;

#[test]
fn a_whole_document() {
    let state = parse("fleet.yaml", FULL).unwrap();
    let indexes: Vec<_> = state.indexes.iter().map(|index| (index.name.as_str(), index.at.line)).collect();
    assert_eq!(indexes, [("falcosecurity", 4), ("local", 5)]);
    let artifacts: Vec<_> = state
        .artifacts
        .iter()
        .map(|artifact| {
            let source = artifact.source.as_ref().map(ToString::to_string).unwrap_or_default();
            (artifact.name.as_str(), source, artifact.version.to_string())
        })
        .collect();
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let pinned = format!("1@{digest}");
    let expected = [
        ("falco-rules", "", "5"),
        ("five", "", "5.10"),
        ("custom-rules", "ghcr.io/acme/falco/custom-rules", "~1.4"),
        ("more-rules", "ghcr.io/acme/falco/more-rules", "latest"),
        ("pinned", "oci:layout", "1.0.0"),
        ("by-map", "", ">=1, <2"),
        ("by-digest", "ghcr.io/a/b", pinned.as_str()),
    ];
    assert_eq!(artifacts, expected.map(|(name, source, version)| (name, source.to_string(), version.to_string())));
    assert_eq!(state.artifacts[0].at, Location { file: "fleet.yaml".into(), line: 7, column: 3 });
    assert_eq!(state.rules_files.len(), 4);
    assert!(matches!(&state.rules_files[3], RulesEntry::Artifact { name, at }
        if name.as_str() == "custom-rules" && (at.line, at.column) == (18, 5)));
    assert_eq!(state.config[1].key, "outputs");
    assert_eq!(state.config[1].value, json!({"rate": 1, "max_burst": [1000, null]}));
}

#[test]
fn the_official_index_is_the_default() {
    let rest = "version: 1\nrules_files: [{file: a.yaml}]\n";
    let state = parse("f", rest).unwrap();
    assert_eq!((state.indexes[0].name.as_str(), state.indexes[0].url.as_str()), DEFAULT_INDEX);
    assert_eq!(parse("f", &format!("{rest}indexes: []\n")).unwrap().indexes, []);
}

/// `line:column: message` of each finding in `text` below a right head; none may be without a hint.
fn refused(text: &str) -> Vec<String> {
    let findings = parse("f", text).expect_err(text);
    let line = |finding: &crate::finding::Finding| {
        assert!(!finding.hint.is_empty(), "{finding}");
        format!("{}:{}: {}", finding.location.line, finding.location.column, finding.message)
    };
    findings.as_slice().iter().map(line).collect()
}

#[test]
fn findings_about_the_document() {
    for (text, expected) in [
        ("", &["0:0: the document is empty"][..]),
        ("[]", &["1:1: expected the desired state as a map, found a list"]),
        (
            "artefacts: {}",
            &[
                "1:1: the key `rules_files` is missing; Falco would be left without rules",
                "1:1: the key `version` is missing",
                "1:1: unknown key `artefacts`",
            ],
        ),
        (
            "version: 2\nrules_files: []\n",
            &[
                "1:10: version 2 of the document is not known; this falconer reads version 1",
                "2:14: `rules_files` is empty; Falco would be left without rules",
            ],
        ),
        (
            "version: '1'\nrules_files:\n",
            &[
                "1:10: expected the version of the document as a number, found the text `1`",
                "2:12: expected the list of rules files, found nothing",
            ],
        ),
        (
            "version: 1\nrules_files: [{file: a}]\nversion: 1\n",
            &["3:1: the key `version` stands twice, first in line 1"],
        ),
    ] {
        assert_eq!(refused(text), expected, "{text}");
    }
}

#[test]
fn findings_about_each_part() {
    let digest = Digest::of(b"");
    for (text, expected) in [
        ("indexes: {}", "expected a list of indexes, found a map"),
        ("indexes: [{name: A, url: 'https://x'}]", "index name `A` does not start with a lower-case letter or a digit"),
        ("indexes: [{name: a}]", "the key `url` is missing"),
        ("indexes: [{name: a, url: 'https://x', kind: b}]", "unknown key `kind`"),
        (
            "indexes: [{name: a, url: 'https://x'}, {name: a, url: 'https://y'}]",
            "the index `a` stands twice, first in line 3",
        ),
        ("indexes: [{name: a, url: 'oci://x'}]", "the reference of the index is not well-formed"),
        ("indexes: [{name: a, url: 'x.yaml'}]", "the URL has no scheme"),
        ("indexes: [{name: a, url: 'https://'}]", "the URL names no host"),
        ("indexes: [{name: a, url: 'file://x'}]", "the file URL names no absolute path"),
        ("indexes: [{name: a, url: 'https://x /'}]", "the URL has white space or control characters"),
        ("indexes: [{name: a, url: 'https://me:secret@x/'}]", "the URL holds credentials"),
        ("artifacts: []", "expected a map of artifacts, found a list"),
        ("artifacts:", "expected a map of artifacts, found nothing"),
        ("artifacts: {A: '5'}", "artifact name `A` does not start with a lower-case letter or a digit"),
        ("artifacts: {a: }", "expected the version of an artifact, found nothing"),
        ("artifacts: {a: [5]}", "expected the version of an artifact, found a list"),
        ("artifacts: {a: 'a:5'}", "version `a:5` is neither a tag nor a requirement nor a digest"),
        ("artifacts: {a: '>=1 2'}", "version requirement `>=1 2` is not well-formed"),
        ("artifacts: {a: '5@sha256:1'}", "digest `sha256:1` does not have 64 lower-case hex digits"),
        ("dependencies: yes", "`yes` is nothing that dependencies can become"),
        ("dependencies: {}", "expected what becomes of dependencies, found a map"),
        ("falco: 0.3", "Falco release `0.3` is not known to this falconer"),
        ("falco: [0.44]", "expected a release of Falco as text, found a list"),
        ("artifacts: {a: 'sha256:1'}", "digest `sha256:1` does not have 64 lower-case hex digits"),
        (
            "artifacts: {a: ghcr.io/A}",
            "reference `ghcr.io/A` has a repository that is not lower-case or not well-formed",
        ),
        ("artifacts: {a: {}}", "the artifact has neither `ref` nor `version`"),
        ("artifacts: {a: {version: '1', tag: x}}", "unknown key `tag`"),
        ("artifacts: {a: {ref: falco-rules}}", "reference `falco-rules` names no registry"),
        ("artifacts: {a: {ref: 'x/y:1', version: '1'}}", "the artifact has a version both in `ref` and in `version`"),
        ("artifacts: {a: {ref: x/y, version: }}", "expected a version, found nothing"),
        ("config: []", "expected a map of settings, found a list"),
        ("config: {rules_files: []}", "the key `rules_files` is not set under `config`"),
        ("config: {rules_file: []}", "the key `rules_file` is not set under `config`"),
        ("config: {config_files: []}", "the key `config_files` is not set under `config`"),
        ("config: {plugins: []}", "the key `plugins` is not set under `config`"),
        ("config: {load_plugins: []}", "the key `load_plugins` is not set under `config`"),
        ("config: {'': 1}", "a setting has no key"),
        ("config: {a: 010}", "the number `010` is not read alike by all programs"),
    ] {
        let text = format!("version: 1\nrules_files: [{{file: a.yaml}}]\n{text}\n");
        let found = refused(&text);
        assert!(found.len() == 1 && found[0].starts_with("3:") && found[0].ends_with(expected), "{text}: {found:?}");
    }
    let by_both =
        format!("version: 1\nrules_files: [{{file: a}}]\nartifacts: {{a: {{ref: 'x/y@{digest}', version: '1'}}}}");
    assert_eq!(refused(&by_both), ["3:22: the artifact has a version both in `ref` and in `version`"]);
    let secret = parse("f", "version: 1\nrules_files: [{file: a}]\nindexes: [{name: a, url: 'https://u:hunter2@x/'}]");
    assert!(!secret.unwrap_err().to_string().contains("hunter2"));
}

#[test]
fn findings_about_rules_files() {
    for (entry, expected) in [
        ("falco-rules", "expected a rules file as a map of one key, found `falco-rules`"),
        ("{}", "an entry has none of `artifact`, `file` and `host`"),
        ("{artefact: a}", "an entry has none of `artifact`, `file` and `host`|unknown key `artefact`"),
        ("{artifact: a, file: b}", "an entry has more than one of `artifact`, `file` and `host`"),
        ("{artifact: }", "expected a name or a path, found nothing"),
        ("{artifact: falco-rule}", "the artifact `falco-rule` is not under `artifacts`"),
        ("{artifact: A}", "artifact name `A` does not start with a lower-case letter or a digit"),
        ("{file: /a}", "relative path `/a` is absolute"),
        ("{file: ../a}", "relative path `../a` has an empty part, `.` or `..`"),
        ("{host: a}", "absolute path `a` is not absolute"),
        ("{file: first}", "`file: first` stands twice, first in line 3"),
    ] {
        let text = format!("version: 1\nartifacts: {{falco-rules: 5}}\nrules_files: [{{file: first}},\n  {entry}]\n");
        let found = refused(&text);
        let messages: Vec<&str> = found.iter().map(|line| line.split_once(": ").unwrap().1).collect();
        assert_eq!(messages.join("|"), expected, "{entry}");
        assert!(found.iter().all(|line| line.starts_with("4:")), "{entry}: {found:?}");
    }
    let hint = |name: &str| {
        let text = format!("version: 1\nartifacts: {{falco-rules: 5}}\nrules_files: [{{artifact: {name}}}]\n");
        parse("f", &text).unwrap_err().as_slice()[0].hint.clone()
    };
    assert_eq!(hint("falco-rule"), "did you mean `falco-rules`?");
    assert_eq!(hint("acme"), "add `acme: VERSION` under `artifacts`");
}

#[test]
fn all_findings_come_in_one_go() {
    let text =
        "version: 2\nindexes: [{name: a}]\nartifacts: {A: 5, b: {}}\nrules_files: [{file: /x}]\nconfig: {plugins: 1}\n";
    assert_eq!(refused(text).iter().map(|line| &line[..1]).collect::<String>(), "123345");
}

#[test]
fn inputs_are_the_indexes_and_artifacts() {
    let digest = |text: &str| inputs_digest(&parse("f", text).unwrap_or_else(|findings| panic!("{findings}")));
    let base = "version: 1\nartifacts: {a: '1', b: x/y}\nrules_files: [{file: a}]\n";
    assert_eq!(
        digest(base),
        digest(
            "# c\nrules_files: [host: /b]\nconfig: {x: 1}\nartifacts:\n  b: {ref: x/y, version: latest}\n  a: 1\nversion: 1\nindexes:\n- url: https://falcosecurity.github.io/falcoctl/index.yaml\n  name: falcosecurity\n"
        ),
    );
    for other in [
        "version: 1\nartifacts: {a: '1', b: x/y:1}\nrules_files: [{file: a}]\n",
        "version: 1\nartifacts: {a: '1'}\nrules_files: [{file: a}]\n",
        "version: 1\nartifacts: {a: ^1, b: x/y}\nrules_files: [{file: a}]\n",
        "version: 1\nindexes: []\nartifacts: {a: '1', b: x/y}\nrules_files: [{file: a}]\n",
    ] {
        assert_ne!(digest(base), digest(other), "{other}");
    }
    let two =
        "version: 1\nrules_files: [{file: a}]\nindexes: [{name: a, url: 'http://a'}, {name: b, url: 'http://b'}]\n";
    let turned =
        "version: 1\nrules_files: [{file: a}]\nindexes: [{name: b, url: 'http://b'}, {name: a, url: 'http://a'}]\n";
    assert_ne!(digest(two), digest(turned), "the order of indexes decides which one counts");
}

/// A place that all generated values share, so that they compare.
fn nowhere() -> Location {
    Location { file: String::new(), line: 0, column: 0 }
}

fn version() -> impl Strategy<Value = VersionRequest> {
    prop_oneof![
        "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,9}"
            .prop_filter("not a wildcard", |text| !text.to_ascii_lowercase().contains(".x")),
        "[\\^~=]?(0|[1-9][0-9]{0,2})\\.(0|[1-9][0-9]{0,2})",
        Just(">=1, <2".to_string()),
        "[1-9][0-9]?\\.x",
        any::<[u8; 2]>().prop_map(|content| Digest::of(&content).to_string()),
        any::<[u8; 2]>().prop_map(|content| alloc::format!("5.1@{}", Digest::of(&content))),
    ]
    .prop_map(|text| VersionRequest::parse(&text).unwrap())
}

fn source() -> impl Strategy<Value = Source> {
    "(oci:[a-z ]{1,5}|ghcr[.]io/[a-z]{1,5}/[a-z]{1,5}|localhost:5000/[a-z]{1,5})"
        .prop_map(|text| Source::parse(&text).unwrap())
}

fn value() -> impl Strategy<Value = Json> {
    let text = "[ -~é]{0,12}";
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        text.prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 12, 4, move |inner| {
        let map = btree_map(text, inner.clone(), 0..4).prop_map(|map| Json::Object(map.into_iter().collect()));
        prop_oneof![vec(inner, 0..4).prop_map(Json::from), map]
    })
}

prop_compose! {
    fn state()(
        indexes in btree_map("[a-z]{1,5}", "(https?://[a-z.]{1,9}/[a-z]{0,5}|file:///[a-z]{1,5})", 0..3),
        artifacts in btree_map("[a-z0-9][a-z0-9._-]{0,8}", (option::of(source()), version()), 0..5),
        files in btree_map("[a-z]{1,5}/[a-z]{1,5}", any::<bool>(), 1..4),
        config in btree_map("[a-z]{1,6}_[a-z]{1,6}", value(), 0..4),
        dependencies in prop::sample::select(alloc::vec![Mode::Check, Mode::Install]),
        falco in option::of(prop::sample::select(alloc::vec!["0.40", "0.44.1", "0.99"])),
    ) -> DesiredState {
        let at = nowhere;
        let names: Vec<ArtifactName> = artifacts.keys().map(|name| ArtifactName::parse(name).unwrap()).collect();
        let file = |(path, on_host): (String, bool)| if on_host {
            RulesEntry::Host { path: AbsolutePath::parse(&format!("/{path}")).unwrap(), at: at() }
        } else {
            RulesEntry::File { path: RelativePath::parse(&path).unwrap(), at: at() }
        };
        DesiredState {
            indexes: indexes.into_iter().map(|(name, url)| IndexEntry { name: IndexName::parse(&name).unwrap(), url, at: at() }).collect(),
            artifacts: names.iter().cloned().zip(artifacts.into_values())
                .map(|(name, (source, version))| ArtifactRequest { name, source, version, plugin: PluginSettings::default(), at: at() }).collect(),
            dependencies,
            falco: falco.map(|release| Facts::of_release(release).unwrap()),
            rules_files: files.into_iter().map(file)
                .chain(names.into_iter().map(|name| RulesEntry::Artifact { name, at: at() })).collect(),
            config: config.into_iter().filter(|(key, _)| key != "rules_files")
                .map(|(key, value)| Setting { key, value, at: at() }).collect(),
            windows: Vec::new(),
            suspension: None,
        }
    }
}

/// Writes a state as YAML, in JSON's quotes where a text could mean something else.
fn rendered(state: &DesiredState, comment: &str) -> String {
    let quoted = |text: &dyn ToString| Json::from(text.to_string()).to_string();
    let mut text = format!("version: 1{comment}\nindexes:{}\n", if state.indexes.is_empty() { " []" } else { "" });
    for index in &state.indexes {
        text += &format!("{comment}- name: {}{comment}\n  url: {}\n", quoted(&index.name), quoted(&index.url));
    }
    text += if state.artifacts.is_empty() { "" } else { "artifacts:\n" };
    for artifact in &state.artifacts {
        let source = artifact.source.as_ref().map(|source| format!("ref: {}, ", quoted(source))).unwrap_or_default();
        text += &format!("  {}: {{{source}version: {}}}{comment}\n", quoted(&artifact.name), quoted(&artifact.version));
    }
    text += if state.dependencies == Mode::Install { "dependencies: install\n" } else { "" };
    let falco = state.falco.as_ref().and_then(|facts| facts.falco.as_ref());
    text += &falco.map(|release| format!("falco: {release}\n")).unwrap_or_default();
    text += "rules_files:\n";
    for entry in &state.rules_files {
        text += &match entry {
            RulesEntry::Artifact { name, .. } => format!("- artifact: {}\n", quoted(name)),
            RulesEntry::File { path, .. } => format!("- file: {}\n", quoted(path)),
            RulesEntry::Host { path, .. } => format!("- host: {}\n", quoted(path)),
        };
    }
    let config: serde_json::Map<String, Json> =
        state.config.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect();
    text + &format!("config: {}{comment}\n", Json::Object(config))
}

fn without_places(mut state: DesiredState) -> DesiredState {
    state.indexes.iter_mut().for_each(|index| index.at = nowhere());
    state.artifacts.iter_mut().for_each(|artifact| artifact.at = nowhere());
    state.config.iter_mut().for_each(|setting| setting.at = nowhere());
    for entry in &mut state.rules_files {
        let (RulesEntry::Artifact { at, .. } | RulesEntry::File { at, .. } | RulesEntry::Host { at, .. }) = entry;
        *at = nowhere();
    }
    state
}

proptest! {
    #[test]
    fn a_rendered_state_parses_back(state in state()) {
        let parsed = parse("f", &rendered(&state, "")).map_err(|findings| TestCaseError::fail(findings.to_string()))?;
        prop_assert_eq!(without_places(parsed), state);
    }

    #[test]
    fn inputs_do_not_depend_on_comments_and_order(state in state(), seed in any::<usize>()) {
        let mut turned = state.clone();
        let by = seed % turned.artifacts.len().max(1);
        turned.artifacts.rotate_left(by);
        turned.rules_files.reverse();
        let parsed = parse("g", &rendered(&turned, " # x\n\n")).map_err(|findings| TestCaseError::fail(findings.to_string()))?;
        prop_assert_eq!(inputs_digest(&parsed), inputs_digest(&state));
        if let Some(artifact) = turned.artifacts.first_mut() {
            artifact.version = VersionRequest::Tag(Tag::parse("another-version").unwrap());
            prop_assert_ne!(inputs_digest(&turned), inputs_digest(&state));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "((version|artifacts|indexes|rules_files|config|ref|file)?[-:{}\\[\\], \n1a/'\"]{0,4}){0,12}") {
        let _ = parse("f", &text);
    }
}
