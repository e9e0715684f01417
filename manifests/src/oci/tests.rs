use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::ToString;

use proptest::prelude::*;

use super::*;

fn descriptor(media_type: &str) -> String {
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":2}}"#, Digest::of(b"{}"))
}

fn manifest(layers: &str) -> String {
    let config = descriptor(ArtifactType::Rulesfile.config_media_type());
    format!(r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{layers}]}}"#)
}

fn index(media_type: &str) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{media_type}","manifests":[{}]}}"#, descriptor(MANIFEST))
}

fn parsed(text: &str, content_type: &str) -> Result<ManifestOrIndex, DocumentError> {
    parse(text.as_bytes(), Some(content_type))
}

#[test]
fn a_falco_artifact() {
    for kind in ArtifactType::ALL {
        let ManifestOrIndex::Manifest(manifest) =
            parsed(&manifest(&descriptor(kind.layer_media_type())), MANIFEST).unwrap()
        else {
            panic!("is no manifest")
        };
        let artifact = manifest.artifact().unwrap();
        assert_eq!((artifact.kind, artifact.title), (kind, None));
    }
}

#[test]
fn manifests_that_are_no_falco_artifact() {
    let rules = descriptor(ArtifactType::Rulesfile.layer_media_type());
    for (layers, error) in [
        (String::new(), NotAnArtifact::Layers(0)),
        (format!("{rules},{rules}"), NotAnArtifact::Layers(2)),
        (descriptor("text/plain"), NotAnArtifact::LayerType("text/plain".into())),
    ] {
        let ManifestOrIndex::Manifest(manifest) = parsed(&manifest(&layers), MANIFEST).unwrap() else {
            panic!("is no manifest")
        };
        assert_eq!(manifest.artifact(), Err(error));
    }
}

#[test]
fn media_types_decide_and_must_agree() {
    let plain = manifest("");
    assert!(parsed(&plain, &format!("{MANIFEST}; charset=utf-8")).is_ok());
    assert!(parsed(&plain, &MANIFEST.to_uppercase()).is_ok());
    assert!(parse(plain.as_bytes(), None).is_ok());
    let unnamed = plain.replace(&format!(r#""mediaType":"{MANIFEST}","#), "");
    assert!(parsed(&unnamed, DOCKER_MANIFEST).is_ok());
    assert!(matches!(parse(unnamed.as_bytes(), None), Err(DocumentError::NoMediaType)));
    assert!(matches!(parsed(&unnamed, INDEX), Err(DocumentError::Missing("manifests"))));
    for other in [INDEX, DOCKER_MANIFEST, "text/html", ""] {
        assert!(matches!(parsed(&plain, other), Err(DocumentError::MediaTypes { .. })), "{other}");
    }
    assert!(matches!(parsed(&unnamed, "text/html"), Err(DocumentError::OtherMediaType(_))));
    assert!(matches!(parsed(&index(DOCKER_LIST), DOCKER_LIST), Ok(ManifestOrIndex::Index(_))));
}

#[test]
fn ambiguous_and_malformed_documents_are_refused() {
    let both = |extra: &str| index(INDEX).replacen('{', &format!("{{{extra},"), 1);
    for extra in [
        r#""layers":[]"#.to_string(),
        format!(r#""config":{}"#, descriptor("a/b")),
        r#""fsLayers":[]"#.to_string(),
        r#""blobs":[]"#.to_string(),
    ] {
        assert!(matches!(parsed(&both(&extra), INDEX), Err(DocumentError::Ambiguous)), "{extra}");
    }
    let layer = descriptor(ArtifactType::Rulesfile.layer_media_type());
    let good = manifest(&layer);
    assert!(parsed(&good, MANIFEST).is_ok());
    for bad in [
        "<html></html>".to_owned(),
        "[]".to_owned(),
        good.replace("sha256:", "sha512:"),
        good.replace(r#""size":2"#, r#""size":-2"#),
        good.replace(r#""size":2"#, r#""size":2.5"#),
        good.replacen(r#""schemaVersion":2"#, r#""schemaVersion":2,"schemaVersion":2"#, 1),
        good.replacen(r#""layers""#, r#""layers":[],"layers""#, 1),
    ] {
        assert!(matches!(parsed(&bad, MANIFEST), Err(DocumentError::Json(_))), "{bad}");
    }
    let first = good.replace(r#""schemaVersion":2"#, r#""schemaVersion":1"#);
    assert!(matches!(parsed(&first, MANIFEST), Err(DocumentError::SchemaVersion(1))));
}

#[test]
fn foreign_urls_are_not_in_the_model() {
    let layer = descriptor(ArtifactType::Rulesfile.layer_media_type());
    let foreign = layer.replacen('{', r#"{"urls":["http://10.0.0.1/x"],"#, 1);
    assert_eq!(parsed(&manifest(&foreign), MANIFEST).unwrap(), parsed(&manifest(&layer), MANIFEST).unwrap());
}

#[test]
fn the_bytes_of_falcoctls_manifest() {
    let content = |media_type: &str, title: Option<&str>| Descriptor {
        media_type: media_type.into(),
        digest: Digest::of(b"{}"),
        size: 2,
        annotations: title.map(|title| (TITLE.to_owned(), title.to_owned())).into_iter().collect(),
        platform: None,
        artifact_type: None,
    };
    let manifest = Manifest {
        schema_version: 2,
        media_type: MANIFEST.into(),
        config: content(ArtifactType::Rulesfile.config_media_type(), None),
        layers: [content(ArtifactType::Rulesfile.layer_media_type(), Some("my.tar.gz"))].into(),
        annotations: [
            (SOURCE.to_owned(), "https://git.example/?a=<1>&b=2\u{2028}".to_owned()),
            (CREATED.to_owned(), "2026-01-02T03:04:05Z".to_owned()),
        ]
        .into(),
    };
    let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    let expected = format!(
        concat!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","#,
            r#""config":{{"mediaType":"application/vnd.cncf.falco.rulesfile.config.v1+json","digest":"{digest}","size":2}},"#,
            r#""layers":[{{"mediaType":"application/vnd.cncf.falco.rulesfile.layer.v1+tar.gz","digest":"{digest}","size":2,"#,
            r#""annotations":{{"org.opencontainers.image.title":"my.tar.gz"}}}}],"#,
            r#""annotations":{{"org.opencontainers.image.created":"2026-01-02T03:04:05Z","#,
            r#""org.opencontainers.image.source":"https://git.example/?a=\u003c1\u003e\u0026b=2\u2028"}}}}"#
        ),
        digest = digest
    );
    let bytes = go_json(&manifest).unwrap();
    assert_eq!(core::str::from_utf8(&bytes).unwrap(), expected);
    assert_eq!(parse(&bytes, Some(MANIFEST)).unwrap(), ManifestOrIndex::Manifest(manifest));
}

proptest! {
    #[test]
    fn parsing_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512), content_type in ".{0,40}") {
        let _any_answer_will_do = parse(&bytes, Some(&content_type));
    }

    #[test]
    fn damaged_documents_never_panic(at in 0usize..400, byte in any::<u8>()) {
        let mut bytes = manifest(&descriptor(ArtifactType::Plugin.layer_media_type())).into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _any_answer_will_do = parse(&bytes, Some(MANIFEST));
    }

    #[test]
    fn go_json_reads_back(text in any::<String>()) {
        let bytes = go_json(&text).unwrap();
        prop_assert!(!bytes.iter().any(|b| matches!(b, b'<' | b'>' | b'&')));
        prop_assert_eq!(serde_json::from_slice::<String>(&bytes).unwrap(), text);
    }
}
