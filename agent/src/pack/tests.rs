use std::io::{Read, Write};

use falconer_manifests::oci::ImageIndex;

use super::*;

const RULES: &[u8] = b"- list: falco_binaries\n  items: [falconer]\n";

fn input() -> PackInput<'static> {
    PackInput {
        file_name: "acme.rules.yaml",
        bytes: RULES,
        mode: 0o100_640,
        kind: ArtifactType::Rulesfile,
        name: ArtifactName::parse("acme-rules").unwrap(),
        version: "1.2.0",
        dependencies: vec![Dependency {
            name: "json".into(),
            version: "0.7.0".into(),
            alternatives: vec![Requirement { name: "container".into(), version: "0.2.0".into() }],
        }],
        requirements: vec![Requirement { name: "engine_version_semver".into(), version: "0.31.0".into() }],
        created: "2026-01-31T08:00:00Z",
        source: None,
    }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_rules_file_becomes_falcoctls_artifact() {
    let packed = pack(&input()).unwrap();
    assert_eq!(
        String::from_utf8(packed.config.bytes.clone()).unwrap(),
        concat!(
            r#"{"name":"acme-rules","version":"1.2.0","dependencies":[{"name":"json","version":"0.7.0","#,
            r#""alternatives":[{"name":"container","version":"0.2.0"}]}],"#,
            r#""requirements":[{"name":"engine_version_semver","version":"0.31.0"}]}"#
        )
    );
    let oci::ManifestOrIndex::Manifest(manifest) = oci::parse(&packed.manifest.bytes, Some(oci::MANIFEST)).unwrap()
    else {
        panic!("is no manifest")
    };
    let artifact = manifest.artifact().unwrap();
    assert_eq!((artifact.kind, artifact.title), (ArtifactType::Rulesfile, Some("acme.tar.gz")));
    assert_eq!(artifact.layer.digest, packed.layer.digest);
    assert_eq!(artifact.layer.size, packed.layer.bytes.len() as u64);
    assert_eq!(manifest.config, packed.config.descriptor(ArtifactType::Rulesfile.config_media_type()));
    assert_eq!(&manifest.annotations[oci::CREATED], "2026-01-31T08:00:00Z");
    assert_eq!(manifest.annotations.get(oci::SOURCE), None);
}

#[test]
fn the_archive_holds_the_file_and_nothing_of_the_machine() {
    let layer = pack(&input()).unwrap().layer.bytes;
    // RFC 1952: no flags (so no name), no time, and an operating system that is not named.
    assert_eq!(layer[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(layer.as_slice()));
    let mut entries = archive.entries().unwrap();
    let mut entry = entries.next().unwrap().unwrap();
    let header = entry.header().clone();
    assert!(header.as_ustar().is_some());
    assert_eq!(entry.path_bytes().as_ref(), b"acme.rules.yaml");
    assert_eq!((header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0o640, 0, 0));
    assert_eq!((header.mtime().unwrap(), header.username().unwrap()), (0, Some("")));
    let mut content = Vec::new();
    entry.read_to_end(&mut content).unwrap();
    assert_eq!(content, RULES);
    assert!(entries.next().is_none());
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(pack(&input()).unwrap(), pack(&input()).unwrap());
    let later = pack(&PackInput { created: "2026-02-01T00:00:00Z", ..input() }).unwrap();
    assert_eq!(later.layer, pack(&input()).unwrap().layer);
    assert_ne!(later.manifest.digest, pack(&input()).unwrap().manifest.digest);
}

#[test]
fn an_archive_is_published_as_it_is() {
    let archive = pack(&input()).unwrap().layer.bytes;
    let given = PackInput { file_name: "given.v1.tar.gz", bytes: &archive, ..input() };
    let packed = pack(&given).unwrap();
    assert_eq!(packed.layer.bytes, archive);
    let manifest = String::from_utf8(packed.manifest.bytes).unwrap();
    assert!(manifest.contains(r#""org.opencontainers.image.title":"given.v1.tar.gz""#));
}

#[test]
fn what_only_looks_like_an_archive_is_refused() {
    let archive = pack(&input()).unwrap().layer.bytes;
    let cut = &archive[..archive.len() - 12];
    for bad in [RULES, &gzip(RULES), &gzip(&[]), &gzip(&[0; 1024]), cut, &[archive.as_slice(), b"junk"].concat()] {
        let given = PackInput { file_name: "rules.tar.gz", bytes: bad, ..input() };
        assert!(matches!(pack(&given), Err(PackError::Archive { .. })), "{}", bad.len());
    }
}

#[test]
fn other_inputs_that_are_refused() {
    assert!(matches!(pack(&PackInput { kind: ArtifactType::Plugin, ..input() }), Err(PackError::Kind(_))));
    for version in ["1", "1.2", "v1.2.3", "feature/x", "", "1.2.3 "] {
        assert!(matches!(pack(&PackInput { version, ..input() }), Err(PackError::Version { .. })), "{version}");
    }
    for created in ["", "2026-01-31", "2026-01-31T08:00:00+01:00", "2026-13-31T08:00:00Z", "2026-01-31T08:00:00.5Z"] {
        assert!(matches!(pack(&PackInput { created, ..input() }), Err(PackError::Created(_))), "{created}");
    }
    let long = format!("{}.yaml", "a".repeat(100));
    for file_name in ["", ".yaml", "a/b.yaml", "règles.yaml", "a\n.yaml", &long] {
        assert!(matches!(pack(&PackInput { file_name, ..input() }), Err(PackError::FileName(_))), "{file_name}");
    }
}

fn plugin(platform: &str, bytes: &'static [u8]) -> PlatformInput<'static> {
    let input =
        PackInput { file_name: "libacme.so", bytes, kind: ArtifactType::Plugin, source: Some("https://g"), ..input() };
    PlatformInput { platform: Platform::parse(platform).unwrap(), input }
}

fn index_of(packed: &PackedIndex) -> ImageIndex {
    match oci::parse(&packed.index.bytes, Some(oci::INDEX)).unwrap() {
        oci::ManifestOrIndex::Index(index) => index,
        oci::ManifestOrIndex::Manifest(_) => panic!("is no index"),
    }
}

#[test]
fn a_plugin_becomes_falcoctls_index() {
    let packed = pack_platforms(&[plugin("linux/amd64", b"amd"), plugin("linux/arm64", b"arm")]).unwrap();
    let manifests = packed.platforms.iter().map(|(_, packed)| &packed.manifest);
    let entries = manifests.zip(["amd64", "arm64"]).map(|(manifest, architecture)| {
        format!(
            concat!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{},"annotations":{{"#,
                r#""org.opencontainers.image.created":"2026-01-31T08:00:00Z","org.opencontainers.image.source":"https://g"}},"#,
                r#""platform":{{"architecture":"{}","os":"linux"}},"#,
                r#""artifactType":"application/vnd.cncf.falco.plugin.config.v1+json"}}"#
            ),
            manifest.digest,
            manifest.bytes.len(),
            architecture
        )
    });
    let expected = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{}],"#,
            r#""annotations":{{"org.opencontainers.image.source":"https://g"}}}}"#
        ),
        entries.collect::<Vec<_>>().join(",")
    );
    assert_eq!(String::from_utf8(packed.index.bytes.clone()).unwrap(), expected);
    assert_eq!(index_of(&packed).manifests.len(), 2);
    let contents = Contents::from(&packed);
    assert_eq!((contents.blobs.len(), contents.manifests.len()), (4, 2));
    assert_eq!((contents.root, contents.root_media_type), (&packed.index, oci::INDEX));
    // One platform is an index too, and without a source the index has no annotations.
    let mut alone = plugin("linux/amd64", b"amd");
    alone.input.source = None;
    let alone = index_of(&pack_platforms(&[alone]).unwrap());
    assert_eq!((alone.manifests.len(), alone.annotations.len()), (1, 0));
}

#[test]
fn platforms_that_are_refused() {
    assert!(matches!(pack_platforms(&[]), Err(PackError::NoPlatform(_))));
    let twice = [plugin("linux/amd64", b"a"), plugin("linux/amd64", b"b")];
    assert!(matches!(pack_platforms(&twice), Err(PackError::PlatformTwice(_))));
}

#[test]
fn branches_are_versions_too() {
    let packed = pack(&PackInput { version: "main", ..input() }).unwrap();
    assert!(String::from_utf8(packed.config.bytes).unwrap().contains(r#""version":"main""#));
}

#[test]
fn a_directory_becomes_one_flat_archive() {
    let file = |name: &str| DirectoryFile { name: name.into(), mode: 0o600, bytes: name.as_bytes().to_vec() };
    let archive = of_directory("maps", &[file("b.json"), file("a.json")]).unwrap();
    assert_eq!(archive, of_directory("maps", &[file("b.json"), file("a.json")]).unwrap());
    let mut read = tar::Archive::new(flate2::read::MultiGzDecoder::new(archive.as_slice()));
    let entries = read.entries().unwrap().map(|entry| {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 0));
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), header.mode().unwrap())
    });
    let entries: Vec<_> = entries.collect();
    assert_eq!(entries, [("maps/".into(), 0o755), ("b.json".into(), 0o600), ("a.json".into(), 0o600)]);
    let limits = crate::archive::Limits::PLUGIN;
    assert_eq!(crate::archive::list(archive.as_slice(), &limits).unwrap().len(), 2);
    assert!(matches!(of_directory("maps", &[file("a"), file("a")]), Err(PackError::NameTwice(_))));
    assert!(matches!(of_directory("maps", &[file("maps")]), Err(PackError::NameTwice(_))));
    assert!(matches!(of_directory("maps", &[file("..")]), Err(PackError::FileName(_))));
    assert!(matches!(of_directory("", &[]), Err(PackError::FileName(_))));
}
