#![expect(clippy::disallowed_methods, reason = "tests damage layouts as others would")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use falconer_manifests::remedy::Remedy;
use tempfile::TempDir;

use super::*;

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

fn layout() -> (TempDir, Layout) {
    let directory = TempDir::new().unwrap();
    let layout = Layout::create(&directory.path().join("layout")).unwrap();
    (directory, layout)
}

fn blob_path(layout: &Layout, digest: &Digest) -> PathBuf {
    layout.path().join("blobs/sha256").join(digest.hex())
}

fn write(path: &Path, content: &[u8]) {
    fs::File::create(path).and_then(|mut file| file.write_all(content)).unwrap();
}

/// Waits until a change of the file would be given another time than its last one.
pub(crate) fn wait_for_a_tick(file: &Path) {
    let beside = file.with_extension("beside");
    let changed = |path: &Path| fs::metadata(path).map(|data| (data.ctime(), data.ctime_nsec())).unwrap();
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        fs::write(&beside, b"").unwrap();
        if changed(&beside) > changed(file) {
            return fs::remove_file(&beside).unwrap();
        }
        assert!(std::time::Instant::now() < deadline);
    }
}

fn blob_names(layout: &Layout) -> usize {
    fs::read_dir(layout.path().join("blobs/sha256")).unwrap().count()
}

fn descriptor(digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type: MANIFEST_TYPE.into(), digest, size }
}

#[test]
fn a_new_layout_has_the_files_of_the_specification() {
    let (_directory, layout) = layout();
    let read = |name| fs::read_to_string(layout.path().join(name)).unwrap();
    assert_eq!(read("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let index: serde_json::Value = serde_json::from_str(&read("index.json")).unwrap();
    assert_eq!((&index["schemaVersion"], index["manifests"].as_array().unwrap().len()), (&2.into(), 0));
    assert!(Layout::open(layout.path()).is_ok());
}

#[test]
fn blobs_are_written_once_and_read_back() {
    let (_directory, layout) = layout();
    let digest = layout.write_blob(b"content").unwrap();
    assert_eq!(digest, Digest::of(b"content"));
    let path = blob_path(&layout, &digest);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(layout.read_blob(&digest, 7).unwrap(), b"content");
    let mut read = Vec::new();
    layout.open_blob_verified(&digest, 7).unwrap().read_to_end(&mut read).unwrap();
    assert_eq!(read, b"content");
    assert!(layout.has(&digest, 7).unwrap() && !layout.has(&digest, 8).unwrap());
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    layout.write_blob(b"content").unwrap();
    let mut writer = layout.writer().unwrap();
    writer.take(b"content").unwrap();
    writer.finish(&digest, 7).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
    assert_eq!(layout.blobs().unwrap(), [(digest.clone(), 7)]);
    assert_eq!(blob_names(&layout), 1);
    assert!(layout.remove_blob(&digest).unwrap() && !layout.remove_blob(&digest).unwrap());
    assert!(matches!(layout.read_blob(&digest, 7), Err(LayoutError::Missing { .. })));
}

#[test]
fn a_blob_longer_than_the_cap_is_not_read() {
    let (_directory, layout) = layout();
    let digest = layout.write_blob(b"content").unwrap();
    for result in [layout.read_blob(&digest, 6).map(drop), layout.open_blob_verified(&digest, 6).map(drop)] {
        assert!(matches!(result, Err(LayoutError::TooLong { cap: 6, .. })));
    }
}

#[test]
fn a_blob_whose_content_is_not_its_name_is_never_returned_and_is_healed() {
    let (directory, layout) = layout();
    let digest = layout.write_blob(b"content").unwrap();
    let path = blob_path(&layout, &digest);
    let secret = directory.path().join("content");
    write(&secret, b"content");
    let damage: [&dyn Fn(); 4] =
        [&|| write(&path, b"cOntent"), &|| write(&path, b""), &|| write(&path, b"content and more"), &|| {
            fs::remove_file(&path).unwrap();
            symlink(&secret, &path).unwrap();
        }];
    for (number, damage) in damage.iter().enumerate() {
        damage();
        assert!(layout.read_blob(&digest, 100).is_err(), "{number}");
        assert!(layout.open_blob_verified(&digest, 100).is_err(), "{number}");
        assert!(!layout.is_intact(&digest, 7).unwrap(), "{number}");
        layout.write_blob(b"content").unwrap();
        assert_eq!(layout.read_blob(&digest, 100).unwrap(), b"content", "{number}");
    }
    assert_eq!(fs::read(&secret).unwrap(), b"content");
}

#[test]
fn what_was_hashed_when_written_is_not_read_again_unless_touched() {
    let content = vec![7; 2 << 20];
    let size = content.len() as u64;
    let other = vec![8; content.len()];
    let damage: [&dyn Fn(&Path); 4] = [
        &|path| write(path, &other),
        // As somebody would who wants it to look untouched.
        &|path| {
            let times = fs::metadata(path).unwrap().modified().unwrap();
            write(path, &other);
            fs::File::options().append(true).open(path).unwrap().set_modified(times).unwrap();
        },
        &|path| {
            let beside = path.with_extension("beside");
            write(&beside, &other);
            fs::rename(&beside, path).unwrap();
        },
        &|path| {
            let mut file = fs::File::options().write(true).open(path).unwrap();
            file.write_all(&[8]).unwrap();
        },
    ];
    for (number, damage) in damage.iter().enumerate() {
        let (_directory, layout) = layout();
        let digest = layout.write_blob(&content).unwrap();
        let path = blob_path(&layout, &digest);
        let is_proven =
            |layout: &Layout| layout.proofs.digest(&rustix::fs::stat(&path).unwrap()).as_ref() == Some(&digest);
        assert!(is_proven(&layout), "{number}");
        let later = Layout::open(layout.path()).unwrap();
        assert!(!is_proven(&later) && later.is_intact(&digest, size).unwrap(), "{number}");
        wait_for_a_tick(&path);
        damage(&path);
        for layout in [&layout, &later] {
            assert!(!is_proven(layout) && !layout.is_intact(&digest, size).unwrap(), "{number}");
            assert!(layout.open_blob_verified(&digest, size).is_err() && layout.intact_blobs().unwrap().is_empty());
        }
    }
}

#[test]
fn what_is_not_what_was_announced_becomes_no_blob() {
    let (_directory, layout) = layout();
    let digest = Digest::of(b"content");
    for (content, size) in [(b"cOntent".as_slice(), 7), (b"content", 8), (b"", 0), (b"content+", 7)] {
        let mut writer = layout.writer().unwrap();
        writer.take(content).unwrap();
        let error = writer.finish(&digest, size).unwrap_err();
        assert!(matches!(error, LayoutError::Unexpected { .. }));
        assert_eq!(error.remedy(), Remedy::Time);
    }
    let mut dropped = layout.writer().unwrap();
    dropped.take(b"content").unwrap();
    drop(dropped);
    assert_eq!(blob_names(&layout), 0);
}

#[test]
fn tags_are_kept_sorted_and_unknown_fields_stay() {
    let (_directory, layout) = layout();
    let digests = [b"a", b"b", b"c"].map(|content| layout.write_blob(content).unwrap());
    let index = layout.path().join("index.json");
    let foreign = format!(
        r#"{{"schemaVersion":2,"x-other":[1],"manifests":[{{"mediaType":"t","digest":"{}","size":1,"platform":{{"os":"linux"}}}}]}}"#,
        digests[0]
    );
    write(&index, foreign.as_bytes());
    assert_eq!(layout.resolve("2").unwrap(), None);
    for (tag, digest) in [("2", &digests[1]), ("10", &digests[2]), ("2", &digests[2])] {
        layout.tag(tag, &descriptor(digest.clone(), 1)).unwrap();
        assert_eq!(layout.resolve(tag).unwrap(), Some(descriptor(digest.clone(), 1)));
    }
    let text = fs::read_to_string(&index).unwrap();
    assert!(text.starts_with(foreign.strip_suffix("]}").unwrap()), "{text}");
    let tags: Vec<_> = layout.tags().unwrap().into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(tags, ["10", "2"]);
    let before = fs::metadata(&index).unwrap().modified().unwrap();
    layout.tag("2", &descriptor(digests[2].clone(), 1)).unwrap();
    assert_eq!(fs::metadata(&index).unwrap().modified().unwrap(), before);
    let missing = layout.tag("3", &descriptor(Digest::of(b"none"), 4)).unwrap_err();
    assert!(matches!(missing, LayoutError::Missing { .. }));
}

#[test]
fn layouts_that_are_none_are_refused() {
    let (_directory, layout) = layout();
    let digest = layout.write_blob(b"a").unwrap();
    let entry = |digest: &str| {
        format!(
            r#"{{"mediaType":"t","digest":"{digest}","size":1,"annotations":{{"org.opencontainers.image.ref.name":"1"}}}}"#
        )
    };
    let two = format!(r#"{{"manifests":[{},{}]}}"#, entry(digest.as_str()), entry(Digest::of(b"b").as_str()));
    let sha512 = format!(r#"{{"manifests":[{}]}}"#, entry("sha512:00"));
    let long = format!(r#"{{"manifests":[],"x":"{}"}}"#, "x".repeat(4 << 20));
    for index in ["", "[]", "{}", r#"{"manifests":{}}"#, r#"{"manifests":[],}"#, &two, &sha512, &long] {
        write(&layout.path().join("index.json"), index.as_bytes());
        assert!(layout.resolve("1").is_err(), "{}", index.get(..80).unwrap_or(index));
    }
    for marker in ["", "{}", r#"{"imageLayoutVersion":"2.0.0"}"#] {
        write(&layout.path().join("oci-layout"), marker.as_bytes());
        let error = Layout::open(layout.path()).unwrap_err();
        assert!(matches!(error, LayoutError::NotALayout { .. }), "{marker}");
        assert_eq!(error.remedy(), Remedy::Operator);
        assert!(Layout::create(layout.path()).is_err(), "{marker}");
    }
    assert!(Layout::open(Path::new("/")).is_err());
}

#[test]
fn leftovers_of_dead_writers_are_removed() {
    let (_directory, layout) = layout();
    layout.write_blob(b"a").unwrap();
    write(&layout.path().join("blobs/sha256/.4194305-0.tmp"), b"half");
    assert_eq!(layout.blobs().unwrap().len(), 1);
    layout.remove_leftovers().unwrap();
    assert_eq!(blob_names(&layout), 1);
}
