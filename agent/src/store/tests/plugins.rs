#![expect(clippy::disallowed_methods, reason = "tests tamper with files as others would")]

use std::fs;
use std::io::Write;

use super::*;
use crate::layout::Unpacked;
use crate::layout::tests::wait_for_a_tick;

const SIZE: usize = 2 << 20;
const DIRECTORY: &str = "plugins/a-1.0.0-000000000000";

fn library() -> Vec<u8> {
    vec![7; SIZE]
}

/// Unpacks a library ahead.
async fn kept(locked: &Locked) -> PathBuf {
    let store = locked.store();
    let mut unpacking = store.unpacker().unwrap().begin().unwrap();
    unpacking.write_all(&library()).unwrap();
    let unpacked: Unpacked = unpacking.end(Digest::of(&library())).unwrap();
    store.keep(unpacked).await.unwrap();
    let names = names(&locked.path().join("store/blobs/sha256"));
    assert_eq!(names.len(), 1, "{names:?}");
    let kept = locked.path().join("store/blobs/sha256").join(&names[0]);
    wait_for_a_tick(&kept);
    kept
}

/// Places the library, from the store when `content` is none; gives whether what was kept was taken.
fn place(locked: &Locked, mode: u32) -> bool {
    let asked = std::cell::Cell::new(false);
    let content = Content::Written(Box::new(|out| {
        asked.set(true);
        Ok(out.write_all(&library())?)
    }));
    let file = GenerationFile { mode, ..wanted("lib/liba.so", &library()) };
    locked.place_plugin(&path(DIRECTORY), [(file, content)]).unwrap();
    let placed = locked.path().join(DIRECTORY).join("lib/liba.so");
    assert!(fs::read(&placed).unwrap() == library());
    assert_eq!(super::mode(&placed), mode);
    assert_eq!(names(placed.parent().unwrap()), ["liba.so"]);
    !asked.get()
}

#[tokio::test]
async fn what_was_unpacked_ahead_is_moved_to_its_place() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    kept(&locked).await;
    assert!(place(&locked, 0o644));
    assert!(names(&sandbox.at("store/blobs/sha256")).is_empty());
    // It was there once.
    assert!(!place(&locked, 0o644));
}

#[tokio::test]
async fn what_somebody_has_touched_meanwhile_is_unpacked_anew() {
    let other = vec![8; SIZE];
    let touch: [&dyn Fn(&Path); 6] = [
        &|kept| fs::File::options().write(true).open(kept).unwrap().write_all(&other).unwrap(),
        &|kept| {
            let times = fs::metadata(kept).unwrap().modified().unwrap();
            fs::File::options().write(true).open(kept).unwrap().write_all(b"8").unwrap();
            fs::File::options().write(true).open(kept).unwrap().set_modified(times).unwrap();
        },
        &|kept| {
            fs::write(kept.with_extension("other"), &other).unwrap();
            fs::rename(kept.with_extension("other"), kept).unwrap();
        },
        &|kept| {
            fs::rename(kept, kept.with_extension("away")).unwrap();
            fs::write(kept, &other).unwrap();
        },
        &|kept| fs::set_permissions(kept, PermissionsExt::from_mode(0o666)).unwrap(),
        &|kept| fs::File::options().append(true).open(kept).unwrap().write_all(b"8").unwrap(),
    ];
    for (number, touch) in touch.iter().enumerate() {
        let sandbox = Sandbox::new();
        let locked = sandbox.lock();
        touch(&kept(&locked).await);
        assert!(!place(&locked, 0o644), "{number}");
    }
}

#[tokio::test]
async fn another_mode_is_not_what_was_kept() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    kept(&locked).await;
    assert!(!place(&locked, 0o755));
}

/// As where somebody has mounted something over a part of the state directory.
#[tokio::test]
async fn what_was_unpacked_on_another_file_system_is_unpacked_anew() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let kept = kept(&locked).await;
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    let is_other = device(elsewhere.path()) != device(&kept);
    let directory = Directory::open(elsewhere.path()).unwrap();
    let is_placed = locked.store().place_kept(&Digest::of(&library()), &directory, "liba.so").unwrap();
    assert_eq!(is_placed, !is_other);
    assert_eq!(names(elsewhere.path()).is_empty(), is_other);
    assert!(!kept.exists());
}

#[tokio::test]
async fn what_nobody_takes_goes_with_the_lock() {
    let sandbox = Sandbox::new();
    let locked = sandbox.lock();
    let path = kept(&locked).await;
    drop(locked);
    assert!(!path.exists());
    fs::write(&path, b"of a run that was killed").unwrap();
    drop(sandbox.lock());
    assert!(!path.exists());
}

/// What this lock has written is not read again; whatever somebody does to it is seen, and so it is by the next lock.
#[tokio::test]
async fn a_placed_library_is_looked_at_again_when_somebody_has_touched_it() {
    for ahead in [true, false] {
        let sandbox = Sandbox::new();
        let locked = sandbox.lock();
        if ahead {
            kept(&locked).await;
        }
        assert_eq!(place(&locked, 0o644), ahead);
        let digest = |state: &StateDirectory| {
            let found = state.observe_plugin(&path(DIRECTORY)).unwrap().remove(&path("lib/liba.so"));
            let Some(ObservedEntry::File { digest, .. }) = found else { panic!("{found:?}") };
            digest
        };
        let placed = sandbox.at(DIRECTORY).join("lib/liba.so");
        assert_eq!(digest(&locked), Digest::of(&library()));
        let proven = |locked: &Locked| locked.store().proofs().digest(&rustix::fs::stat(&placed).unwrap()).is_some();
        assert!(proven(&locked), "{ahead}");
        wait_for_a_tick(&placed);
        fs::File::options().write(true).open(&placed).unwrap().write_all(b"8").unwrap();
        assert_ne!(digest(&locked), Digest::of(&library()), "{ahead}");
    }
}

#[tokio::test]
async fn what_one_lock_has_written_is_no_proof_under_the_next() {
    let sandbox = Sandbox::new();
    let proven = |locked: &Locked| {
        let placed = rustix::fs::stat(sandbox.at(DIRECTORY).join("lib/liba.so")).unwrap();
        locked.store().proofs().digest(&placed).is_some()
    };
    let locked = sandbox.lock();
    place(&locked, 0o644);
    assert!(proven(&locked));
    drop(locked);
    assert!(!proven(&sandbox.lock()));
}
