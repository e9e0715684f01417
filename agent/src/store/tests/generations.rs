//! Staging, activating, removing.

#![expect(clippy::disallowed_methods, reason = "tests lay out directories as others would")]

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;

use falconer_manifests::observed::Pointer;
use falconer_manifests::remedy::Remedy;

use super::*;
use crate::archive::{self, Limits};

#[test]
fn a_staged_generation_is_complete_and_becomes_current() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let staged = staged(&locked, 1);
    assert_eq!(staged.path(), sandbox.at("generations/1"));
    assert_eq!(locked.current().unwrap(), Pointer::Missing);
    assert_eq!(staged.activate().unwrap(), Activation { changed: true, displaced: None });
    assert_eq!(fs::read_link(sandbox.at("current")).unwrap().to_str(), Some("generations/1"));
    assert_eq!(fs::read_to_string(sandbox.at("current/rules/deep/b.yaml")).unwrap(), "- rule: b\n");
    assert_eq!(fs::read(sandbox.at("current/MANIFEST")).unwrap(), MANIFEST_CONTENT);
    assert_eq!(mode(&sandbox.at("current/rules/deep")), 0o755);
    assert_eq!(mode(&sandbox.at("current/rules/deep/b.yaml")), 0o644);
    let read = locked.read_generation_file(number(1), &path("rules/10-a.yaml"), 100).unwrap();
    assert_eq!(read.unwrap(), b"- rule: a\n");
    assert!(locked.read_generation_file(number(1), &path("rules/none"), 100).unwrap().is_none());
}

#[test]
fn a_file_has_the_mode_that_it_must_have() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let program = GenerationFile { mode: 0o777, ..wanted("a", b"x") };
    let staged = locked.stage(number(1), [(program, Content::Bytes(b"x".into()))], b"").unwrap();
    assert_eq!(mode(&staged.path().join("a")), 0o777);
}

type Bad = fn(&mut dyn Write) -> Result<(), ContentError>;

/// Every way in which the content of a file can fail to be what it must be.
const BAD: [(&str, Bad, Remedy); 6] = [
    ("another content", |out| Ok(out.write_all(b"0123456780")?), Remedy::Author),
    ("too long", |out| Ok(out.write_all(b"0123456789+")?), Remedy::Author),
    ("too short", |out| Ok(out.write_all(b"01234")?), Remedy::Author),
    (
        "endless",
        |out| loop {
            out.write_all(b"0")?
        },
        Remedy::Author,
    ),
    ("nothing", |_| Ok(()), Remedy::Author),
    (
        "breaks off",
        |out| {
            out.write_all(b"01234")?;
            Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())
        },
        Remedy::Operator,
    ),
];

#[test]
fn a_build_that_fails_at_any_step_leaves_what_was_there() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    staged(&locked, 1).activate().unwrap();
    for (what, bad, remedy) in BAD {
        for step in 0..=files().len() {
            let mut files = files();
            files.insert(step, (wanted("rules/bad.yaml", b"0123456789"), Content::Written(Box::new(bad))));
            let error = locked.stage(number(2), files, MANIFEST_CONTENT).unwrap_err();
            assert_eq!(error.remedy(), remedy, "{what}: {error}");
            assert_eq!(names(&sandbox.at("generations")), ["1"], "{what}, step {step}");
            assert_eq!(locked.current().unwrap(), Pointer::Generation(number(1)));
        }
    }
    assert_eq!(staged(&locked, 2).number(), number(2));
}

#[test]
fn a_file_is_staged_out_of_an_archive_in_the_store() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_ustar();
    header.set_size(10);
    header.set_mode(0o644);
    tar.append_data(&mut header, "a.yaml", b"- rule: a\n".as_slice()).unwrap();
    let archive = tar.into_inner().unwrap().finish().unwrap();
    let blob = locked.store().write_blob(&archive).unwrap();
    let stage = |at, file: GenerationFile| {
        let store = locked.store();
        let digest = file.digest.clone();
        let write: WriteContent<'_> = Box::new(|out| {
            let blob = store.open_blob_verified(&blob, 1000)?;
            archive::extract(blob, &Limits::RULESFILE, &path("a.yaml"), Some(&digest), out)?;
            Ok(())
        });
        locked.stage(number(at), [(file, Content::Written(write))], b"").map(|staged| staged.path())
    };
    let staged = stage(1, wanted("rules/10-a.yaml", b"- rule: a\n")).unwrap();
    assert_eq!(fs::read(staged.join("rules/10-a.yaml")).unwrap(), b"- rule: a\n");
    let error = stage(2, wanted("rules/10-a.yaml", b"- rule: b\n")).unwrap_err();
    assert!(matches!(&error, StoreError::Content { .. }) && error.remedy() == Remedy::Author, "{error}");
}

#[test]
fn paths_that_collide_are_refused() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    for (one, other) in [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("MANIFEST", "b")] {
        let files = [one, other].map(|name| (wanted(name, b""), Content::Bytes(b"".into())));
        assert!(locked.stage(number(1), files, b"").is_err(), "{one} {other}");
        assert_eq!(names(&sandbox.at("generations")), [""; 0]);
    }
}

#[test]
fn a_number_is_never_used_twice() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    drop(staged(&locked, 1));
    symlink("/", sandbox.at("generations/2")).unwrap();
    fs::File::create(sandbox.at("generations/3")).unwrap();
    fs::create_dir(sandbox.at("generations/4")).unwrap();
    for name in ["5.old", "007", "+8", "x", "0"] {
        fs::create_dir(sandbox.at("generations").join(name)).unwrap();
    }
    let taken = [1, 2, 3, 4].map(number);
    assert_eq!(locked.generations().unwrap(), taken);
    for number in taken {
        let error = locked.stage(number, files(), b"").unwrap_err();
        assert!(matches!(error, StoreError::Exists { .. }), "{error}");
    }
}

#[test]
fn a_leftover_of_the_same_number_is_replaced() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let elsewhere = sandbox.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::File::create(elsewhere.join("precious")).unwrap();
    fs::create_dir(sandbox.at("generations/1.tmp")).unwrap();
    symlink(&elsewhere, sandbox.at("generations/1.tmp/rules")).unwrap();
    drop(staged(&locked, 1));
    symlink(&elsewhere, sandbox.at("generations/2.tmp")).unwrap();
    drop(staged(&locked, 2));
    assert_eq!(names(&elsewhere), ["precious"]);
    assert_eq!(names(&sandbox.at("generations")), ["1", "2"]);
}

/// Puts something at a path.
type Make = fn(&Path);

#[test]
fn whatever_stands_at_current_is_replaced_and_nothing_is_lost() {
    let cases: [(&str, Make, Option<&str>); 6] = [
        ("a foreign link", |at| symlink("/etc", at).unwrap(), None),
        ("a dangling link", |at| symlink("generations/99", at).unwrap(), None),
        ("an empty directory", |at| fs::create_dir(at).unwrap(), Some("a directory")),
        (
            "a directory",
            |at| {
                fs::create_dir(at).unwrap();
                fs::File::create(at.join("precious")).unwrap();
            },
            Some("a directory"),
        ),
        ("a file", |at| drop(fs::File::create(at).unwrap()), Some("a regular file")),
        (
            "a FIFO",
            |at| rustix::fs::mknodat(rustix::fs::CWD, at, FileType::Fifo, 0o644.into(), 0).unwrap(),
            Some("a FIFO"),
        ),
    ];
    for (what, make, kind) in cases {
        let sandbox = Sandbox::new();
        let locked = sandbox.lock();
        make(&sandbox.at("current"));
        let before = fs::symlink_metadata(sandbox.at("current")).unwrap().ino();
        if let Some(kind) = kind {
            assert_eq!(locked.current().unwrap(), Pointer::Foreign(kind.into()), "{what}");
        }
        let activation = staged(&locked, 1).activate().unwrap();
        assert!(activation.changed);
        assert_eq!(locked.current().unwrap(), Pointer::Generation(number(1)), "{what}");
        assert_eq!(activation.displaced.is_some(), kind.is_some(), "{what}");
        if let Some(displaced) = activation.displaced {
            assert_eq!(fs::symlink_metadata(sandbox.at(&displaced)).unwrap().ino(), before, "{what}");
        }
        assert!(!sandbox.at("current.tmp").exists());
    }
}

#[test]
fn an_activation_killed_after_the_exchange_is_finished_by_the_next() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    staged(&locked, 1).activate().unwrap();
    drop(locked);
    fs::create_dir(sandbox.at("current.tmp")).unwrap();
    fs::File::create(sandbox.at("current.tmp/precious")).unwrap();
    drop(sandbox.lock());
    assert!(sandbox.at("current.displaced-1/precious").exists());
    assert!(!sandbox.at("current.tmp").exists());
}

#[test]
fn pointers_are_read_strictly() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    for target in
        ["generations/01", "generations/1/", "generations/", "/generations/1", "./generations/1", "generations/1\n"]
    {
        symlink(target, sandbox.at("current")).unwrap();
        assert!(matches!(locked.current().unwrap(), Pointer::Foreign(_)), "{target}");
        fs::remove_file(sandbox.at("current")).unwrap();
    }
}

#[test]
fn old_generations_are_removed_and_the_current_one_is_not() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    staged(&locked, 1).activate().unwrap();
    staged(&locked, 2).activate().unwrap();
    assert!(matches!(locked.remove_generation(number(2)), Err(StoreError::InUse { .. })));
    assert!(locked.remove_generation(number(1)).unwrap());
    assert!(!locked.remove_generation(number(1)).unwrap());
    let elsewhere = sandbox.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::File::create(elsewhere.join("precious")).unwrap();
    symlink(&elsewhere, sandbox.at("generations/3")).unwrap();
    assert!(locked.remove_generation(number(3)).unwrap());
    assert_eq!(names(&elsewhere), ["precious"]);
    assert_eq!(names(&sandbox.at("generations")), ["2"]);
}
