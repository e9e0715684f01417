//! Where falcoctl writes to.

use alloc::string::{String, ToString};

use super::{FALCOCTL_CAP, Keys};
use crate::yaml::{self, Value};

/// The directories that a falcoctl.yaml names; `None` where it names none, and falcoctl takes its own default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directories {
    /// Of rules files, for `falcoctl artifact follow`.
    pub follow_rules: Option<String>,
    /// Of plugins, for `falcoctl artifact follow`.
    pub follow_plugins: Option<String>,
    /// Of rules files, for `falcoctl artifact install`.
    pub install_rules: Option<String>,
    /// Of plugins, for `falcoctl artifact install`.
    pub install_plugins: Option<String>,
}

/// The directories that a falcoctl.yaml names. A text that falcoctl cannot read names none.
#[must_use]
pub fn directories(text: &str) -> Directories {
    let Ok(parsed) = yaml::parse_lenient("falcoctl.yaml", text, FALCOCTL_CAP) else { return Directories::default() };
    let mut keys = Keys::default();
    if let Some(root) = parsed.documents.first() {
        keys.add(root, "");
    }
    let path = |key| match keys.get(key).map(|(_, node)| &node.value) {
        Some(Value::Scalar { text, .. }) if !text.is_empty() => Some(text.to_string()),
        _ => None,
    };
    Directories {
        follow_rules: path("artifact.follow.rulesfilesdir"),
        follow_plugins: path("artifact.follow.pluginsdir"),
        install_rules: path("artifact.install.rulesfilesdir"),
        install_plugins: path("artifact.install.pluginsdir"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_in_any_case_and_none_where_nothing_is_said() {
        let text =
            "artifact:\n  follow:\n    rulesFilesDir: /rules\n    refs: [a]\n  install:\n    pluginsDir: /plugins\n";
        let found = directories(text);
        assert_eq!(
            (found.follow_rules.as_deref(), found.install_plugins.as_deref()),
            (Some("/rules"), Some("/plugins"))
        );
        assert_eq!((found.follow_plugins, found.install_rules), (None, None));
        for text in ["", "[", "a: 1\n", "artifact: {follow: {rulesfilesdir: [x]}}\n"] {
            assert_eq!(directories(text), Directories::default(), "{text}");
        }
    }
}
