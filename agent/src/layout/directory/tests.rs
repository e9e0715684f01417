use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use tempfile::TempDir;

use super::*;

#[test]
fn names_of_more_than_one_part_are_refused() {
    let temporary = TempDir::new().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    for bad in ["", ".", "..", "a/b", "/etc", "../x"] {
        assert!(directory.create_file(bad, 0o644).is_err(), "{bad}");
        assert!(directory.create_subdirectory(bad).is_err(), "{bad}");
        assert!(directory.create_link("x", bad).is_err(), "{bad}");
        assert!(directory.remove_tree(bad).is_err(), "{bad}");
        assert!(directory.rename("a", bad).is_err(), "{bad}");
        assert!(directory.subdirectory(bad).is_err(), "{bad}");
    }
    assert_eq!(directory.names(9).unwrap(), [""; 0]);
}

#[test]
fn no_link_is_followed() {
    let temporary = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    fs::File::create(outside.path().join("precious")).unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    symlink(outside.path(), temporary.path().join("link")).unwrap();
    symlink(outside.path().join("precious"), temporary.path().join("file")).unwrap();
    symlink(outside.path().join("new"), temporary.path().join("dangling")).unwrap();
    assert!(directory.subdirectory("link").unwrap_err().is_not_a_directory());
    assert!(Directory::open_real(&temporary.path().join("link")).unwrap_err().is_not_a_directory());
    assert!(directory.open_file("file").is_err());
    assert!(directory.create_file("dangling", 0o644).is_err());
    assert!(directory.open_or_create_subdirectory("dangling").is_err());
    for name in ["link", "file", "dangling"] {
        assert!(directory.remove_tree(name).unwrap());
    }
    assert_eq!(Directory::open(outside.path()).unwrap().names(9).unwrap(), ["precious"]);
}

#[test]
fn files_are_read_within_their_cap() {
    let temporary = TempDir::new().unwrap();
    let directory = Directory::open(temporary.path()).unwrap();
    directory.replace_file("a", "a.tmp", b"content").unwrap();
    assert_eq!(directory.read_file("a", 7).unwrap().unwrap(), b"content");
    let error = directory.read_file("a", 6).unwrap_err();
    assert!(error.hint().unwrap().contains("longer"));
    assert_eq!(directory.read_file("b", 7).unwrap(), None);
}

#[test]
fn missing_parents_are_created() {
    let temporary = TempDir::new().unwrap();
    let path = temporary.path().join("a/b/c");
    Directory::open_or_create(&path).unwrap();
    for path in [path.as_path(), path.parent().unwrap()] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o755);
    }
}

#[test]
fn every_errno_of_a_host_has_a_hint() {
    for errno in [
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::ROFS,
        Errno::ACCESS,
        Errno::PERM,
        Errno::IO,
        Errno::MFILE,
        Errno::LOOP,
        Errno::ISDIR,
        Errno::BUSY,
    ] {
        let error = FileError::new("write", "/var/lib/falconer/ledger", errno.into());
        assert!(error.hint().is_some(), "{errno}");
        assert_eq!(error.remedy(), falconer_manifests::remedy::Remedy::Operator, "{errno}");
        assert_eq!(error.to_string(), "cannot write /var/lib/falconer/ledger");
    }
}
