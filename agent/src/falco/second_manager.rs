//! Finds a falcoctl that writes into directories that matter to us.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use falconer_manifests::falcoctl_yaml::{Directories, FALCOCTL_CAP, directories};

use super::{FalcoError, Memory};

/// Where falcoctl looks for its configuration and writes to unless it is told otherwise (falcoctl,
/// `pkg/options/directory_options.go` and `internal/config/config.go`).
const CONFIG: &str = "/etc/falcoctl/falcoctl.yaml";
const RULES: &str = "/etc/falco";
const PLUGINS: &str = "/usr/share/falco/plugins";

/// The words that can stand where a command is meant.
const COMMANDS: [&str; 9] = ["artifact", "follow", "install", "search", "info", "list", "config", "manifest", "help"];

/// A falcoctl that writes, or would write, into a directory that matters to us.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecondManager {
    /// The process that does; `None` when only its configuration says that it would.
    pub pid: Option<u32>,
    /// The configuration that says so, where one does.
    pub config: PathBuf,
    /// The directory.
    pub directory: PathBuf,
}

/// Looks for `falcoctl artifact follow` among the processes, and into the configuration at `config`: who writes into one of
/// `matter`? A configuration alone counts where it names the directory itself. Those that
/// `memory` knows are taken for all while it is fresh.
///
/// # Errors
/// [`FalcoError::Processes`] when the list of processes cannot be read.
pub fn second_managers(memory: &Memory, config: &Path, matter: &[PathBuf]) -> Result<Vec<SecondManager>, FalcoError> {
    let matter: Vec<_> = matter.iter().filter_map(|path| fs_err::canonicalize(path).ok()).collect();
    let mut found = Vec::new();
    let mut add = |pid, config: &Path, written: &[PathBuf]| {
        for path in written {
            if let Some(directory) = fs_err::canonicalize(path).ok().filter(|path| matter.contains(path)) {
                found.push(SecondManager { pid, config: config.to_path_buf(), directory });
            }
        }
    };
    let now = Instant::now();
    let (pids, known) = match memory.followers(now) {
        Some(known) => (known, true),
        None => (processes()?, false),
    };
    let mut followers = Vec::new();
    for pid in pids {
        // A process that has ended meanwhile, or that hides itself, is none.
        let Ok(line) = fs_err::read(format!("/proc/{pid}/cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line);
        let words: Vec<_> = line.split_terminator('\0').collect();
        if !follows(&words) {
            continue;
        }
        followers.push(pid);
        let here = fs_err::read_link(format!("/proc/{pid}/cwd")).unwrap_or_else(|_| "/".into());
        let its_config = here.join(flag(&words, "--config").unwrap_or(CONFIG));
        let named = read(&its_config);
        let rules = flag(&words, "--rulesfiles-dir").or(named.follow_rules.as_deref()).unwrap_or(RULES);
        let plugins = flag(&words, "--plugins-dir").or(named.follow_plugins.as_deref()).unwrap_or(PLUGINS);
        add(Some(pid), &its_config, &[here.join(rules), here.join(plugins)]);
    }
    if !known {
        memory.follow(followers, now);
    }
    let named = read(config);
    let named = [named.follow_rules, named.follow_plugins, named.install_rules, named.install_plugins];
    add(None, config, &named.into_iter().flatten().map(PathBuf::from).collect::<Vec<_>>());
    found.sort();
    // Who runs has said it for the configuration.
    let running: Vec<_> = found.iter().filter(|one| one.pid.is_some()).map(|one| one.directory.clone()).collect();
    found.retain(|one| one.pid.is_some() || !running.contains(&one.directory));
    found.dedup();
    Ok(found)
}

fn processes() -> Result<Vec<u32>, FalcoError> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir("/proc").map_err(FalcoError::Processes)? {
        let name = entry.map_err(FalcoError::Processes)?.file_name();
        found.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(found)
}

/// Whether the words are those of `falcoctl artifact follow`, whatever flags stand between them.
fn follows(words: &[&str]) -> bool {
    let Some((program, rest)) = words.split_first() else { return false };
    let is_falcoctl = Path::new(program).file_name().is_some_and(|name| name == "falcoctl");
    let mut commands = rest.iter().filter(|word| COMMANDS.contains(word));
    is_falcoctl && commands.next() == Some(&"artifact") && commands.next() == Some(&"follow")
}

/// The value of a flag, written `--flag value` or `--flag=value`; the last one counts.
fn flag<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    let mut value = None;
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if *word == name {
            value = rest.next().copied();
        } else if let Some(text) = word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
            value = Some(text);
        }
    }
    value
}

/// What a falcoctl.yaml names; nothing where there is none or it cannot be read: it is no file of ours.
fn read(path: &Path) -> Directories {
    let mut text = String::new();
    let file =
        fs_err::metadata(path).ok().filter(std::fs::Metadata::is_file).and_then(|_| fs_err::File::open(path).ok());
    match file.map(|file| file.take(FALCOCTL_CAP as u64).read_to_string(&mut text)) {
        Some(Ok(_)) => directories(&text),
        _ => Directories::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_follower_by_its_words() {
        assert!(follows(&[
            "/usr/bin/falcoctl",
            "--log-format=json",
            "artifact",
            "follow",
            "--allowed-types=rulesfile"
        ]));
        for other in [
            &["falcoctl", "artifact", "install", "follow"][..],
            &["vi", "falcoctl", "artifact", "follow"],
            &["falcoctl", "follow", "artifact"],
            &["falcoctl"],
            &[],
        ] {
            assert!(!follows(other), "{other:?}");
        }
        let words = ["falcoctl", "--rulesfiles-dir", "/a", "--plugins-dir=/b", "--rulesfiles-dir=/c"];
        assert_eq!((flag(&words, "--rulesfiles-dir"), flag(&words, "--plugins-dir")), (Some("/c"), Some("/b")));
        assert_eq!(flag(&words, "--config"), None);
    }

    #[test]
    fn a_configuration_that_names_a_directory_that_matters() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("falcoctl.yaml");
        let text =
            format!("artifact: {{install: {{rulesfilesDir: {0}/., pluginsDir: {0}/other}}}}\n", dir.path().display());
        fs_err::write(&config, text).unwrap();
        let of_config = |matter: &Path| second_managers(&Memory::default(), &config, &[matter.to_path_buf()]).unwrap();
        let directory = dir.path().canonicalize().unwrap();
        assert_eq!(of_config(dir.path()), [SecondManager { pid: None, config: config.clone(), directory }]);
        assert_eq!(of_config(&dir.path().join("nowhere")), []);
    }
}
