//! Tables for people.

/// Rows below a header, in columns as wide as their widest cell; the last column is not filled up. Control characters,
/// which may come from anywhere, are not printed.
pub(super) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let header = header.map(str::to_string);
    let mut widths = [0; N];
    for row in std::iter::once(&header).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&header).chain(rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{:<width$}", printable(cell)));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows =
            [["falco-rules".to_string(), "é".to_string(), "x\x1b".to_string()], ["a", "bc", ""].map(String::from)];
        assert_eq!(
            table(["NAME", "T", "D"], &rows),
            "NAME         T   D\nfalco-rules  é   x\u{fffd}\na            bc\n"
        );
    }
}
