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

#[test]
fn who_swaps_a_file_for_a_link_while_it_is_opened_is_not_followed() {
    let temporary = TempDir::new().unwrap();
    let outside = TempDir::new().unwrap();
    let (inside, secret) = (temporary.path().to_owned(), outside.path().join("secret"));
    std::io::Write::write_all(&mut fs::File::create(&secret).unwrap(), b"secret").unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fs::File::create(inside.join("file")).unwrap();
                fs_err::rename(inside.join("file"), inside.join("victim")).unwrap();
                symlink(&secret, inside.join("link")).unwrap();
                fs_err::rename(inside.join("link"), inside.join("victim")).unwrap();
            }
        });
        let directory = Directory::open(&inside).unwrap();
        let secrets =
            (0..30_000).filter(|_| matches!(directory.read_file("victim", 9), Ok(Some(read)) if !read.is_empty()));
        let secrets = secrets.count();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(secrets, 0);
    });
}

#[test]
fn many_may_create_the_same_directory() {
    let temporary = TempDir::new().unwrap();
    for round in 0..200 {
        let path = temporary.path().join(format!("{round}/state"));
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    start.wait();
                    Directory::open_or_create(&path).unwrap();
                });
            }
        });
    }
}
