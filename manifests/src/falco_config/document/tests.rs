use proptest::prelude::*;
use serde_json::json;

use super::*;

fn settings(text: &str) -> Value {
    Value::Object(Document::parse("falco.yaml", text).unwrap().settings())
}

#[test]
fn scalars_keep_their_text() {
    let read = settings(
        "a: 1\nb: 0644\nc: 3.10\nd: 3.1\ne: yes\nf: true\ng: True\nh: '1'\ni:\nj: ~\nk: 1_000\nl: 18446744073709551615\nm: +1\nn: \"\"\no: 1h\n",
    );
    let wanted = json!({"a": 1, "b": "0644", "c": "3.10", "d": 3.1, "e": "yes", "f": true, "g": "True", "h": "1", "i": null,
        "j": null, "k": "1_000", "l": 18_446_744_073_709_551_615_u64, "m": "+1", "n": "", "o": "1h"});
    assert_eq!(read, wanted);
}

#[test]
fn the_first_of_two_equal_keys_is_found() {
    let document = Document::parse("f", "a: 1\nw:\n  x: 1\n  y:\n  - {z: 1, z: 2}\n  x: 2\na: 2\n").unwrap();
    assert_eq!(Value::Object(document.settings()), json!({"a": 1, "w": {"x": 1, "y": [{"z": 1}]}}));
    assert_eq!(document.entries.len(), 3);
    let found: Vec<_> = document.duplicates.iter().map(|d| (d.key.as_str(), d.line)).collect();
    assert_eq!(found, [("w.y.0.z", 5), ("w.x", 6), ("a", 7)]);
}

#[test]
fn aliases_documents_and_merge_keys() {
    let document = Document::parse("f", "\u{feff}a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n---\ne: 1\n").unwrap();
    assert_eq!(Value::Object(document.settings()), json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"<<": {"b": 1}}}));
    assert_eq!((document.aliases, document.more_documents), (2, true));
    for empty in ["", "# nothing\n", "---\n", "null\n"] {
        assert!(Document::parse("f", empty).unwrap().entries.is_empty(), "{empty}");
    }
}

#[test]
fn what_cannot_be_read() {
    for (text, line) in [("a: 1\nb: [\n", 3), ("- a\n", 1), ("text\n", 1), ("a: 1\n? [x]\n: 1\n", 2), ("a: 'x\n", 1)] {
        let error = Document::parse("f", text).unwrap_err();
        assert_eq!((error.file.as_str(), error.line), ("f", line), "{text} {error}");
    }
    let deep = std::format!("a: {}", "[".repeat(20_000));
    assert!(Document::parse("f", &deep).is_err());
    let mut bomb = std::string::String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for n in 1..9 {
        let before = std::format!("*a{}, ", n - 1).repeat(9);
        bomb.push_str(&std::format!("a{n}: &a{n} [{before}]\n"));
    }
    assert!(Document::parse("f", &bomb).unwrap_err().problem.contains("200,000"));
}

proptest! {
    #[test]
    fn any_text_gives_an_answer(text in "[a-c:{}\\[\\]&*\\-# \n'\"|>,?0-9]{0,80}") {
        let _answer = Document::parse("f", &text);
    }
}
