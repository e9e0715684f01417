#![expect(clippy::disallowed_methods, reason = "tests look at layouts as others would")]

use tempfile::TempDir;

use super::*;

/// How much there is, and whether that is worth a thread.
const SIZES: [usize; 6] = [0, 7, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 5];

fn layout() -> (TempDir, Layout) {
    let directory = TempDir::new().unwrap();
    let layout = Layout::create(&directory.path().join("layout")).unwrap();
    (directory, layout)
}

/// Bytes that are not the same when a part of them is lost, doubled or moved.
fn content(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 / 7) as u8).collect()
}

fn everything() -> Look<Vec<u8>> {
    Arc::new(|reader: &mut dyn Read| {
        let mut seen = Vec::new();
        reader.read_to_end(&mut seen).unwrap();
        seen
    })
}

fn names(layout: &Layout) -> usize {
    std::fs::read_dir(layout.path().join("blobs/sha256")).unwrap().count()
}

#[tokio::test]
async fn what_comes_in_pieces_is_seen_written_and_named() {
    for size in SIZES {
        let (_directory, layout) = layout();
        let content = content(size);
        let digest = Digest::of(&content);
        let mut intake = layout.intake(everything()).unwrap();
        for piece in content.chunks(4093) {
            intake.write_all(piece).unwrap();
        }
        assert_eq!(intake.end().unwrap(), digest);
        assert_eq!(intake.finish(&digest, size as u64).await.unwrap(), content, "{size}");
        assert_eq!(layout.read_blob(&digest, size as u64).unwrap(), content, "{size}");
        assert_eq!(layout.look_into(&digest, size as u64, everything()).await.unwrap(), Some(content), "{size}");
        assert_eq!(names(&layout), 1);
    }
}

#[tokio::test]
async fn what_is_not_looked_at_is_taken_all_the_same() {
    let (_directory, layout) = layout();
    let content = content(3 * PIECE);
    let digest = Digest::of(&content);
    let first: Look<u8> = Arc::new(|reader: &mut dyn Read| {
        let mut first = [0];
        reader.read_exact(&mut first).unwrap();
        first[0]
    });
    let mut intake = layout.intake(Arc::clone(&first)).unwrap();
    intake.write_all(&content).unwrap();
    assert_eq!(intake.finish(&digest, content.len() as u64).await.unwrap(), content[0]);
    assert!(layout.is_intact(&digest, content.len() as u64).unwrap());
    assert_eq!(layout.look_into(&digest, content.len() as u64, first).await.unwrap(), Some(content[0]));
}

#[tokio::test]
async fn what_broke_off_is_begun_again_and_forgotten() {
    for broken in SIZES {
        let (_directory, layout) = layout();
        let content = content(2 * PIECE + 1);
        let digest = Digest::of(&content);
        let mut intake = layout.intake(everything()).unwrap();
        for _ in 0..2 {
            intake.write_all(&vec![0xFF; broken]).unwrap();
            intake.start_over().unwrap();
        }
        // As where the digest was another one.
        intake.write_all(&vec![0xFF; broken]).unwrap();
        assert_ne!(intake.end().unwrap(), digest);
        intake.start_over().unwrap();
        intake.write_all(&content).unwrap();
        assert_eq!(intake.finish(&digest, content.len() as u64).await.unwrap(), content, "{broken}");
    }
}

#[tokio::test]
async fn what_is_not_what_was_wanted_becomes_no_blob() {
    let (_directory, layout) = layout();
    let wanted = content(2 * PIECE);
    let (digest, size) = (Digest::of(&wanted), wanted.len() as u64);
    let mut other = wanted.clone();
    other[PIECE] ^= 1;
    for (content, size) in [(&other[..], size), (&wanted[..PIECE + 1], size), (&wanted[..], size - 1), (&[], 0)] {
        let mut intake = layout.intake(everything()).unwrap();
        intake.write_all(content).unwrap();
        let error = intake.finish(&digest, size).await.unwrap_err();
        assert!(matches!(error, LayoutError::Unexpected { .. }));
    }
    let mut dropped = layout.intake(everything()).unwrap();
    dropped.write_all(&wanted).unwrap();
    drop(dropped);
    assert_eq!(names(&layout), 0);
}

#[tokio::test]
async fn what_somebody_has_changed_was_not_seen() {
    let (_directory, layout) = layout();
    let digest = layout.write_blob(b"content").unwrap();
    assert_eq!(layout.look_into(&digest, 7, everything()).await.unwrap(), Some(b"content".to_vec()));
    assert_eq!(layout.look_into(&digest, 8, everything()).await.unwrap(), None);
    std::fs::write(layout.path().join("blobs/sha256").join(digest.hex()), b"cOntent").unwrap();
    assert_eq!(layout.look_into(&digest, 7, everything()).await.unwrap(), None);
    assert_eq!(layout.look_into(&Digest::of(b"other"), 7, everything()).await.unwrap(), None);
}

/// A disk that takes no more: said as what it is, and not as a wrong digest.
#[tokio::test]
async fn a_disk_that_takes_nothing_is_named() {
    let (_directory, layout) = layout();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    for size in [7, 4 * PIECE] {
        let mut intake = layout.intake(everything_there_is()).unwrap();
        let State::Fresh(body) = &mut intake.state else { panic!("it has begun") };
        body.replace_file(full.try_clone().unwrap());
        let written = intake.write_all(&content(size)).and_then(|()| intake.end());
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull, "{size}");
    }
}

fn everything_there_is() -> Look<u64> {
    Arc::new(|reader: &mut dyn Read| io::copy(reader, &mut io::sink()).unwrap_or_default())
}
