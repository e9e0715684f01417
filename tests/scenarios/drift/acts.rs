//! What somebody may do to what falconer has placed, and how that is told.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

/// Something that somebody does to the live generation or to `current`, and how it is told.
pub(super) struct Act {
    pub(super) name: &'static str,
    /// Done to the path of the state directory, with the path of the live generation.
    pub(super) does: fn(&Path, &Path),
    /// The kind of drift.
    pub(super) kind: &'static str,
    /// The path that is named, below the live generation; `None` for `current`.
    pub(super) path: Option<&'static str>,
}

pub(super) const RULES_FILE: &str = "rules/10-acme-rules.yaml";
/// The files of a generation with one artifact.
pub(super) const FILES: [&str; 4] = [RULES_FILE, "falconer.yaml", "falconer.lock", "MANIFEST"];

/// Something that is done to a file: in words, how, and the kind of drift.
pub(super) type ToFile = (&'static str, fn(&Path), &'static str);

/// What can be done to any file.
pub(super) const TO_FILES: [ToFile; 7] = [
    ("is edited", |file| append(file), "modified"),
    ("is emptied", |file| std::fs::write(file, "").unwrap(), "modified"),
    ("is removed", |file| std::fs::remove_file(file).unwrap(), "missing"),
    ("is opened to all", |file| chmod(file, 0o666), "mode"),
    ("is replaced by a link to its own copy", |file| link_to_copy(file), "replaced"),
    ("is replaced by a directory", |file| in_place_of(file, |file| std::fs::create_dir(file).unwrap()), "replaced"),
    ("is replaced by a FIFO", |file| in_place_of(file, mkfifo), "replaced"),
];

/// What can be done to the rest.
pub(super) const TO_THE_REST: [Act; 17] = [
    Act {
        name: "a rules file is added",
        does: |_, live| std::fs::write(live.join("rules/99-evil.yaml"), "").unwrap(),
        kind: "extra",
        path: Some("rules/99-evil.yaml"),
    },
    Act {
        name: "a hidden file is added",
        does: |_, live| std::fs::write(live.join(".x"), "").unwrap(),
        kind: "extra",
        path: Some(".x"),
    },
    Act {
        name: "a directory is added",
        does: |_, live| std::fs::create_dir(live.join("more")).unwrap(),
        kind: "extra",
        path: Some("more"),
    },
    Act {
        name: "a link is added",
        does: |_, live| symlink("/etc/passwd", live.join("rules/link")).unwrap(),
        kind: "extra",
        path: Some("rules/link"),
    },
    Act {
        name: "the directory of rules is removed",
        does: |_, live| std::fs::remove_dir_all(live.join("rules")).unwrap(),
        kind: "missing",
        path: Some(RULES_FILE),
    },
    Act {
        name: "the directory of rules is a link elsewhere",
        does: |state, live| {
            std::fs::rename(live.join("rules"), state.join("../elsewhere")).unwrap();
            symlink(state.join("../elsewhere"), live.join("rules")).unwrap();
        },
        kind: "missing",
        path: Some(RULES_FILE),
    },
    Act {
        name: "the directory of rules is opened to all",
        does: |_, live| chmod(&live.join("rules"), 0o777),
        kind: "mode",
        path: Some("rules"),
    },
    Act { name: "the generation is opened to all", does: |_, live| chmod(live, 0o777), kind: "mode", path: Some("") },
    Act {
        name: "the generation is removed",
        does: |_, live| std::fs::remove_dir_all(live).unwrap(),
        kind: "missing",
        path: Some(""),
    },
    Act {
        name: "the generation is a file",
        does: |_, live| {
            std::fs::remove_dir_all(live).unwrap();
            std::fs::write(live, "x").unwrap();
        },
        kind: "replaced",
        path: Some(""),
    },
    Act {
        name: "the generation is a link to where it was moved",
        does: |state, live| {
            std::fs::rename(live, state.join("../moved")).unwrap();
            symlink(state.join("../moved"), live).unwrap();
        },
        kind: "replaced",
        path: Some(""),
    },
    Act {
        name: "current is removed",
        does: |state, _| std::fs::remove_file(state.join("current")).unwrap(),
        kind: "missing",
        path: None,
    },
    Act {
        name: "current names another generation",
        does: |state, _| point(state, "generations/1"),
        kind: "modified",
        path: None,
    },
    Act {
        name: "current names a generation that is not there",
        does: |state, _| point(state, "generations/4711"),
        kind: "modified",
        path: None,
    },
    Act { name: "current leads elsewhere", does: |state, _| point(state, "/etc"), kind: "replaced", path: None },
    Act {
        name: "current is a directory",
        does: |state, _| {
            in_place_of(&state.join("current"), |current| std::fs::create_dir(current).unwrap());
            std::fs::write(state.join("current/somebody's"), "work").unwrap();
        },
        kind: "replaced",
        path: None,
    },
    Act {
        name: "current is a file",
        does: |state, _| in_place_of(&state.join("current"), |current| std::fs::write(current, "work").unwrap()),
        kind: "replaced",
        path: None,
    },
];

pub(super) fn append(file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    std::fs::write(file, text + "# somebody was here\n").unwrap();
}

pub(super) fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn in_place_of(path: &Path, put: impl Fn(&Path)) {
    std::fs::remove_file(path).unwrap();
    put(path);
}

fn link_to_copy(file: &Path) {
    let copy = file.ancestors().find(|path| path.ends_with("state")).unwrap().join("../copy");
    std::fs::rename(file, &copy).unwrap();
    symlink(copy, file).unwrap();
}

fn mkfifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

pub(super) fn point(state: &Path, target: &str) {
    in_place_of(&state.join("current"), |current| symlink(target, current).unwrap());
}
