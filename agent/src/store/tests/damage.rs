//! What tampering with a generation looks like, and that nothing tampered with is taken for intact.

#![expect(clippy::disallowed_methods, reason = "tests tamper with files as others would")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

const VICTIM: &str = "rules/10-a.yaml";

fn write(path: &Path, content: &[u8]) {
    fs::File::create(path).and_then(|mut file| std::io::Write::write_all(&mut file, content)).unwrap();
}

fn replace(at: &Path, make: impl FnOnce(&Path)) {
    fs::remove_file(at).unwrap();
    make(at);
}

/// Looks at generation 1 after `tamper` was let loose on it, and requires that it does not pass for intact.
fn after(tamper: impl FnOnce(&Path)) -> BTreeMap<String, ObservedEntry> {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let staged = staged(&locked, 1);
    let verify = || locked.verify(number(1), &Digest::of(MANIFEST_CONTENT), &specifications()).map(drop);
    verify().unwrap();
    tamper(&staged.path());
    assert!(matches!(verify(), Err(StoreError::Differs { .. })), "{:?}", verify());
    let observed = locked.observe(number(1)).unwrap();
    observed.into_iter().map(|(path, entry)| (path.to_string(), entry)).collect()
}

fn other(entry: &ObservedEntry) -> &str {
    match entry {
        ObservedEntry::Other(text) => text,
        _ => panic!("{entry:?}"),
    }
}

#[test]
fn an_intact_generation_is_seen_as_it_was_staged() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    drop(staged(&locked, 1));
    let observed = locked.observe(number(1)).unwrap();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    for file in specifications() {
        let GenerationFile { path, mode, size, digest } = file;
        assert_eq!(observed[&path], ObservedEntry::File { digest, size, mode, uid, gid });
    }
    assert_eq!(observed[&path("rules/deep")], ObservedEntry::Directory { mode: 0o755, uid, gid });
    assert_eq!(observed.len(), 6);
}

/// What was written under this lock counts as read; what an earlier one has left is read.
#[test]
fn a_blob_that_was_tampered_with_between_locks_is_seen() {
    let sandbox = Sandbox::new();
    let content = vec![7; 2 << 20];
    let (digest, size) = (Digest::of(&content), content.len() as u64);
    let locked = sandbox.lock();
    locked.store().write_blob(&content).unwrap();
    let again = locked.open_store().unwrap().unwrap();
    assert!(again.is_intact(&digest, size).unwrap() && again.intact_blobs().unwrap().contains(&digest));
    drop((again, locked));
    write(&sandbox.at("store/blobs/sha256").join(digest.hex()), &vec![8; content.len()]);
    for store in [sandbox.lock().open_store().unwrap().unwrap(), Layout::open(&sandbox.at("store")).unwrap()] {
        assert!(!store.is_intact(&digest, size).unwrap() && store.intact_blobs().unwrap().is_empty());
    }
}

#[test]
fn changed_contents_modes_and_owners_are_seen() {
    let seen = after(|at| write(&at.join(VICTIM), b"- rule: x\n"));
    assert!(
        matches!(&seen[VICTIM], ObservedEntry::File { digest, size: 10, .. } if *digest == Digest::of(b"- rule: x\n"))
    );
    let seen = after(|at| write(&at.join(VICTIM), b""));
    assert!(matches!(seen[VICTIM], ObservedEntry::File { size: 0, .. }));
    let seen = after(|at| write(&at.join("MANIFEST"), b"other"));
    assert!(matches!(seen["MANIFEST"], ObservedEntry::File { size: 5, .. }));
    for bits in [0o600, 0o666, 0o4644, 0o755] {
        let seen = after(|at| fs::set_permissions(at.join(VICTIM), fs::Permissions::from_mode(bits)).unwrap());
        assert!(matches!(seen[VICTIM], ObservedEntry::File { mode, .. } if mode == bits), "{bits:o}");
    }
    let seen = after(|at| fs::set_permissions(at.join("rules"), fs::Permissions::from_mode(0o777)).unwrap());
    assert!(matches!(seen["rules"], ObservedEntry::Directory { mode: 0o777, .. }));
    after(|at| fs::set_permissions(at, fs::Permissions::from_mode(0o777)).unwrap());
    if rustix::process::geteuid().is_root() {
        let seen = after(|at| std::os::unix::fs::chown(at.join(VICTIM), Some(65534), Some(65534)).unwrap());
        assert!(matches!(seen[VICTIM], ObservedEntry::File { uid: 65534, gid: 65534, .. }));
    }
}

#[test]
fn missing_and_extra_entries_are_seen() {
    let seen = after(|at| fs::remove_file(at.join(VICTIM)).unwrap());
    assert!(!seen.contains_key(VICTIM));
    assert!(after(|at| fs::remove_dir_all(at).unwrap()).is_empty());
    let seen = after(|at| write(&at.join("rules/extra.yaml"), b"x"));
    assert!(matches!(seen["rules/extra.yaml"], ObservedEntry::File { .. }));
    let seen = after(|at| write(&at.join(OsStr::from_bytes(b"rules/\xffa\nb\\")), b"x"));
    assert!(after(|at| fs::create_dir(at.join("empty")).unwrap()).contains_key("empty"));
    assert!(seen.contains_key("rules/%FFa%0Ab%5C"), "{:?}", seen.keys());
}

#[test]
fn other_kinds_in_the_place_of_files_are_seen_and_not_followed() {
    let seen = after(|at| replace(&at.join(VICTIM), |at| symlink("/etc/shadow", at).unwrap()));
    assert_eq!(seen[VICTIM], ObservedEntry::Symlink { target: "/etc/shadow".into() });
    // A link to the same content is still a link.
    let seen = after(|at| {
        fs::rename(at.join(VICTIM), at.parent().unwrap().join("moved")).unwrap();
        symlink("../../moved", at.join(VICTIM)).unwrap();
    });
    assert!(matches!(seen[VICTIM], ObservedEntry::Symlink { .. }));
    let seen = after(|at| replace(&at.join(VICTIM), |at| fs::create_dir(at).unwrap()));
    assert!(matches!(seen[VICTIM], ObservedEntry::Directory { .. }));
    // A FIFO would block who opens it, and a device may do something.
    let fifo = |at: &Path| rustix::fs::mknodat(rustix::fs::CWD, at, FileType::Fifo, 0o644.into(), 0).unwrap();
    assert_eq!(other(&after(|at| replace(&at.join(VICTIM), fifo))[VICTIM]), "a FIFO");
    let socket = |at: &Path| drop(std::os::unix::net::UnixListener::bind(at).unwrap());
    assert_eq!(other(&after(|at| replace(&at.join(VICTIM), socket))[VICTIM]), "a socket");
    // The directory itself.
    let seen = after(|at| {
        fs::rename(at, at.with_file_name("moved")).unwrap();
        symlink("moved", at).unwrap();
    });
    assert!(seen.is_empty());
    let seen = after(|at| {
        fs::rename(at.join("rules"), at.with_file_name("moved")).unwrap();
        symlink("../moved", at.join("rules")).unwrap();
    });
    assert!(matches!(seen["rules"], ObservedEntry::Symlink { .. }));
}

#[test]
fn too_much_is_seen_and_not_read() {
    // 10 GB, of which nothing is on the disk.
    let seen = after(|at| {
        let file = fs::OpenOptions::new().write(true).open(at.join(VICTIM)).unwrap();
        file.set_len(10_000_000_000).unwrap();
    });
    assert!(other(&seen[VICTIM]).contains("10000000000 bytes"));
    let seen = after(|at| (0..5000).for_each(|number| write(&at.join(format!("rules/{number:05}")), b"")));
    assert!(seen.len() < 4200);
    assert!(seen.values().any(|entry| matches!(entry, ObservedEntry::Other(text) if text.contains("more than"))));
    let seen = after(|at| fs::create_dir_all(at.join(["d"; 40].join("/"))).unwrap());
    assert!(seen.values().any(|entry| matches!(entry, ObservedEntry::Other(text) if text.contains("deeper"))));
}
