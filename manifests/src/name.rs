//! Names: of hosts, artifacts, indexes, branches and paths.

use alloc::string::String;

use crate::newtype::checked_text;

type Check = Result<(), (&'static str, &'static str)>;

checked_text!(
    /// The name of a host in the fleet: 1 to 253 letters, digits, `.`, `_` and `-`, starting with a letter or a digit.
    /// It becomes a part of a Git reference, so it holds neither `..` nor the ending `.lock`.
    HostName, "host name", host_name
);

checked_text!(
    /// The name of an artifact as falcoctl's indexes spell it: 1 to 128 lower-case letters, digits, `.`, `_` and `-`,
    /// starting with a letter or a digit.
    ArtifactName, "artifact name", artifact_name
);

checked_text!(
    /// The name of an index, of the same form as an artifact's.
    IndexName, "index name", artifact_name
);

checked_text!(
    /// A branch of the desired-state repository without `refs/heads/`, e.g. `main`, well-formed as
    /// `git check-ref-format --branch` has it.
    BranchName, "branch name", branch_name
);

checked_text!(
    /// A path inside a repository, an archive or a generation: parts joined by `/`, none of them empty, `.` or `..`,
    /// no leading `/`, no control characters and no backslash; at most 1,024 bytes.
    RelativePath, "relative path", relative_path
);

checked_text!(
    /// An absolute path on the host, normal in form: it starts with `/` and has no part that is empty, `.` or `..`.
    AbsolutePath, "absolute path", absolute_path
);

impl RelativePath {
    /// A path that this crate has put together from parts that are paths.
    pub(crate) fn known(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The last part.
    #[must_use]
    pub fn base_name(&self) -> &str {
        self.as_str().rsplit('/').next().unwrap_or_default()
    }

    /// `path` below this directory.
    #[must_use]
    pub fn join(&self, path: &Self) -> Self {
        Self(alloc::format!("{self}/{path}"))
    }
}

impl AbsolutePath {
    /// The last part; empty for `/`.
    #[must_use]
    pub fn base_name(&self) -> &str {
        self.as_str().rsplit('/').next().unwrap_or_default()
    }

    /// `path` below this directory.
    #[must_use]
    pub fn join(&self, path: &RelativePath) -> Self {
        let mut joined = String::from(self.as_str().trim_end_matches('/'));
        joined.push('/');
        joined.push_str(path.as_str());
        Self(joined)
    }
}

fn host_name(text: &str) -> Check {
    let hint = "use letters, digits, `.`, `_` and `-`, e.g. web-1.example.org";
    let first = text.bytes().next().ok_or(("is empty", hint))?;
    if !first.is_ascii_alphanumeric() {
        return Err(("does not start with a letter or a digit", hint));
    }
    if text.len() > 253 {
        return Err(("is longer than 253 characters", hint));
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return Err(("has a character that host names do not have", hint));
    }
    if text.contains("..") || text.ends_with('.') || text.to_ascii_lowercase().ends_with(".lock") {
        return Err(("cannot be part of a Git reference", hint));
    }
    Ok(())
}

fn artifact_name(text: &str) -> Check {
    let hint = "use lower-case letters, digits, `.`, `_` and `-`, e.g. falco-rules";
    let first = text.bytes().next().ok_or(("is empty", hint))?;
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return Err(("does not start with a lower-case letter or a digit", hint));
    }
    if text.len() > 128 {
        return Err(("is longer than 128 characters", hint));
    }
    if !text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')) {
        return Err(("has a character that artifact names do not have", hint));
    }
    Ok(())
}

fn branch_name(text: &str) -> Check {
    let hint = "name the branch without refs/heads/, e.g. main";
    if text.is_empty() {
        return Err(("is empty", hint));
    }
    if text.starts_with("refs/") {
        return Err(("starts with refs/", hint));
    }
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    if text.len() > 244
        || text.contains(forbidden)
        || text.contains("..")
        || text.contains("@{")
        || text.ends_with('.')
        || text.starts_with('-')
        || text == "@"
        || text.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock"))
    {
        return Err(("is not a well-formed branch name", hint));
    }
    Ok(())
}

fn relative_path(text: &str) -> Check {
    let hint = "give a path below the root with `/` between its parts, e.g. rules/acme.yaml";
    if text.starts_with('/') {
        return Err(("is absolute", hint));
    }
    path_parts(text, text, hint)
}

fn absolute_path(text: &str) -> Check {
    let hint = "give the path from the root, e.g. /etc/falco/falco_rules.local.yaml";
    match text.strip_prefix('/') {
        Some("") => Ok(()),
        Some(rest) => path_parts(text, rest, hint),
        None => Err(("is not absolute", hint)),
    }
}

fn path_parts(text: &str, parts: &str, hint: &'static str) -> Check {
    if parts.is_empty() {
        return Err(("is empty", hint));
    }
    if text.len() > 1024 {
        return Err(("is longer than 1,024 bytes", hint));
    }
    if text.contains(|c: char| c.is_control() || c == '\\') {
        return Err(("has a control character or a backslash", hint));
    }
    if parts.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(("has an empty part, `.` or `..`", hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_taken_and_refused() {
        for good in ["web-1", "a", "Web_1.example.org", "10.0.0.1"] {
            assert!(HostName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a..b", "a.lock", "a/b", "a b", "a.", "é"] {
            assert!(HostName::parse(bad).is_err(), "{bad}");
        }
        for bad in ["Falco", "", "a/b", "a:b", "_a"] {
            assert!(ArtifactName::parse(bad).is_err(), "{bad}");
        }
        for good in ["main", "release/1.0", "feature_x"] {
            assert!(BranchName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "refs/heads/main", "a..b", "a b", "-x", "a//b", "a/.b", "x.lock", "a@{1}"] {
            assert!(BranchName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_that_are_taken_and_refused() {
        for good in ["a", "rules/acme.yaml", "a..b", "..."] {
            assert!(RelativePath::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "a\nb"] {
            assert!(RelativePath::parse(bad).is_err(), "{bad}");
        }
        for good in ["/", "/etc/falco"] {
            assert!(AbsolutePath::parse(good).is_ok(), "{good}");
        }
        for bad in ["etc", "", "/a/../b", "//a", "/a/"] {
            assert!(AbsolutePath::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_join() {
        let rules = RelativePath::parse("rules/10-a.yaml").unwrap();
        assert_eq!(rules.base_name(), "10-a.yaml");
        assert_eq!(AbsolutePath::parse("/var").unwrap().join(&rules).as_str(), "/var/rules/10-a.yaml");
        assert_eq!(AbsolutePath::parse("/").unwrap().join(&rules).as_str(), "/rules/10-a.yaml");
    }
}
