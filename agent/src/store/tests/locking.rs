//! Opening, locking, formats, documents, leftovers.

#![expect(clippy::disallowed_methods, reason = "tests lay out directories as others would")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use falconer_manifests::observed::Pointer;
use falconer_manifests::remedy::Remedy;

use super::*;

#[test]
fn a_directory_that_does_not_exist_reads_as_empty_and_is_not_created() {
    let sandbox = Sandbox::new();
    let state = StateDirectory::open(&sandbox.path()).unwrap();
    assert_eq!(state.current().unwrap(), Pointer::Missing);
    assert_eq!(state.generations().unwrap(), []);
    assert!(state.observe(number(1)).unwrap().is_empty());
    assert!(state.read_document(Document::Ledger, 10).unwrap().is_none());
    assert!(state.open_store().unwrap().is_none());
    assert!(!sandbox.path().exists());
}

#[test]
fn the_first_lock_creates_what_belongs_there() {
    let sandbox = Sandbox::new();
    let _locked = sandbox.lock();
    assert_eq!(names(&sandbox.path()), ["format", "generations", "lock", "plugins", "store", "tmp"]);
    assert_eq!(fs::read_to_string(sandbox.at("format")).unwrap(), "1\n");
    for (name, expected) in
        [("", 0o755), ("generations", 0o755), ("store/blobs/sha256", 0o755), ("format", 0o644), ("lock", 0o600)]
    {
        assert_eq!(mode(&sandbox.at(name)), expected, "{name}");
    }
}

#[test]
fn there_is_one_lock_at_a_time() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let error = StateDirectory::open(&sandbox.path()).unwrap().lock().unwrap_err();
    assert!(matches!(error, StoreError::Busy { .. }));
    assert_eq!(error.remedy(), Remedy::Time);
    drop(locked);
    sandbox.lock();
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    let sandbox = Sandbox::new();
    let reader = StateDirectory::open(&sandbox.path()).unwrap();
    fs::create_dir(sandbox.path()).unwrap();
    fs::set_permissions(sandbox.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs_err::OpenOptions::new().write(true).create(true).open(sandbox.at("format")).unwrap();
    for (content, newer) in
        [("2\n", true), ("4000000000", true), ("", false), ("one", false), ("-1", false), ("0", false)]
    {
        fs::File::create(sandbox.at("format"))
            .and_then(|mut file| std::io::Write::write_all(&mut file, content.as_bytes()))
            .unwrap();
        let before = snapshot(&sandbox.path());
        let error = StateDirectory::open(&sandbox.path()).unwrap_err();
        assert_eq!(matches!(error, StoreError::NewerFormat { .. }), newer, "{content}: {error}");
        assert_eq!(error.remedy(), Remedy::Operator);
        assert_eq!(snapshot(&sandbox.path()), before, "{content}");
    }
    // Written after we opened the directory and before we locked it.
    fs::File::create(sandbox.at("format")).and_then(|mut file| std::io::Write::write_all(&mut file, b"2")).unwrap();
    let before = snapshot(&sandbox.path());
    assert!(matches!(reader.lock().unwrap_err(), StoreError::NewerFormat { .. }));
    assert_eq!(snapshot(&sandbox.path()), before);
}

#[test]
fn directories_that_are_not_ours_are_refused() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path()).unwrap();
    let refused = |mode| {
        fs::set_permissions(sandbox.path(), fs::Permissions::from_mode(mode)).unwrap();
        let before = snapshot(&sandbox.path());
        let error = StateDirectory::open(&sandbox.path()).and_then(StateDirectory::lock).unwrap_err();
        assert!(error.hint().is_some());
        assert_eq!(snapshot(&sandbox.path()), before);
        error
    };
    for mode in [0o777, 0o775, 0o757, 0o1777] {
        assert!(matches!(refused(mode), StoreError::Untrusted { .. }), "{mode:o}");
    }
    fs::create_dir(sandbox.at("passwd")).unwrap();
    assert!(matches!(refused(0o755), StoreError::NotOurs { .. }));
    let link = sandbox.directory.path().join("link");
    symlink(sandbox.path(), &link).unwrap();
    assert!(matches!(StateDirectory::open(&link).unwrap_err(), StoreError::Untrusted { .. }));
}

#[test]
fn a_link_in_the_place_of_a_directory_leads_nowhere() {
    for name in ["generations", "store", "tmp"] {
        let sandbox = Sandbox::new();
        drop(sandbox.lock());
        let elsewhere = sandbox.directory.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::create_dir(elsewhere.join("1.tmp")).unwrap();
        fs::remove_dir_all(sandbox.at(name)).unwrap();
        symlink(&elsewhere, sandbox.at(name)).unwrap();
        let error = StateDirectory::open(&sandbox.path()).unwrap().lock().unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        assert_eq!(names(&elsewhere), ["1.tmp"]);
    }
}

#[test]
fn the_next_lock_removes_what_a_killed_run_has_left() {
    let sandbox = Sandbox::new();
    drop(staged(&sandbox.lock(), 1));
    let clean = names(&sandbox.path());
    fs::create_dir_all(sandbox.at("generations/2.tmp/rules")).unwrap();
    fs::create_dir_all(sandbox.at("tmp/candidate")).unwrap();
    for name in ["generations/2.tmp/rules/a", "ledger.tmp", "format.tmp", "tmp/b", "store/blobs/sha256/.7-0.tmp"] {
        fs::File::create(sandbox.at(name)).unwrap();
    }
    symlink("generations/2", sandbox.at("current.tmp")).unwrap();
    let locked = sandbox.lock();
    assert_eq!(names(&sandbox.path()), clean);
    assert_eq!(names(&sandbox.at("generations")), ["1"]);
    assert_eq!(names(&sandbox.at("tmp")), [""; 0]);
    assert_eq!(names(&sandbox.at("store/blobs/sha256")), [""; 0]);
    assert_eq!(locked.generations().unwrap(), [number(1)]);
}

#[test]
fn documents_are_replaced_only_when_they_change() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    assert!(locked.read_document(Document::Ledger, 100).unwrap().is_none());
    assert!(locked.replace_document(Document::Ledger, b"good = 1").unwrap());
    let before = snapshot(&sandbox.path());
    assert!(!locked.replace_document(Document::Ledger, b"good = 1").unwrap());
    assert_eq!(snapshot(&sandbox.path()), before);
    assert!(locked.replace_document(Document::Ledger, b"good = 2").unwrap());
    assert_eq!(locked.read_document(Document::Ledger, 100).unwrap().unwrap(), b"good = 2");
    assert!(locked.read_document(Document::Ledger, 7).is_err());
    fs::set_permissions(sandbox.at("ledger"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(locked.replace_document(Document::Ledger, b"good = 2").unwrap());
    assert_eq!(mode(&sandbox.at("ledger")), 0o644);
}

#[test]
fn a_document_that_became_something_else_is_no_empty_document() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let secret = sandbox.directory.path().join("secret");
    fs::File::create(&secret).unwrap();
    symlink(&secret, sandbox.at("ledger")).unwrap();
    assert!(locked.read_document(Document::Ledger, 100).is_err());
    assert!(locked.replace_document(Document::Ledger, b"x").unwrap());
    assert_eq!(fs::read(&secret).unwrap(), b"");
    fs::create_dir(sandbox.at("host.lock")).unwrap();
    assert!(locked.read_document(Document::HostLock, 100).is_err());
    assert!(locked.replace_document(Document::HostLock, b"x").is_err());
    assert!(!sandbox.at("host.lock.tmp").exists());
}

#[test]
fn a_work_file_is_private_and_goes_with_its_value() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let file = locked.work_file("falco.yaml", b"content").unwrap();
    assert_eq!(fs::read(file.path()).unwrap(), b"content");
    assert_eq!(mode(file.path()), 0o600);
    drop(file);
    assert_eq!(names(&sandbox.at("tmp")), [""; 0]);
    for bad in ["../falco.yaml", "", ".", "..", "a/b"] {
        assert!(locked.work_file(bad, b"").is_err(), "{bad}");
    }
}

#[test]
fn a_run_that_has_nothing_to_do_writes_nothing() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    assert!(staged(&locked, 1).activate().unwrap().changed);
    let blob = locked.store().write_blob(b"blob").unwrap();
    locked.replace_document(Document::Status, b"{}").unwrap();
    drop(locked);
    let before = snapshot(&sandbox.path());
    let locked = sandbox.lock();
    assert_eq!(locked.current().unwrap(), Pointer::Generation(number(1)));
    assert_eq!(locked.observe(number(1)).unwrap().len(), 6);
    let manifest = Digest::of(MANIFEST_CONTENT);
    let again = locked.verify(number(1), &manifest, &specifications()).unwrap().activate().unwrap();
    assert_eq!(again, Activation { changed: false, displaced: None });
    assert_eq!(locked.store().write_blob(b"blob").unwrap(), blob);
    assert!(!locked.replace_document(Document::Status, b"{}").unwrap());
    drop(locked);
    assert_eq!(snapshot(&sandbox.path()), before);
}
