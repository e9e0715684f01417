//! Which names in which directories matter, for given paths.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows in one path.
const LINKS_CAP: usize = 40;

/// For each directory on the way to a path, the names in it that matter; and where the paths lead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Interests {
    names: BTreeMap<PathBuf, Names>,
    ends: BTreeSet<PathBuf>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    all: bool,
    some: BTreeSet<OsString>,
}

impl Interests {
    /// The interests in `paths` as they lead now.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut interests = Self::default();
        for path in paths {
            // Without a working directory a relative path leads nowhere.
            if let Ok(path) = std::path::absolute(path) {
                interests.add(&path);
            }
        }
        interests
    }

    /// Whether a change of `path` matters.
    pub(super) fn matters(&self, path: &Path) -> bool {
        let of_parent = path.parent().zip(path.file_name()).is_some_and(|(parent, name)| {
            self.names.get(parent).is_some_and(|names| names.all || names.some.contains(name))
        });
        of_parent || self.names.get(path).is_some_and(|names| names.all)
    }

    /// The directories in which names may come and go; others write there as they like. None of their paths leads through
    /// a symbolic link.
    pub(super) fn ways(&self) -> impl Iterator<Item = &Path> {
        self.names.keys().filter(|directory| !self.ends.contains(*directory)).map(PathBuf::as_path)
    }

    /// The files and directories in which everything matters. None of their paths leads through a symbolic link.
    pub(super) fn ends(&self) -> impl Iterator<Item = &Path> {
        self.ends.iter().map(PathBuf::as_path)
    }

    /// Walks along `path` as the kernel does, as far as it exists.
    fn add(&mut self, path: &Path) {
        let mut here = PathBuf::from("/");
        let mut left: VecDeque<OsString> = parts(path);
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == ".." {
                here.pop();
                continue;
            }
            self.names.entry(here.clone()).or_default().some.insert(part.clone());
            let next = here.join(&part);
            let Ok(data) = next.symlink_metadata() else { return };
            if !data.is_symlink() {
                here = next;
                continue;
            }
            links += 1;
            let Ok(target) = next.read_link() else { return };
            if links > LINKS_CAP {
                return;
            }
            if target.is_absolute() {
                here = PathBuf::from("/");
            }
            for part in parts(&target).into_iter().rev() {
                left.push_front(part);
            }
        }
        if here.is_dir() {
            self.names.entry(here.clone()).or_default().all = true;
        }
        self.ends.insert(here);
    }
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component| match component {
        Component::Normal(part) => Some(part.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(part).collect()
}
