use alloc::format;

use proptest::prelude::*;

use super::*;

fn version(text: &str) -> Version {
    tolerant(text).unwrap()
}

fn tags(list: &[&str]) -> Vec<Tag> {
    list.iter().map(|tag| Tag::parse(tag).unwrap()).collect()
}

#[test]
fn versions_are_read_as_falcoctl_reads_them() {
    for (text, read) in [
        ("1.2.3", "1.2.3"),
        ("v1.0", "1.0.0"),
        ("1", "1.0.0"),
        ("1.2", "1.2.0"),
        (" v5.1.0\n", "5.1.0"),
        ("01.002.0003", "1.2.3"),
        ("000", "0.0.0"),
        ("1.2.00-rc1", "1.2.0-rc1"),
        ("1.2.007-rc.1+b.01", "1.2.7-rc.1+b.01"),
        ("0.57.0", "0.57.0"),
    ] {
        assert_eq!(tolerant(text).map(|version| version.to_string()).as_deref(), Some(read), "{text}");
    }
    for text in [
        "",
        "v",
        "main",
        "latest",
        "vv1",
        "V1",
        "1.",
        ".1",
        "1..2",
        "1.2.3.4",
        "1-rc1",
        "1.2-rc1",
        "1.2+b",
        "1.2.3-",
        "1.2.3-01",
        "-1",
        "+1",
        "1. 2",
        "1.x",
        "18446744073709551616",
    ] {
        assert_eq!(tolerant(text), None, "{text}");
    }
}

#[test]
fn the_same_major_and_not_lower() {
    for (have, need, enough) in [
        ("1.2.3", "1.2.3", true),
        ("1.3.0", "1.2.3", true),
        ("1.2.2", "1.2.3", false),
        ("2.0.0", "1.2.3", false),
        ("0.9.0", "0.2.0", true),
        ("0.57.0-rc1", "0.57.0", false),
        ("0.58.0-rc1", "0.57.0", true),
        ("1.0.0+a", "1.0.0+b", true),
    ] {
        assert_eq!(meets(&version(have), &version(need)), enough, "{have} for {need}");
    }
    assert_eq!(higher(&version("1.0.0"), &version("1.1.0")).to_string(), "1.1.0");
    assert_eq!(higher(&version("1.0.0+a"), &version("1.0.0+b")).to_string(), "1.0.0+a");
}

#[test]
fn ranges_are_read_leniently() {
    for (text, inside, outside) in [
        ("^5.1", "5.9.0", "6.0.0"),
        ("~1.4", "1.4.9", "1.5.0"),
        (">=1, <2", "1.9.9", "2.0.0"),
        (">=1 <2", "1.0.0", "2.0.0"),
        (">= 1, < 2", "1.0.0", "0.9.0"),
        ("> 1.0.0", "1.0.1", "1.0.0"),
        ("1.x", "1.7.0", "2.0.0"),
        ("1.2.X", "1.2.9", "1.3.0"),
        ("^1.x", "1.7.0", "2.0.0"),
        ("1.*", "1.0.0", "0.9.0"),
        ("*", "7.0.0", "7.0.0-rc1"),
        ("^v1", "1.2.0", "2.0.0"),
        ("=v01.2", "1.2.0", "1.3.0"),
        ("=5.1.0", "5.1.0", "5.1.1"),
        (">=1.4.0-rc1", "1.4.0-rc2", "1.5.0-rc1"),
    ] {
        let range = Range::parse(text).unwrap();
        assert!(range.allows(&version(inside)), "{text} {inside}");
        assert!(!range.allows(&version(outside)), "{text} {outside}");
        assert_eq!(range.to_string(), text);
    }
    for text in
        ["", " ", "1.2", "1.2.3", "^", ">=", ">=1,", ",>=1", "^1 || ^2", "1.x.y", "> = 1", ">=1 2", "=>1", "^1-rc1"]
    {
        assert_eq!(Range::parse(text).map_err(|wrong| wrong.what), Err("version requirement"), "{text}");
    }
}

#[test]
fn the_newest_tag() {
    let official = tags(&["5", "5.1", "5.1.0", "5.0.0", "5.0", "latest", "4", "4.0.0", "6.0.0-rc1", "sha256-ab.sig"]);
    let short = tags(&["1", "2", "2.1", "v3", "3.0.0-rc1"]);
    let doubles = tags(&["v1.2.3", "1.2.3", "01.2.3", "1.2"]);
    for (tags, range, newest_tag) in [
        (&official, "^5", Some("5.1.0")),
        (&official, "~5.0", Some("5.0.0")),
        (&official, "*", Some("5.1.0")),
        (&official, ">=6.0.0-rc1", Some("6.0.0-rc1")),
        (&official, ">5.1.0", None),
        (&official, "=4.0.0", Some("4.0.0")),
        (&short, "^1", Some("1")),
        (&short, "^2", Some("2.1")),
        (&short, "=2.0.0", None),
        (&short, "^3", None),
        (&doubles, "^1", Some("1.2.3")),
    ] {
        let found = newest(tags, &Range::parse(range).unwrap());
        assert_eq!(found.as_ref().map(Tag::as_str), newest_tag, "{range}");
    }
}

#[test]
fn the_lowest_tag_that_will_do() {
    let published = tags(&["0.4", "0.4.0", "0.4.1-rc1", "v0.4.1", "0.4.1", "0.5.0", "1.0.0", "latest", "0"]);
    for (need, found) in [
        ("0.3.0", Some("0.4.0")),
        ("0.4.0", Some("0.4.0")),
        ("0.4.1", Some("0.4.1")),
        ("0.4.1-rc0", Some("0.4.1-rc1")),
        ("0.4.2", Some("0.5.0")),
        ("0.6.0", None),
        ("1.0.0", Some("1.0.0")),
    ] {
        assert_eq!(lowest(&published, &version(need)).as_ref().map(Tag::as_str), found, "{need}");
    }
    assert_eq!(highest(&published).unwrap().to_string(), "1.0.0");
    assert_eq!(highest(&tags(&["main"])), None);
}

proptest! {
    #[test]
    fn strict_versions_are_read_as_they_are(numbers in any::<(u64, u64, u64)>(), pre in "(-(rc|alpha)[.]?[1-9])?") {
        let text = format!("{}.{}.{}{pre}", numbers.0, numbers.1, numbers.2);
        prop_assert_eq!(tolerant(&text), Version::parse(&text).ok());
    }

    #[test]
    fn any_text_is_a_version_a_range_or_refused(text in "[v0-9.x*^~<>=, rc+-]{0,12}|.{0,12}") {
        let _ = tolerant(&text);
        let _ = Range::parse(&text);
    }

    #[test]
    fn the_newest_tag_is_in_the_range_and_none_is_newer(list in prop::collection::vec("v?[0-2][.][0-2][.][0-2](-rc1)?", 0..8)) {
        let tags: Vec<Tag> = list.iter().filter_map(|tag| Tag::parse(tag).ok()).collect();
        let range = Range::parse(">=1, <2").unwrap();
        let inside = tags.iter().filter_map(|tag| tolerant(tag.as_str())).filter(|version| range.allows(version));
        let found = newest(&tags, &range).map(|tag| version(tag.as_str()));
        prop_assert_eq!(found, inside.max());
    }
}
