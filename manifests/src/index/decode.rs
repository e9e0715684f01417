//! From the tree to the index.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Cosign, INDEX_CAP, IndexEntry, Maintainer};
use crate::finding::Findings;
use crate::name::ArtifactName;
use crate::reference::Source;
use crate::yaml::{self, Meaning, Node, Problems, Value};

const HINT: &str = "this is the index's own text: tell its publisher, or use another index";

pub(super) fn index(file: &str, text: &str) -> Result<Vec<IndexEntry>, Findings> {
    // As lenient as falcoctl's reader, which takes anchors too; like it, this one does not take duplicate keys.
    let parsed = yaml::parse_lenient(file, text, INDEX_CAP)?;
    let mut problems = Problems::with(file, parsed.findings);
    let mut entries = Vec::new();
    if let Some(root) = parsed.documents.into_iter().next().filter(|root| !root.is_null()) {
        problems.sequence(&root, "a list of artifacts", HINT);
        if let Value::Sequence(items) = root.value {
            // By value, so that the tree is freed while the entries grow.
            entries = items.into_iter().filter_map(|item| Some((entry(&mut problems, &item)?, item.at))).collect();
        }
    }
    entries.sort_by(|(a, a_at), (b, b_at)| (&a.name, a_at).cmp(&(&b.name, b_at)));
    for (first, second) in entries.iter().zip(entries.iter().skip(1)) {
        if first.0.name == second.0.name {
            problems.report(second.1, format!("the artifact `{}` stands twice", second.0.name), HINT);
        }
    }
    problems.finish(entries.into_iter().map(|(entry, _)| entry).collect())
}

fn entry(problems: &mut Problems<'_>, item: &Node) -> Option<IndexEntry> {
    problems.mapping(item, "an artifact as a map", HINT)?;
    let name = required(problems, item, "name");
    let registry = required(problems, item, "registry");
    let repository = required(problems, item, "repository");
    let name = name.and_then(|(node, text)| problems.accepted(node.at, ArtifactName::parse(text)));
    let source = registry.zip(repository).and_then(|((node, registry), (_, repository))| {
        problems.accepted(node.at, Source::parse(&format!("{registry}/{repository}")))
    });
    let entry = IndexEntry {
        name: name?,
        kind: Some(text(problems, item, "type")).filter(|kind| !kind.is_empty()),
        source: source?,
        description: text(problems, item, "description"),
        home: text(problems, item, "home"),
        keywords: texts(problems, item, "keywords"),
        license: text(problems, item, "license"),
        maintainers: list(problems, item, "maintainers")
            .iter()
            .map(|node| Maintainer { email: text(problems, node, "email"), name: text(problems, node, "name") })
            .collect(),
        sources: texts(problems, item, "sources"),
        cosign: item
            .get("signature")
            .and_then(|signature| signature.get("cosign"))
            .map(|node| Box::new(cosign(problems, node))),
    };
    Some(entry)
}

fn cosign(problems: &mut Problems<'_>, node: &Node) -> Cosign {
    Cosign {
        certificate_oidc_issuer: text(problems, node, "certificate-oidc-issuer"),
        certificate_oidc_issuer_regexp: text(problems, node, "certificate-oidc-issuer-regexp"),
        certificate_identity: text(problems, node, "certificate-identity"),
        certificate_identity_regexp: text(problems, node, "certificate-identity-regexp"),
        certificate_github_workflow: text(problems, node, "certificate-github-workflow"),
        key: text(problems, node, "key"),
        ignore_tlog: match node.get("ignore-tlog").map(|node| (node, node.meaning())) {
            None | Some((_, Some(Meaning::Null))) => false,
            Some((_, Some(Meaning::Boolean(ignore)))) => ignore,
            Some((node, _)) => {
                problems.unexpected(node, "true or false", HINT);
                false
            }
        },
    }
}

fn required<'n>(problems: &mut Problems<'_>, item: &'n Node, key: &str) -> Option<(&'n Node, &'n str)> {
    match item.get(key) {
        Some(node) => problems.text(node, &format!("the {key} as text"), HINT).map(|text| (node, text)),
        None => {
            problems.report(item.at, format!("the artifact has no `{key}`"), HINT);
            None
        }
    }
}

/// The text under an optional key; empty when there is none.
fn text(problems: &mut Problems<'_>, item: &Node, key: &str) -> String {
    match item.get(key) {
        Some(node) if !node.is_null() => {
            problems.text(node, &format!("`{key}` as text"), HINT).unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

fn list<'n>(problems: &mut Problems<'_>, item: &'n Node, key: &str) -> &'n [Node] {
    match item.get(key) {
        Some(node) if !node.is_null() => {
            problems.sequence(node, &format!("`{key}` as a list"), HINT).unwrap_or_default()
        }
        _ => &[],
    }
}

fn texts(problems: &mut Problems<'_>, item: &Node, key: &str) -> Vec<String> {
    let hint = HINT;
    list(problems, item, key)
        .iter()
        .filter_map(|node| problems.text(node, "a text", hint))
        .map(ToOwned::to_owned)
        .collect()
}
