//! Repositories made with the real git, in an environment of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What git finds in its environment besides `PATH`: no configuration but the repository's, and one author.
pub const ENVIRONMENT: [(&str, &str); 8] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("GIT_AUTHOR_NAME", "Ada"),
    ("GIT_AUTHOR_EMAIL", "ada@example.org"),
    ("GIT_COMMITTER_NAME", "Ada"),
    ("GIT_COMMITTER_EMAIL", "ada@example.org"),
    ("LC_ALL", "C"),
];

/// A bare repository, changed by plumbing only.
#[derive(Debug, Clone)]
pub struct Fixture {
    path: PathBuf,
}

/// One entry of a tree to be made: mode, path, and the object's id.
pub type Entry<'a> = (&'a str, &'a str, String);

impl Fixture {
    /// An empty repository in `path`.
    ///
    /// # Errors
    /// When git fails.
    pub fn create(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let fixture = Self { path: path.to_owned() };
        fixture.git(&["init", "--quiet", "--bare", "--initial-branch=main", "."])?;
        Ok(fixture)
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs git in the repository and gives back what it prints, without the last line feed.
    ///
    /// # Errors
    /// When git fails.
    pub fn git(&self, arguments: &[&str]) -> io::Result<String> {
        self.git_with(arguments, b"")
    }

    /// The same with `input` on its standard input.
    ///
    /// # Errors
    /// When git fails.
    pub fn git_with(&self, arguments: &[&str], input: &[u8]) -> io::Result<String> {
        self.run(arguments, input, None)
    }

    /// Stores a blob.
    ///
    /// # Errors
    /// When git fails.
    pub fn blob(&self, content: &[u8]) -> io::Result<String> {
        self.git_with(&["hash-object", "-w", "--stdin"], content)
    }

    /// Commits a tree of `entries` on top of `parents` and points `branch` to it.
    ///
    /// # Errors
    /// When git fails.
    pub fn commit(&self, branch: &str, parents: &[&str], entries: &[Entry<'_>]) -> io::Result<String> {
        let tree = self.tree(entries)?;
        let mut arguments = vec!["commit-tree", "-m", "a change", &tree];
        arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
        let commit = self.git(&arguments)?;
        self.git(&["update-ref", &format!("refs/heads/{branch}"), &commit])?;
        Ok(commit)
    }

    /// Commits one file, on top of what `branch` is, or as its first commit.
    ///
    /// # Errors
    /// When git fails.
    pub fn commit_file(&self, branch: &str, path: &str, content: &[u8]) -> io::Result<String> {
        let parent = self.git(&["rev-parse", "--verify", "--quiet", &format!("refs/heads/{branch}")]).ok();
        let blob = self.blob(content)?;
        let parents: Vec<_> = parent.iter().map(String::as_str).collect();
        self.commit(branch, &parents, &[("100644", path, blob)])
    }

    /// Points `branch` to a new history of `count` commits.
    ///
    /// # Errors
    /// When git fails.
    pub fn history(&self, branch: &str, count: usize) -> io::Result<()> {
        let mut stream = format!("reset refs/heads/{branch}\n\n");
        for number in 0..count {
            let content = format!("version: 1 # {number}");
            stream.push_str(&format!("commit refs/heads/{branch}\ncommitter Ada <ada@example.org> {number} +0000\n"));
            stream.push_str(&format!("data 1\nx\nM 100644 inline fleet.yaml\ndata {}\n{content}\n", content.len()));
        }
        self.git_with(&["fast-import", "--quiet", "--force"], stream.as_bytes()).map(drop)
    }

    /// Makes `count` references below `refs/falconer/hosts/`, all to `commit`.
    ///
    /// # Errors
    /// When git fails.
    pub fn crowd(&self, commit: &str, count: usize) -> io::Result<()> {
        let lines: String =
            (0..count).map(|i| format!("create refs/falconer/hosts/{:02x}/web-{i} {commit}\n", i % 256)).collect();
        self.git_with(&["update-ref", "--stdin"], lines.as_bytes()).map(drop)
    }

    /// Installs an executable hook.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn hook(&self, name: &str, script: &str) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.path.join("hooks").join(name);
        std::fs::create_dir_all(self.path.join("hooks"))?;
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
    }

    /// A tree, made through an index of its own so that paths may be nested.
    fn tree(&self, entries: &[Entry<'_>]) -> io::Result<String> {
        let directory = tempfile::tempdir_in(&self.path)?;
        let index = directory.path().join("index");
        let lines: String = entries.iter().map(|(mode, path, id)| format!("{mode} {id}\t{path}\n")).collect();
        self.run(&["update-index", "--index-info"], lines.as_bytes(), Some(&index))?;
        self.run(&["write-tree"], b"", Some(&index))
    }

    fn run(&self, arguments: &[&str], input: &[u8], index: Option<&Path>) -> io::Result<String> {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&self.path).env_clear().envs(ENVIRONMENT);
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(index.map(|index| ("GIT_INDEX_FILE", index)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            io::Write::write_all(&mut stdin, input)?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("git {}: {stderr}", arguments.join(" "))));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}
