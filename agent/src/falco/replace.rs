//! Replaces falco.yaml as a whole.

use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::FalcoError;

/// Replaces the text of `path` in one step that a crash cannot tear, keeping its mode and owner. Where `path` is a symbolic
/// link, the file that it leads to is replaced and the link stays. `before` is the text that `after` was made from.
///
/// # Errors
/// [`FalcoError::Changed`] when the file no longer has the text `before`, [`FalcoError::Replace`] when a file operation fails;
/// the old file is then in place.
pub fn adopt(path: &Path, before: &str, after: &str) -> Result<(), FalcoError> {
    let failed = |source| FalcoError::Replace { path: path.into(), source };
    let real = fs_err::canonicalize(path).map_err(failed)?;
    let parent = real.parent().unwrap_or(Path::new("/"));
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    // Beside the file, because a rename does not cross file systems; hidden, and not ending in .yaml. Always the same, so
    // that what a crash leaves goes with the next edit: whoever edits holds the state directory.
    let temporary = parent.join(format!(".{name}.falconer"));
    let unchanged = || Ok(fs_err::read(&real).map_err(failed)? == before.as_bytes());
    if !unchanged()? {
        return Err(FalcoError::Changed { path: path.into() });
    }
    let replaced = write_like(&real, &temporary, after).map_err(failed).and_then(|()| {
        if !unchanged()? {
            return Err(FalcoError::Changed { path: path.into() });
        }
        fs_err::rename(&temporary, &real).map_err(failed)
    });
    if replaced.is_err() {
        // The first error is the one to tell.
        let _not_there = fs_err::remove_file(&temporary);
        return replaced;
    }
    fs_err::File::open(parent).and_then(|directory| directory.sync_all()).map_err(failed)
}

fn write_like(real: &Path, temporary: &Path, text: &str) -> io::Result<()> {
    let metadata = fs_err::metadata(real)?;
    if let Err(error) = fs_err::remove_file(temporary)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(error);
    }
    let mut options = fs_err::OpenOptions::new();
    options.write(true).create_new(true);
    options.options_mut().mode(0o600);
    let mut file = options.open(temporary)?;
    file.write_all(text.as_bytes())?;
    let ours = file.metadata()?;
    if (ours.uid(), ours.gid()) != (metadata.uid(), metadata.gid()) {
        std::os::unix::fs::fchown(file.file(), Some(metadata.uid()), Some(metadata.gid()))?;
    }
    file.set_permissions(std::fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mode_and_link_stay_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.yaml"), dir.path().join("falco.yaml"));
        fs_err::write(&real, "a: 1\n").unwrap();
        fs_err::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        adopt(&link, "a: 1\n", "a: 2\n").unwrap();
        assert_eq!(fs_err::read_to_string(&real).unwrap(), "a: 2\n");
        assert_eq!(fs_err::metadata(&real).unwrap().mode() & 0o7777, 0o640);
        assert!(fs_err::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_somebody_else_changed_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("falco.yaml");
        fs_err::write(&file, "b: 1\n").unwrap();
        assert!(matches!(adopt(&file, "a: 1\n", "a: 2\n"), Err(FalcoError::Changed { .. })));
        assert_eq!(fs_err::read_to_string(&file).unwrap(), "b: 1\n");
        assert!(matches!(adopt(&dir.path().join("gone"), "", ""), Err(FalcoError::Replace { .. })));
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 1);
    }
}
