//! Words for people: what was written, made safe to print, and what was probably meant.

use alloc::string::String;
use alloc::vec::Vec;

/// Longest text that a message repeats, in characters.
const SHOWN: usize = 80;

/// How many candidates are compared: a suggestion is not worth more time.
const CANDIDATES: usize = 1_000;

/// `text` as it may stand in a message: on one line, without control characters, cut where it is long.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String =
        text.chars().take(SHOWN).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The candidate that `word` most likely is a slip of: at most a third of its letters differ.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let letters: Vec<char> = word.chars().take(SHOWN).collect();
    candidates
        .into_iter()
        .take(CANDIDATES)
        .map(|candidate| (distance(&letters, &candidate.chars().take(SHOWN).collect::<Vec<_>>()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.iter().enumerate() {
        let mut row = alloc::vec![i + 1];
        for (j, other) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, j) + usize::from(letter != other)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(other) && b.get(j - 1) == Some(letter);
            if swapped {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
        }
        before = core::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word() {
        let known = ["version", "indexes", "artifacts", "rules_files", "config"];
        for (word, meant) in [
            ("artefacts", Some("artifacts")),
            ("artifact", Some("artifacts")),
            ("rule_files", Some("rules_files")),
            ("ocnfig", Some("config")),
            ("verison", Some("version")),
            ("plugins", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }

    #[test]
    fn shown_text_is_short_and_on_one_line() {
        assert_eq!(shown("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(shown(&"é".repeat(100)).chars().count(), 81);
    }
}
