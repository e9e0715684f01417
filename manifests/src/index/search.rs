//! Finding artifacts by keywords, as falcoctl's `artifact search` does (`pkg/index/index/index.go`).

use alloc::string::String;
use alloc::vec::Vec;

use super::IndexEntry;

/// The least score that falcoctl asks of a name unless told otherwise.
pub const MIN_SCORE: f64 = 0.65;

/// How well an artifact answers the keywords: 1 for its very name, less the more letters differ. `None` when no keyword is
/// like its name by at least `min_score` and none is part of its own keywords.
#[must_use]
pub fn score(entry: &IndexEntry, keywords: &[String], min_score: f64) -> Option<f64> {
    let own = entry.keywords.join(" ");
    let found = keywords.iter().filter_map(|keyword| {
        let likeness = likeness(entry.name.as_str(), keyword);
        (likeness >= min_score || own.contains(keyword.as_str())).then_some(likeness)
    });
    found.fold(None, |best, found| Some(best.map_or(found, |best: f64| best.max(found))))
}

/// One minus the edit distance (insertions, deletions and replacements, in lower case) over the longer word's length.
pub(crate) fn likeness(name: &str, keyword: &str) -> f64 {
    let letters = |text: &str| text.chars().take(256).flat_map(char::to_lowercase).collect::<Vec<_>>();
    let (name, keyword) = (letters(name), letters(keyword));
    let mut last: Vec<usize> = (0..=keyword.len()).collect();
    for (i, letter) in name.iter().enumerate() {
        let mut row = alloc::vec![i + 1];
        for (other, pair) in keyword.iter().zip(last.windows(2)) {
            let &[diagonal, above] = pair else { continue };
            let left = row.last().copied().unwrap_or(usize::MAX - 1);
            row.push((diagonal + usize::from(letter != other)).min(above + 1).min(left + 1));
        }
        last = row;
    }
    let longer = name.len().max(keyword.len()).max(1);
    let distance = last.last().copied().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "names are short")]
    let share = distance as f64 / longer as f64;
    1.0 - share
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::index::parse;

    fn found(keyword: &str, min_score: f64) -> Vec<String> {
        let text = "- {name: falco-rules, registry: r.example, repository: a, keywords: [falco rules, syscalls]}\n\
                    - {name: k8saudit, registry: r.example, repository: b, keywords: [audit]}\n";
        let index = parse("index.yaml", text).unwrap();
        let entries = index.entries().iter();
        let matching = entries.filter(|entry| score(entry, &[keyword.to_string()], min_score).is_some());
        matching.map(|entry| entry.name.to_string()).collect()
    }

    #[test]
    fn names_that_are_alike_and_keywords_that_contain_it() {
        for (keyword, min_score, expected) in [
            ("falco-rules", 1.0, &["falco-rules"][..]),
            ("Falco-Rule", MIN_SCORE, &["falco-rules"]),
            ("falco", MIN_SCORE, &["falco-rules"]),
            ("k8s", MIN_SCORE, &[]),
            ("k8s", 0.3, &["k8saudit"]),
            ("syscall", 1.0, &["falco-rules"]),
            ("", 1.0, &["falco-rules", "k8saudit"]),
            ("nothing like it", MIN_SCORE, &[]),
        ] {
            assert_eq!(found(keyword, min_score), expected, "{keyword}");
        }
        assert!((likeness("kitten", "sitting") - (1.0 - 3.0 / 7.0)).abs() < 1e-9);
    }
}
