//! `/metrics`: the digest of every file that Falco has loaded, and when it loaded them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::digest::Digest;

/// What a running Falco says it has loaded (Falco's `userspace/falco/falco_metrics.cpp`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// The digests of the loaded rules files. Look them up with [`Loaded::rules_digests`]: Falco 0.38 names them otherwise.
    rules_files: BTreeMap<String, Vec<Digest>>,
    /// The digests of the loaded configuration files, those inside an included directory left out by Falco.
    config_files: BTreeMap<String, Vec<Digest>>,
    /// When the files were last loaded, in nanoseconds since 1970; Falco 0.41 and later.
    pub reload_timestamp: Option<u64>,
    /// When Falco was started, in nanoseconds since 1970.
    pub start_timestamp: Option<u64>,
    /// Falco 0.38 makes the file's name a part of the metric's name, without its extension.
    names_are_stems: bool,
}

impl Loaded {
    /// What a Falco 0.39 or later says that has loaded these rules files, by base name.
    #[must_use]
    pub fn of_rules(rules_files: BTreeMap<String, Vec<Digest>>) -> Self {
        Self { rules_files, ..Self::default() }
    }

    /// The same of a Falco that has also loaded this configuration file.
    #[must_use]
    pub fn with_config(mut self, base_name: &str, digest: Digest) -> Self {
        self.config_files.entry(base_name.into()).or_default().push(digest);
        self
    }

    /// The digests of the loaded rules files with this base name: one for each, as files in two directories may share it.
    #[must_use]
    pub fn rules_digests(&self, base_name: &str) -> &[Digest] {
        self.look_up(&self.rules_files, base_name)
    }

    /// The digests of the loaded configuration files with this base name.
    #[must_use]
    pub fn config_digests(&self, base_name: &str) -> &[Digest] {
        self.look_up(&self.config_files, base_name)
    }

    /// Every loaded rules file as Falco names it, with its digests.
    #[must_use]
    pub const fn rules_files(&self) -> &BTreeMap<String, Vec<Digest>> {
        &self.rules_files
    }

    /// Every loaded configuration file as Falco names it, with its digests.
    #[must_use]
    pub const fn config_files(&self) -> &BTreeMap<String, Vec<Digest>> {
        &self.config_files
    }

    /// Whether it names configuration files at all; without them nothing is known of settings.
    #[must_use]
    pub fn tells_config(&self) -> bool {
        !self.config_files.is_empty()
    }

    fn look_up<'a>(&self, files: &'a BTreeMap<String, Vec<Digest>>, base_name: &str) -> &'a [Digest] {
        let found = if self.names_are_stems { files.get(&stem(base_name)) } else { files.get(base_name) };
        found.map(Vec::as_slice).unwrap_or_default()
    }
}

/// Reads the text of `/metrics` (Prometheus text exposition format 0.0.4) for the names of Falco 0.38 to 0.44; lines of
/// other metrics and of no known form are passed over. `None` when no line is Falco's.
#[must_use]
pub fn loaded(text: &str) -> Option<Loaded> {
    let mut loaded = Loaded::default();
    let mut from_falco = false;
    for (name, labels, value) in text.lines().filter_map(series) {
        let Some(name) = name.strip_prefix("falcosecurity_") else { continue };
        from_falco = true;
        match name {
            "falco_sha256_rules_files_info" => named(&mut loaded.rules_files, &labels),
            "falco_sha256_config_files_info" => named(&mut loaded.config_files, &labels),
            "falco_reload_timestamp_nanoseconds" => loaded.reload_timestamp = whole(value),
            "falco_start_timestamp_nanoseconds" => loaded.start_timestamp = whole(value),
            _ if name.starts_with("falco_falco_sha256_") => {
                loaded.names_are_stems = true;
                for (label, hex) in &labels {
                    if let Some(stem) = label.strip_prefix("falco_sha256_rules_file_") {
                        insert(&mut loaded.rules_files, stem, hex);
                    } else if let Some(stem) = label.strip_prefix("falco_sha256_config_file_") {
                        insert(&mut loaded.config_files, stem, hex);
                    }
                }
            }
            _ => {}
        }
    }
    from_falco.then_some(loaded)
}

fn named(files: &mut BTreeMap<String, Vec<Digest>>, labels: &BTreeMap<String, String>) {
    if let (Some(name), Some(hex)) = (labels.get("file_name"), labels.get("sha256")) {
        insert(files, name, hex);
    }
}

/// Falco repeats a series for each event source that it has open, so an equal digest is the same file.
fn insert(files: &mut BTreeMap<String, Vec<Digest>>, name: &str, hex: &str) {
    if let Ok(digest) = Digest::parse(&format!("sha256:{hex}")) {
        let digests = files.entry(name.into()).or_default();
        if !digests.contains(&digest) {
            digests.push(digest);
        }
    }
}

/// A whole number, also where it is written as `1.7e+18`; digits beyond what a float holds are then lost.
fn whole(value: &str) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in the range of u64")]
    let float = |text: &str| text.parse::<f64>().ok().filter(|n| (0.0..1.8e19).contains(n)).map(|n| n as u64);
    value.parse().ok().or_else(|| float(value))
}

/// `name{label="value",…} value [timestamp]` in its parts.
fn series(line: &str) -> Option<(&str, BTreeMap<String, String>, &str)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(['{', ' ', '\t'])?;
    let (name, mut rest) = line.split_at_checked(end)?;
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, value) = rest.split_once("=\"")?;
            let (value, after) = quoted(value)?;
            labels.insert(label.trim().to_string(), value);
            rest = after;
        }
    }
    Some((name, labels, rest.split_whitespace().next()?))
}

/// The text up to the closing quote, with `\\`, `\"` and `\n` undone, and what follows the quote.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

/// The name without its extension, every run of what a metric's name cannot hold as one `_`, none at the end (Falco 0.38's
/// `falco_utils.cpp`, `sanitize_metric_name`).
fn stem(base_name: &str) -> String {
    let stem = match base_name.rfind('.') {
        Some(dot) if dot > 0 => base_name.get(..dot).unwrap_or(base_name),
        _ => base_name,
    };
    let mut name = String::new();
    for character in stem.chars() {
        let kept = if character.is_ascii_alphanumeric() || character == ':' { character } else { '_' };
        if kept != '_' || !name.ends_with('_') {
            name.push(kept);
        }
    }
    name.trim_end_matches('_').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    const B: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn names_of_0_39_and_later() {
        let text = std::format!(
            "# HELP falcosecurity_falco_sha256_rules_files_info https://falco.org/docs/metrics/\n\
             falcosecurity_falco_sha256_rules_files_info{{file_name=\"a.yaml\",sha256=\"{A}\"}} 1\n\
             falcosecurity_falco_sha256_rules_files_info{{file_name=\"a.yaml\",sha256=\"{B}\"}} 1\n\
             falcosecurity_falco_sha256_rules_files_info{{file_name=\"a.yaml\",sha256=\"{A}\"}} 1\n\
             falcosecurity_falco_sha256_rules_files_info{{file_name=\"q\\\"\\\\\\n}}.yaml\",sha256=\"{A}\"}} 1\n\
             falcosecurity_falco_sha256_config_files_info{{file_name=\"falco.yaml\",sha256=\"{B}\"}} 1\n\
             falcosecurity_falco_sha256_config_files_info{{file_name=\"bad.yaml\",sha256=\"zz\"}} 1\n\
             falcosecurity_falco_reload_timestamp_nanoseconds 1748338536592811359\n\
             falcosecurity_falco_start_timestamp_nanoseconds 1.7e+18 1700000000\nnonsense{{\nother 1\n"
        );
        let loaded = loaded(&text).unwrap();
        assert_eq!(loaded.rules_digests("a.yaml").iter().map(Digest::hex).collect::<Vec<_>>(), [A, B]);
        assert_eq!(loaded.rules_digests("q\"\\\n}.yaml").len(), 1);
        assert_eq!(loaded.config_digests("falco.yaml").len(), 1);
        assert!(loaded.config_digests("bad.yaml").is_empty() && loaded.rules_digests("a").is_empty());
        assert_eq!(loaded.reload_timestamp, Some(1_748_338_536_592_811_359));
        assert_eq!(loaded.start_timestamp, Some(1_700_000_000_000_000_000));
    }

    #[test]
    fn names_of_0_38() {
        let text = std::format!(
            "falcosecurity_falco_falco_sha256_rules_file_10_falco_rules_info{{raw_name=\"falco_sha256_rules_file_10_falco_rules\",falco_sha256_rules_file_10_falco_rules=\"{A}\"}} 1\n\
             falcosecurity_falco_falco_sha256_config_file_falco_info{{raw_name=\"falco_sha256_config_file_falco\",falco_sha256_config_file_falco=\"{B}\"}} 1\n"
        );
        let loaded = loaded(&text).unwrap();
        assert_eq!(loaded.rules_digests("10-falco-rules.yaml").first().map(Digest::hex), Some(A));
        assert_eq!(loaded.config_digests("falco.yaml").first().map(Digest::hex), Some(B));
        assert_eq!(loaded.reload_timestamp, None);
    }

    #[test]
    fn a_page_of_another_program_is_no_answer() {
        assert_eq!(loaded(""), None);
        assert_eq!(loaded("<html>falcosecurity_</html>\ngo_threads 7\n"), None);
    }
}
