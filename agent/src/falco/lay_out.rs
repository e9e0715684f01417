//! Leaves files to the host's owner, in a directory of their own.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use falconer_manifests::name::RelativePath;

use super::FalcoError;

/// Makes `directory` with `files` in it, durably and in one rename; `false` when it is there with these very files, e.g.
/// because whoever made it was interrupted afterwards.
///
/// # Errors
/// [`FalcoError::Taken`] when something else is there, [`FalcoError::LayOut`] when a file operation fails.
pub fn lay_out(directory: &Path, files: &[(RelativePath, Vec<u8>)]) -> Result<bool, FalcoError> {
    let failed = |source| FalcoError::LayOut { path: directory.into(), source };
    match fs_err::symlink_metadata(directory) {
        Ok(_) if holds(directory, files).map_err(failed)? => return Ok(false),
        Ok(_) => return Err(FalcoError::Taken { path: directory.into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let parent = directory.parent().unwrap_or(Path::new("/"));
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    // Always the same, so that what a crash leaves goes with the next attempt: whoever ejects holds the state directory.
    let temporary = parent.join(format!(".{name}.falconer"));
    let cleared = match fs_err::remove_dir_all(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let made = cleared.and_then(|()| write_all(&temporary, files)).and_then(|()| fs_err::rename(&temporary, directory));
    if made.is_err() {
        // The first error is the one to tell.
        let _not_there = fs_err::remove_dir_all(&temporary);
    }
    made.and_then(|()| sync(parent)).map_err(failed)?;
    Ok(true)
}

/// Removes what [`lay_out`] has made a moment ago.
///
/// # Errors
/// [`FalcoError::LayOut`]
pub fn take_back(directory: &Path) -> Result<(), FalcoError> {
    fs_err::remove_dir_all(directory).map_err(|source| FalcoError::LayOut { path: directory.into(), source })
}

fn write_all(root: &Path, files: &[(RelativePath, Vec<u8>)]) -> io::Result<()> {
    // Whatever the umask is: Falco may run as another user.
    let create = |directory: &Path| {
        fs_err::create_dir(directory)?;
        fs_err::set_permissions(directory, Permissions::from_mode(0o755))
    };
    create(root)?;
    let mut directories = vec![root.to_path_buf()];
    for (path, bytes) in files {
        let path = root.join(path.as_str());
        let missing: Vec<PathBuf> = path
            .ancestors()
            .skip(1)
            .take_while(|above| !directories.iter().any(|made| made == above))
            .map(PathBuf::from)
            .collect();
        for directory in missing.into_iter().rev() {
            create(&directory)?;
            directories.push(directory);
        }
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = options.open(&path)?;
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.sync_all()?;
    }
    directories.iter().rev().try_for_each(|directory| sync(directory))
}

fn sync(directory: &Path) -> io::Result<()> {
    fs_err::File::open(directory)?.sync_all()
}

fn holds(directory: &Path, files: &[(RelativePath, Vec<u8>)]) -> io::Result<bool> {
    for (path, bytes) in files {
        match fs_err::read(directory.join(path.as_str())) {
            Ok(there) if there == *bytes => {}
            Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(error);
            }
            _ => return Ok(false),
        }
    }
    Ok(!files.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_or_not_at_all_and_never_over_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("out");
        let file = |path: &str, text: &str| (RelativePath::parse(path).unwrap(), text.as_bytes().to_vec());
        let files = [file("rules/10-a.yaml", "a"), file("plugins/p/x/lib.so", "p"), file("falco.yaml", "f")];
        // What an attempt before has left when it was killed.
        fs_err::create_dir_all(dir.path().join(".out.falconer/rules")).unwrap();
        assert!(lay_out(&to, &files).unwrap());
        assert_eq!(fs_err::read_to_string(to.join("plugins/p/x/lib.so")).unwrap(), "p");
        assert!(!lay_out(&to, &files).unwrap(), "again, after an interruption");
        let other = [file("rules/10-a.yaml", "b")];
        assert!(matches!(lay_out(&to, &other), Err(FalcoError::Taken { .. })));
        assert_eq!(fs_err::read_to_string(to.join("rules/10-a.yaml")).unwrap(), "a");
        let nowhere = dir.path().join("no/such/parent");
        assert!(matches!(lay_out(&nowhere, &files), Err(FalcoError::LayOut { .. })));
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }
}
