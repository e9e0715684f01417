//! Archives of every kind, made here byte by byte.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;

fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

/// The blocks of one entry.
fn entry(name: &[u8], kind: EntryType, content: &[u8]) -> Vec<u8> {
    with_header(&header(name, kind, content.len() as u64), content)
}

fn with_header(header: &Header, content: &[u8]) -> Vec<u8> {
    let mut blocks = header.as_bytes().to_vec();
    blocks.extend_from_slice(content);
    blocks.resize(blocks.len().next_multiple_of(512), 0);
    blocks
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(name.as_bytes(), EntryType::Regular, content)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (key, value) in records {
        let bare = key.len() + value.len() + 3;
        let length = (bare + 1..).find(|length| bare + length.to_string().len() == *length).unwrap();
        content.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
    }
    content
}

fn local(records: &[(&str, &str)]) -> Vec<u8> {
    entry(b"PaxHeaders/x", EntryType::XHeader, &pax(records))
}

fn global(records: &[(&str, &str)]) -> Vec<u8> {
    entry(b"pax_global_header", EntryType::XGlobalHeader, &pax(records))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A gzipped tar of these entries, with its end.
fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    gzip(&[entries.concat(), vec![0; 1024]].concat())
}

fn read(archive: &[u8]) -> Result<Vec<ArchiveFile>, ArchiveError> {
    entries(archive, &Limits::RULESFILE)
}

fn names(archive: &[u8]) -> Vec<String> {
    read(archive).unwrap().iter().map(|file| file.path.to_string()).collect()
}

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

#[test]
fn a_plain_archive_is_read_listed_and_extracted() {
    let bytes = archive(&[file("rules.yaml", b"- rule: a\n"), file("more/b.yaml", b"b")]);
    let files = read(&bytes).unwrap();
    assert_eq!(files[0], ArchiveFile { path: path("rules.yaml"), mode: 0o644, bytes: b"- rule: a\n".to_vec() });
    let listed = list(bytes.as_slice(), &Limits::RULESFILE).unwrap();
    let expected = Digest::of(b"b");
    assert_eq!(listed[1], ListedFile { path: path("more/b.yaml"), mode: 0o644, size: 1, digest: expected.clone() });
    let mut output = Vec::new();
    let size =
        extract(bytes.as_slice(), &Limits::RULESFILE, &path("more/b.yaml"), Some(&expected), &mut output).unwrap();
    assert_eq!((size, output.as_slice()), (1, b"b".as_slice()));
}

#[test]
fn extract_refuses_another_content_and_a_missing_file() {
    let bytes = archive(&[file("a", b"one")]);
    let extract = |name: &str, digest: &Digest| {
        extract(bytes.as_slice(), &Limits::RULESFILE, &path(name), Some(digest), &mut Vec::new()).unwrap_err()
    };
    assert!(matches!(extract("a", &Digest::of(b"two")), ArchiveError::Mismatch { .. }));
    assert!(matches!(extract("b", &Digest::of(b"one")), ArchiveError::Missing { .. }));
}

#[test]
fn what_ordinary_programs_make_is_taken() {
    let directory = |name: &[u8]| entry(name, EntryType::Directory, b"");
    // `tar -C dir -czf x.tgz .`, `git archive`, a second gzip member, pax times, GNU long names.
    assert_eq!(names(&archive(&[directory(b"./"), file("./rules.yaml", b"x")])), ["rules.yaml"]);
    assert_eq!(names(&archive(&[global(&[("comment", "5b0b8a")]), file("a", b"x")])), ["a"]);
    assert_eq!(names(&archive(&[local(&[("mtime", "1.5"), ("path", "long/é")]), file("short", b"x")])), ["long/é"]);
    assert_eq!(names(&archive(&[local(&[("size", "1")]), file("a", b"x")])), ["a"]);
    let long = format!("{}/x", "d".repeat(150));
    let named = entry(b"././@LongLink", EntryType::GNULongName, format!("{long}\0").as_bytes());
    assert_eq!(names(&archive(&[named, file("ddd", b"x")])), [long]);
    assert_eq!(names(&archive(&[directory(b"d/"), file("d/a", b"x"), directory(b"d")])), ["d/a"]);
    let tar = [file("a", b"x"), file("b", b"y"), vec![0; 1024]].concat();
    assert_eq!(names(&[gzip(&tar[..700]), gzip(&tar[700..])].concat()), ["a", "b"]);
    assert_eq!(names(&gzip(&[file("a", b"x"), vec![0; 10240]].concat())), ["a"]);
    let mut prefixed = header(b"a", EntryType::Regular, 1);
    prefixed.as_ustar_mut().unwrap().prefix[..3].copy_from_slice(b"p/q");
    prefixed.set_cksum();
    assert_eq!(names(&archive(&[with_header(&prefixed, b"x")])), ["p/q/a"]);
}

#[test]
fn permission_bits_are_kept_and_setuid_is_not() {
    let mut setuid = header(b"a", EntryType::Regular, 1);
    setuid.set_mode(0o6755);
    setuid.set_cksum();
    assert_eq!(read(&archive(&[with_header(&setuid, b"x")])).unwrap()[0].mode, 0o755);
}

#[test]
fn hostile_entries_are_refused_by_name() {
    let kind = |kind| archive(&[file("fine", b"x"), entry(b"evil", kind, b"")]);
    let name = |name: &[u8]| archive(&[file("fine", b"x"), entry(name, EntryType::Regular, b"x")]);
    let before = |extension: Vec<u8>| archive(&[extension, file("evil", b"x")]);
    let mut star = header(b"evil", EntryType::Regular, 0);
    star.as_mut_bytes()[508..].copy_from_slice(b"tar\0");
    star.set_cksum();
    let mut old = Header::new_old();
    old.as_old_mut().name[..4].copy_from_slice(b"evil");
    old.set_size(0);
    old.set_cksum();
    let long = "n".repeat(1100);
    let gnu_long = |name: &[u8]| entry(b"././@LongLink", EntryType::GNULongName, name);
    let cases: Vec<(&str, Vec<u8>, Refusal)> = vec![
        ("symlink", kind(EntryType::Symlink), Refusal::SymbolicLink),
        ("hard link", kind(EntryType::Link), Refusal::HardLink),
        ("character device", kind(EntryType::Char), Refusal::Device),
        ("block device", kind(EntryType::Block), Refusal::Device),
        ("fifo", kind(EntryType::Fifo), Refusal::Fifo),
        ("GNU sparse", kind(EntryType::GNUSparse), Refusal::Sparse),
        ("contiguous", kind(EntryType::Continuous), Refusal::UnknownKind),
        ("volume label", kind(EntryType::new(b'V')), Refusal::UnknownKind),
        ("unknown kind", kind(EntryType::new(b'Z')), Refusal::UnknownKind),
        ("absolute", name(b"/etc/evil"), Refusal::Absolute),
        ("upwards", name(b"../evil"), Refusal::Parent),
        ("upwards inside", name(b"a/../../evil"), Refusal::Parent),
        ("upwards after dot", name(b"./../evil"), Refusal::Parent),
        ("dot inside", name(b"a/./evil"), Refusal::BadName),
        ("empty part", name(b"a//evil"), Refusal::BadName),
        ("absolute after dot", name(b".//evil"), Refusal::BadName),
        ("empty name", name(b""), Refusal::BadName),
        ("a file named as a directory", name(b"evil/"), Refusal::BadName),
        ("newline", name(b"evil\nfine"), Refusal::BadName),
        ("backslash", name(b"..\\evil"), Refusal::BadName),
        ("not UTF-8", name(b"evil\xff"), Refusal::NotUtf8),
        ("same name twice", archive(&[file("evil", b"x"), file("evil", b"y")]), Refusal::Duplicate),
        ("same name twice after dot", archive(&[file("evil", b"x"), file("./evil", b"y")]), Refusal::Duplicate),
        ("a file below a file", archive(&[file("evil", b"x"), file("evil/b", b"y")]), Refusal::Duplicate),
        ("a file where a directory is", archive(&[file("evil/b", b"x"), file("evil", b"y")]), Refusal::Duplicate),
        (
            "directory with content",
            archive(&[entry(b"evil/", EntryType::Directory, b"x")]),
            Refusal::DirectoryWithContent,
        ),
        ("pax size above", before(local(&[("size", "2")])), Refusal::TwoSizes),
        ("pax size zero", before(local(&[("size", "0")])), Refusal::TwoSizes),
        ("pax size twice", before(local(&[("size", "1"), ("size", "1")])), Refusal::ExtensionTwice),
        ("pax size signed", before(local(&[("size", "+1")])), Refusal::BadExtension),
        ("pax path twice", before(local(&[("path", "a"), ("path", "b")])), Refusal::ExtensionTwice),
        ("pax path upwards", before(local(&[("path", "../a")])), Refusal::Parent),
        ("pax path absolute", before(local(&[("path", "/a")])), Refusal::Absolute),
        ("pax path with NUL", before(local(&[("path", "a\0b")])), Refusal::BadExtension),
        ("pax link", before(local(&[("linkpath", "/etc/shadow")])), Refusal::ForbiddenExtension),
        ("pax sparse", before(local(&[("GNU.sparse.major", "1")])), Refusal::ForbiddenExtension),
        ("pax sparse name", before(local(&[("GNU.sparse.name", "b")])), Refusal::ForbiddenExtension),
        ("pax character set", before(local(&[("hdrcharset", "BINARY")])), Refusal::ForbiddenExtension),
        ("pax real size", before(local(&[("SCHILY.realsize", "9")])), Refusal::ForbiddenExtension),
        ("two pax headers", before([local(&[]), local(&[])].concat()), Refusal::ExtensionTwice),
        ("malformed pax", before(entry(b"x", EntryType::XHeader, b"99 path=a\n")), Refusal::BadExtension),
        ("pax length of zero", before(entry(b"x", EntryType::XHeader, b"0 a=b\n")), Refusal::BadExtension),
        ("huge pax", before(entry(b"x", EntryType::XHeader, &[b' '; 20_000])), Refusal::BadExtension),
        ("global path", before(global(&[("path", "b")])), Refusal::ForbiddenExtension),
        ("global size", before(global(&[("size", "0")])), Refusal::ForbiddenExtension),
        ("pax for nothing", archive(&[file("fine", b"x"), local(&[("path", "b")])]), Refusal::ExtensionOfNothing),
        ("long name for nothing", archive(&[gnu_long(b"b\0")]), Refusal::ExtensionOfNothing),
        ("two long names", before([gnu_long(b"b\0"), gnu_long(b"c\0")].concat()), Refusal::ExtensionTwice),
        ("long and pax name", before([gnu_long(b"b\0"), local(&[("path", "c")])].concat()), Refusal::ExtensionTwice),
        ("long name with NUL", before(gnu_long(b"b\0c\0")), Refusal::BadExtension),
        ("long name too long", before(gnu_long(long.as_bytes())), Refusal::BadName),
        ("long name upwards", before(gnu_long(b"../b\0")), Refusal::Parent),
        ("long link", before(entry(b"././@LongLink", EntryType::GNULongLink, b"b\0")), Refusal::ForbiddenExtension),
        ("Schilling's ustar", archive(&[with_header(&star, b"")]), Refusal::UnknownFormat),
        ("before ustar", archive(&[with_header(&old, b"")]), Refusal::UnknownFormat),
    ];
    for (what, bytes, expected) in cases {
        match read(&bytes) {
            Err(ArchiveError::Refused { entry, reason }) => {
                assert_eq!(reason, expected, "{what}");
                assert!(!entry.contains('\n'), "{what}: {entry}");
            }
            other => panic!("{what}: {other:?}"),
        }
        assert!(list(bytes.as_slice(), &Limits::RULESFILE).is_err(), "{what}");
    }
}

#[test]
fn hostile_shapes_are_refused() {
    let good = archive(&[file("a", b"content")]);
    let tar = [file("a", b"content"), vec![0; 1024]].concat();
    let mut size = header(b"a", EntryType::Regular, 0);
    size.as_old_mut().size = [b'7', b'7', b'7', b'7', b'7', b'7', b'7', b'7', b'7', b'7', b'7', 0];
    size.set_cksum();
    let mut huge = size.clone();
    huge.as_old_mut().size = [0xff; 12];
    huge.set_cksum();
    let mut checksum = file("a", b"x");
    checksum[0] = b'b';
    let cases = [
        ("nothing", vec![]),
        ("no gzip", b"rules".to_vec()),
        ("a bare tar", tar.clone()),
        ("gzip cut off", good[..good.len() - 4].to_vec()),
        ("gzip with a wrong checksum", {
            let mut bad = good.clone();
            let at = bad.len() - 8;
            bad[at] ^= 1;
            bad
        }),
        ("junk behind gzip", [good.clone(), b"junk".to_vec()].concat()),
        ("tar cut off in a file", gzip(&tar[..515])),
        ("tar cut off in a header", gzip(&tar[..100])),
        ("a size beyond the end", gzip(&with_header(&size, b""))),
        ("a negative size", gzip(&with_header(&huge, b""))),
        ("a wrong header checksum", archive(&[checksum])),
    ];
    for (what, bytes) in cases {
        let result = read(&bytes);
        assert!(matches!(result, Err(ArchiveError::Malformed(_))), "{what}: {result:?}");
    }
    let second = gzip(&[tar.clone(), tar.clone()].concat());
    assert!(matches!(read(&second), Err(ArchiveError::Trailing)));
    assert!(matches!(read(&[good.clone(), good].concat()), Err(ArchiveError::Trailing)));
    assert!(matches!(read(&gzip(&[tar, b"x".to_vec()].concat())), Err(ArchiveError::Trailing)));
}

#[test]
fn bombs_are_refused_early() {
    let many: Vec<_> = (0..65).map(|number| file(&format!("f{number}"), b"")).collect();
    assert!(matches!(read(&archive(&many)), Err(ArchiveError::TooMany { cap: 64 })));
    assert_eq!(names(&archive(&many[..64])).len(), 64);
    let globals: Vec<_> = (0..65).map(|_| global(&[])).collect();
    assert!(matches!(read(&archive(&globals)), Err(ArchiveError::TooMany { .. })));
    let zeros = archive(&[file("a", &vec![0; 30 << 20])]);
    assert!(matches!(read(&zeros), Err(ArchiveError::Ratio { cap: 200 })));
    let generous = Limits { ratio: u64::MAX, ..Limits::RULESFILE };
    assert_eq!(entries(zeros.as_slice(), &generous).unwrap()[0].bytes.len(), 30 << 20);
    let long = archive(&[file("a", &vec![0; 33 << 20])]);
    assert!(matches!(entries(long.as_slice(), &generous), Err(ArchiveError::TooLongUnpacked { .. })));
    let padding = gzip(&vec![0; 33 << 20]);
    assert!(matches!(entries(padding.as_slice(), &generous), Err(ArchiveError::TooLongUnpacked { .. })));
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(64 << 10).collect();
    let small = Limits { compressed: 32 << 10, ..Limits::RULESFILE };
    let noise = archive(&[file("a", &noise)]);
    assert!(matches!(entries(noise.as_slice(), &small), Err(ArchiveError::TooLong { .. })));
    // An endless input ends at the limit.
    let endless = std::io::Read::chain(zeros.as_slice(), std::io::repeat(0));
    assert!(entries(endless, &Limits::RULESFILE).is_err());
}

#[test]
fn errors_of_the_disk_are_not_the_authors() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let error = entries(Broken, &Limits::RULESFILE).unwrap_err();
    assert_eq!(error.remedy(), falconer_manifests::remedy::Remedy::Operator);
}

proptest! {
    #[test]
    fn any_bytes_give_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = read(&gzip(&bytes));
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn one_changed_byte_of_a_tar_never_leads_out(at in 0_usize..3000, to in any::<u8>()) {
        let mut tar = [local(&[("mtime", "1")]), file("d/a", b"x"), vec![0; 1024]].concat();
        let length = tar.len();
        tar[at % length] = to;
        for file in read(&gzip(&tar)).unwrap_or_default() {
            prop_assert!(RelativePath::parse(file.path.as_str()).is_ok());
        }
    }
}
