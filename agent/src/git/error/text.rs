//! Texts of other sides in errors of ours.

/// A text from the other side, fit for a line of ours: no control characters, at most the last 400 characters.
pub(in crate::git) fn sanitised(text: &str) -> String {
    let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let text = words.join(" ");
    let skip = text.chars().count().saturating_sub(400);
    text.chars().skip(skip).collect()
}

/// The names of a list, for the end of a sentence.
pub(super) fn listed(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!("; it has {}", others.join(", ")) }
}
