use proptest::prelude::*;

use super::*;

const OFFICIAL_SHAPE: &str = r#"
- name: json-rules
  type: rulesfile
  registry: ghcr.io
  repository: acme/rules/json-rules
  description: Rules for JSON
  home: https://example.org/rules
  keywords:
    - json
    - 5
  license: Apache-2.0
  maintainers:
    - email: rules@example.org
      name: The Authors
  sources:
    - https://example.org/rules.git
  colour: blue
- name: json
  type: plugin
  registry: localhost:5000
  repository: acme/json
  signature:
    cosign:
      certificate-oidc-issuer: https://issuer.example.org
      certificate-oidc-issuer-regexp: ""
      certificate-identity-regexp: https://example.org/
      ignore-tlog: true
"#;

fn name(text: &str) -> ArtifactName {
    ArtifactName::parse(text).unwrap()
}

#[test]
fn entries_are_found_by_name() {
    let index = parse("index.yaml", OFFICIAL_SHAPE).unwrap();
    assert_eq!(index.entries().iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["json", "json-rules"]);
    let rules = index.find(&name("json-rules")).unwrap();
    assert_eq!(rules.kind.as_deref(), Some("rulesfile"));
    assert_eq!(rules.source, Source::parse("ghcr.io/acme/rules/json-rules").unwrap());
    assert_eq!(rules.keywords, ["json", "5"]);
    assert_eq!(rules.maintainers, [Maintainer { email: "rules@example.org".into(), name: "The Authors".into() }]);
    assert_eq!((rules.license.as_str(), rules.cosign.as_deref()), ("Apache-2.0", None));
    let cosign = index.find(&name("json")).unwrap().cosign.as_deref().unwrap();
    assert_eq!(cosign.certificate_oidc_issuer, "https://issuer.example.org");
    assert_eq!(cosign.certificate_identity_regexp, "https://example.org/");
    assert!(cosign.ignore_tlog && cosign.certificate_identity.is_empty());
    assert_eq!(index.find(&name("absent")), None);
    for nothing in ["", "# nothing\n", "[]", "~"] {
        assert_eq!(parse("i", nothing), Ok(Index::default()), "{nothing}");
    }
    let anchored = "- &a {name: a, registry: r.io, repository: x, keywords: &k [k]}\n- {name: b, registry: r.io, repository: y, keywords: *k}";
    assert_eq!(parse("i", anchored).unwrap().find(&name("b")).unwrap().keywords, ["k"]);
}

#[test]
fn findings() {
    for (text, expected) in [
        ("a: 1", &["1:1: expected a list of artifacts, found a map"][..]),
        ("- a", &["1:3: expected an artifact as a map, found `a`"]),
        ("- {name: a}", &["1:3: the artifact has no `registry`", "1:3: the artifact has no `repository`"]),
        ("- {registry: r.io, repository: x}", &["1:3: the artifact has no `name`"]),
        (
            "- {name: A, registry: r_r, repository: x}",
            &[
                "1:10: artifact name `A` does not start with a lower-case letter or a digit",
                "1:23: reference `r_r/x` has a registry host that is not well-formed",
            ],
        ),
        (
            "- {name: a, registry: r.io, repository: 'x:1'}",
            &["1:23: reference `r.io/x:1` has a tag or a digest where only a place is meant"],
        ),
        (
            "- {name: a, registry: r.io, repository: x}\n- {name: a, registry: r.io, repository: y}",
            &["2:3: the artifact `a` stands twice"],
        ),
        (
            "- name: a\n  name: b\n  registry: r.io\n  repository: x",
            &["2:3: the key `name` stands twice, first in line 1"],
        ),
        (
            "- {name: a, registry: r.io, repository: x, keywords: k, home: [], signature: {cosign: {ignore-tlog: 1}}}",
            &[
                "1:54: expected `keywords` as a list, found `k`",
                "1:63: expected `home` as text, found a list",
                "1:101: expected true or false, found `1`",
            ],
        ),
    ] {
        let findings = parse("i", text).expect_err(text);
        let lines: Vec<String> = findings
            .as_slice()
            .iter()
            .map(|f| {
                assert!(!f.hint.is_empty());
                alloc::format!("{}:{}: {}", f.location.line, f.location.column, f.message)
            })
            .collect();
        assert_eq!(lines, expected, "{text}");
    }
}

/// A fraction of a second with optimisation; anything quadratic would not end.
#[test]
fn a_hundred_thousand_entries() {
    let text: String = (0..100_000)
        .map(|n| alloc::format!("- {{name: a{n}, registry: ghcr.io, repository: acme/rules/a{n}}}\n"))
        .collect();
    let index = parse("i", &text).unwrap();
    assert_eq!(index.entries().len(), 100_000);
    assert!(index.find(&name("a99999")).is_some());
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "((name|registry|repository|signature)?[-:{}\\[\\], \n1a/'\"&*]{0,4}){0,12}") {
        let _ = parse("i", &text);
    }
}
