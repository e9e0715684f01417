use alloc::string::ToString;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const CAP: usize = 1 << 20;

fn json_of(text: &str) -> Result<Json, Findings> {
    let parsed = parse("a.yaml", text, CAP)?;
    let mut problems = Problems::with("a.yaml", parsed.findings);
    let json = parsed.documents.first().map_or(Json::Null, |root| problems.json(root));
    problems.finish(json)
}

/// `line:column: message` of each finding; none may be without a hint.
fn lines(findings: &Findings) -> Vec<String> {
    findings
        .as_slice()
        .iter()
        .map(|finding| {
            assert!(!finding.hint.is_empty(), "{finding}");
            format!("{}:{}: {}", finding.location.line, finding.location.column, finding.message)
        })
        .collect()
}

fn refused(text: &str) -> Vec<String> {
    lines(&json_of(text).expect_err(text))
}

#[test]
fn values_of_the_core_schema() {
    for (text, value) in [
        ("", json!(null)),
        ("# nothing", json!(null)),
        ("a: ", json!({"a": null})),
        ("[~, null, 'null']", json!([null, null, "null"])),
        ("[true, False, yes, on, 'true']", json!([true, false, "yes", "on", "true"])),
        ("[1, -2, +3, 0x1F, 0o17, '4', 1_000]", json!([1, -2, 3, 31, 15, "4", "1_000"])),
        ("[1.5, -.5, 1e3, 5., 0.1.2, 1e, ., +]", json!([1.5, -0.5, 1000.0, 5.0, "0.1.2", "1e", ".", "+"])),
        ("[0, -0, 18446744073709551615]", json!([0, 0, u64::MAX])),
        ("a: |\n  x\n  y\nb: >-\n  x\n  y\n", json!({"a": "x\ny\n", "b": "x y"})),
        ("\u{feff}a: 1\r\nb: x\r\n", json!({"a": 1, "b": "x"})),
        ("%YAML 1.2\n---\na: é\n...\n", json!({"a": "é"})),
    ] {
        assert_eq!(json_of(text), Ok(value), "{text}");
    }
}

#[test]
fn what_our_documents_may_not_hold() {
    for (text, expected) in [
        ("a: 1\nb: 2\na: 3\n", "3:1: the key `a` stands twice, first in line 1"),
        ("a: &x 1\n", "1:4: an anchor (`&`) is not allowed"),
        ("a: !!str 1\n", "1:4: a tag (`!`) is not allowed"),
        ("<<: {a: 1}\n", "1:1: a merge key (`<<`) is not allowed"),
        ("? [a]\n: 1\n", "1:3: a key is not text"),
        ("a: 1\n---\nb: 1\n", "2:1: a second document starts here"),
        ("a: 0644\n", "1:4: the number `0644` is not read alike by all programs"),
        ("a: [1, 99999999999999999999]\n", "1:8: the number `99999999999999999999` is not read alike by all programs"),
        ("a: .inf\n", "1:4: the number `.inf` is not read alike by all programs"),
        ("a: 1\nb\0: 1\n", "2:2: there is a NUL character"),
    ] {
        assert_eq!(refused(text), [expected], "{text}");
    }
    assert_eq!(
        refused("a: &x 1\nb: *x\na: !t 2\n"),
        [
            "1:4: an anchor (`&`) is not allowed",
            "2:4: an alias (`*`) is not allowed",
            "3:1: the key `a` stands twice, first in line 1",
            "3:4: a tag (`!`) is not allowed",
        ]
    );
}

#[test]
fn what_is_no_yaml() {
    for (text, place, hint) in [
        ("a:\n\tb: 1\n", "2:", "indent with spaces; YAML does not allow tabs there"),
        ("a: b: c\n", "1:5:", "quote a value that contains `: `, and check the indentation"),
        ("a: @b\n", "1:4:", "quote a value that starts with a special character"),
        ("a: *b\n", "1:4:", "quote a value that starts with a special character"),
        ("a: \"b\nc: 1\n", "1:4:", "close the quote, and indent its further lines"),
        ("a: [b\nc: 1\n", "2:", "check quotes, brackets and indentation here and in the line before"),
        ("a: 1\n b: 2\n", "2:3:", "quote a value that contains `: `, and check the indentation"),
    ] {
        let findings = json_of(text).expect_err(text);
        let line = lines(&findings).concat();
        assert!(line.starts_with(place) && line.contains("not well-formed YAML: "), "{text}: {line}");
        assert_eq!(findings.as_slice()[0].hint, hint, "{text}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    assert_eq!(parse("a", "123", 3).map(|parsed| parsed.documents.len()), Ok(1));
    let findings = parse("a", "1234", 3).unwrap_err();
    assert_eq!(lines(&findings), ["0:0: the document has 4 bytes, more than the 3 that are read"]);

    let flow = |items: usize| format!("a:\n  [{}]\n", "x,".repeat(items));
    assert!(parse("a", &flow(14_000), CAP).is_ok());
    let findings = parse("a", &flow(150_000), CAP).unwrap_err();
    assert_eq!(lines(&findings), ["2:3: a list or map in brackets has more than 150000 commas, quotes and the like"]);
    let findings = parse("a", &"-\n".repeat(NODES_CAP + 1), 4 * NODES_CAP).unwrap_err();
    assert_eq!(lines(&findings), ["999998:2: there are more than 1000000 values"]);

    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(json_of(&nested(DEPTH_CAP)).is_ok());
    for text in [
        nested(DEPTH_CAP + 1),
        "[".repeat(20_000),
        "[\n".repeat(20_000),
        "{a: ".repeat(20_000),
        "- ".repeat(20_000),
        "? ".repeat(20_000),
    ] {
        for result in [parse("a", &text, CAP), parse_lenient("a", &text, CAP)] {
            let lines = lines(&result.expect_err(&text[..10]));
            assert!(lines.iter().all(|line| line.ends_with("values are nested deeper than 64 levels")), "{lines:?}");
        }
    }
}

#[test]
fn aliases_are_resolved_within_a_budget() {
    let text = "- &a {x: [1]}\n- *a\n- {*a : 1, y: *a}\n---\n- 1\n";
    let parsed = parse_lenient("a", text, CAP).unwrap();
    let mut problems = Problems::new("a");
    let documents: Vec<Json> = parsed.documents.iter().map(|node| problems.json(node)).collect();
    assert_eq!(documents, [json!([{"x": [1]}, {"x": [1]}, {"y": {"x": [1]}}]), json!([1])]);

    let mut bomb = "a0: &a0 [x]\n".to_string();
    for level in 1..40 {
        let alias = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{alias}, {alias}, {alias}]\n");
    }
    let findings = parse_lenient("a", &bomb, CAP).unwrap_err();
    assert!(lines(&findings).concat().ends_with("aliases repeat more than is read"));

    let mut chain = "a0: &a0 [x]\n".to_string();
    for level in 1..100 {
        chain += &format!("a{level}: &a{level} [*a{}]\n", level - 1);
    }
    assert!(lines(&parse_lenient("a", &chain, CAP).unwrap_err()).concat().contains("nested deeper"));
    assert!(lines(&parse_lenient("a", "&a [*a]", CAP).unwrap_err()).concat().contains("contains it"));
}

#[test]
fn lenient_reading_reports_duplicates_apart() {
    let parsed = parse_lenient("a", "x: 1\nx: 2\n", CAP).unwrap();
    assert_eq!(parsed.findings.iter().map(|f| f.location.line).collect::<Vec<_>>(), [2]);
    assert_eq!(parsed.documents[0].get("x").unwrap().at, Mark { line: 1, column: 4 });
}

#[test]
fn lines_without_a_colon_are_noted() {
    let parsed = parse_lenient("a", "- x: a\n  and b\n- y: c\n  or d\n", CAP).unwrap();
    let places: Vec<_> = parsed.findings.iter().map(|f| (f.location.line, f.location.column)).collect();
    assert_eq!(places, [(2, 3), (4, 3)]);
    assert_eq!(parsed.findings[0].message, "Falco takes `and b` for a key without a value");
    let many = "- x: a\n  b\n".repeat(100);
    assert_eq!(parse_lenient("a", &many, CAP).unwrap_err().as_slice()[0].location.line, 3);
}

/// Each is refused by YAML 1.2 and taken by yaml-cpp.
#[test]
fn lenient_reading_takes_what_falco_takes() {
    for (text, expected) in [
        ("- items: [\n  a,\n  b\n]\n", json!([{"items": ["a", "b"]}])),
        ("- items: [a,\nb]\n", json!([{"items": ["a", "b"]}])),
        ("- {x: a,\ny: b}\n", json!([{"x": "a", "y": "b"}])),
        ("- items: [-, a]\n", json!([{"items": ["-", "a"]}])),
        ("- x: \"foo\"#bar\n", json!([{"x": "foo"}])),
        ("- x: \"a\nb\"\n  y: c\n", json!([{"x": "a b", "y": "c"}])),
        ("- x:\ty\n  z: 5\n  z: ~\n", json!([{"x": "y", "z": 5}])),
        ("- x: !a [\n 1]\n", json!([{"x": [1]}])),
        ("- x:\n  # c\n  [a, b]\n  y: c\n", json!([{"x": ["a", "b"], "y": "c"}])),
        ("- x: a\n  and b\n  y: c\n- z: d\n", json!([{"x": "a", "and b": null, "y": "c"}, {"z": "d"}])),
        ("- x: a\n  and b\n\n- y: [\n]\n", json!([{"x": "a", "and b": null}, {"y": []}])),
    ] {
        assert!(parse("a", text, CAP).is_err(), "{text}");
        let parsed = parse_lenient("a", text, CAP).unwrap_or_else(|findings| panic!("{text}: {findings}"));
        let mut problems = Problems::new("a");
        assert_eq!(problems.json(&parsed.documents[0]), expected, "{text}");
    }
}

#[test]
fn nodes_know_their_places() {
    let parsed = parse("a", "é: [x, 'y']\nb:\n  - c: |\n      z\n", CAP).unwrap();
    let root = &parsed.documents[0];
    let at = |line, column| Mark { line, column };
    assert_eq!(root.at, at(1, 1));
    let Value::Mapping(entries) = &root.value else { panic!() };
    assert_eq!(entries[1].key_at, at(2, 1));
    let Value::Sequence(items) = &entries[0].value.value else { panic!() };
    assert_eq!((entries[0].value.at, items[0].at, items[1].at), (at(1, 4), at(1, 5), at(1, 8)));
    let Value::Sequence(items) = &entries[1].value.value else { panic!() };
    assert_eq!((items[0].at, items[0].get("c").unwrap().at), (at(3, 5), at(4, 7)));
}

#[test]
fn decoding_collects_everything() {
    let text = "nmae: x\nsize: big\nkind: bule\nlist: 1\nmap: []\nname: {}\n";
    let root = parse("f", text, CAP).unwrap().documents.remove(0);
    let mut problems = Problems::new("f");
    let known = ["name", "size", "kind", "list", "map"];
    let fields = problems.fields(&root, "a thing", &known, &["name", "colour"]).unwrap();
    problems.integer(fields.get("size").unwrap(), "a size", "give a number");
    problems.one_of(fields.get("kind").unwrap(), "a colour", &[("red", 1), ("blue", 2)]);
    problems.sequence(fields.get("list").unwrap(), "a list", "h");
    problems.mapping(fields.get("map").unwrap(), "a map", "h");
    problems.text(fields.get("name").unwrap(), "a name", "h");
    let findings = problems.finish(()).unwrap_err();
    assert_eq!(
        lines(&findings),
        [
            "1:1: the key `colour` is missing",
            "1:1: unknown key `nmae`",
            "2:7: expected a size, found `big`",
            "3:7: expected a colour, found `bule`",
            "4:7: expected a list, found `1`",
            "5:6: expected a map, found a list",
            "6:7: expected a name, found a map",
        ]
    );
    let hints: Vec<&str> = findings.as_slice().iter().map(|finding| finding.hint.as_str()).collect();
    assert_eq!(hints[1], "did you mean `name`? the keys here are `name`, `size`, `kind`, `list`, `map`");
    assert_eq!(hints[3], "did you mean `blue`? one of `red`, `blue`");
}

#[test]
fn findings_are_bounded() {
    let text: String = (0..1_000).map(|n| format!("k{n}: 1\n")).collect();
    let root = parse("f", &text, CAP).unwrap().documents.remove(0);
    let mut problems = Problems::new("f");
    problems.fields(&root, "a thing", &["name"], &[]);
    let findings = problems.finish(()).unwrap_err();
    assert_eq!(findings.as_slice().len(), 101);
    assert_eq!(lines(&findings)[0], "0:0: there are more than 100 findings; the rest is not shown");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_text_makes_either_reader_panic(text in "[-a?:,&*!|>'\"%@`#{}\\[\\] \t\r\n~<.0\u{feff}\u{85}é]{0,60}") {
        for parsed in [parse("a", &text, CAP), parse_lenient("a", &text, CAP)].into_iter().flatten() {
            let mut problems = Problems::new("a");
            for document in &parsed.documents {
                problems.json(document);
            }
        }
    }

    #[test]
    fn any_text_can_be_written_and_read(text in any::<String>()) {
        // JSON is YAML, but for control characters.
        prop_assume!(!text.contains(|c: char| c.is_control() || c == '\u{feff}'));
        let written = json!({"a": [text]});
        prop_assert_eq!(json_of(&written.to_string()), Ok(written));
    }
}
