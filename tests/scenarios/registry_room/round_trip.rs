//! What falconer pushes to the real registry comes back the same, and others can read it.

use falconer::registry::Missing;
use falconer_manifests::artifact::ArtifactConfig;
use falconer_manifests::oci::ManifestOrIndex;
use falconer_tests::registry_server::{Mode, PASSWORD, RegistryServer, USER};

use super::*;

/// Pushes under two tags, then reads everything back through a second set of registries.
async fn round_trip(host: &str, pusher: &Registries, puller: &Registries) {
    let repository = repository(host);
    let packed = packed("1.2.0");
    let tags = ["1.2.0", "latest"].map(|tag| Tag::parse(tag).unwrap());
    let pushed = pusher.push(&repository, &packed, &tags).await.unwrap();
    assert_eq!(pushed.digest, packed.manifest.digest);
    assert_eq!(pushed.uploaded, [packed.config.digest.clone(), packed.layer.digest.clone()]);
    // What is there is not sent again, also when only the version is new.
    assert!(pusher.push(&repository, &packed, &tags).await.unwrap().uploaded.is_empty());
    let next = super::packed("1.3.0");
    let pushed = pusher.push(&repository, &next, &[Tag::parse("1.3.0").unwrap()]).await.unwrap();
    assert_eq!(pushed.uploaded, std::slice::from_ref(&next.config.digest));

    let mut tags = puller.tags(&repository).await.unwrap();
    tags.sort();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["1.2.0", "1.3.0", "latest"]);
    assert_eq!(puller.head(&repository, &tag("latest")).await.unwrap(), Some(packed.manifest.digest.clone()));

    let by_tag = puller.manifest(&repository, &tag("1.2.0")).await.unwrap();
    let by_digest = TagOrDigest::Digest(packed.manifest.digest.clone());
    assert_eq!(puller.manifest(&repository, &by_digest).await.unwrap(), by_tag);
    assert_eq!(by_tag.bytes, packed.manifest.bytes);
    let parsed = oci::parse(&by_tag.bytes, by_tag.media_type.as_deref()).unwrap();
    let ManifestOrIndex::Manifest(manifest) = parsed else { panic!("is no manifest") };
    let layer = manifest.artifact().unwrap().layer;
    assert_eq!(fetch(puller, &repository, layer).await, packed.layer.bytes);
    let config = ArtifactConfig::parse(&fetch(puller, &repository, &manifest.config).await).unwrap();
    assert_eq!((config.name.as_str(), config.version.as_str()), ("rules", "1.2.0"));

    let missing = problem(puller.manifest(&repository, &tag("9.9.9")).await);
    assert!(matches!(missing, Problem::NotFound(Missing::Manifest)), "{missing}");
    let missing = problem(puller.blob(&repository, &Digest::of(b"x"), 1, 1, &mut Vec::new()).await);
    assert!(matches!(missing, Problem::NotFound(Missing::Blob)), "{missing}");
    let nowhere = Repository { name: "acme/nowhere".into(), ..repository };
    let missing = puller.tags(&nowhere).await.unwrap_err();
    assert_eq!(missing.to_string(), format!("{host}/acme/nowhere: there is no such repository"));
}

async fn fetch(registries: &Registries, repository: &Repository, wanted: &oci::Descriptor) -> Vec<u8> {
    let mut bytes = Vec::new();
    registries.blob(repository, &wanted.digest, wanted.size, MIB, &mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn over_plain_http() {
    let server = RegistryServer::start(Mode::Plain).unwrap();
    let host = server.host();
    round_trip(&host, &registries(&host, plain()), &registries(&host, plain())).await;
}

#[tokio::test]
async fn with_a_password_from_the_settings_and_from_docker() {
    let server = RegistryServer::start(Mode::Htpasswd).unwrap();
    let host = server.host();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let auths = serde_json::json!({"auths": {(host.as_str()): {"username": USER, "password": PASSWORD}}});
    std::fs::write(&path, auths.to_string()).unwrap();
    let from_docker = registries(&host, plain()).with_docker_config(path);
    round_trip(&host, &registries(&host, with_password(USER, PASSWORD)), &from_docker).await;

    let nobody = registries(&host, plain()).tags(&repository(&host)).await.unwrap_err();
    assert!(matches!(nobody.problem, Problem::Unauthorized { sent: false }), "{nobody}");
    assert!(nobody.hint().unwrap().contains(&host));
    let wrong = registries(&host, with_password(USER, "canary-wrong")).tags(&repository(&host)).await.unwrap_err();
    assert!(matches!(wrong.problem, Problem::Unauthorized { sent: true }), "{wrong}");
    assert!(!format!("{wrong} {wrong:?} {:?}", wrong.hint()).contains("canary"));
}

#[tokio::test]
async fn over_tls_with_its_own_authority() {
    let server = RegistryServer::start(Mode::Tls).unwrap();
    let host = server.host();
    let root = reqwest::Certificate::from_pem(server.authority().unwrap().as_bytes()).unwrap();
    let trusting = || {
        let client = transfer::client_with(std::slice::from_ref(&root), None).unwrap();
        Registries::new(client, BTreeMap::new()).with_limits(short())
    };
    round_trip(&host, &trusting(), &trusting()).await;

    let stranger = Registries::new(transfer::client().unwrap(), BTreeMap::new()).with_limits(short());
    let refused = stranger.tags(&repository(&host)).await.unwrap_err();
    assert!(matches!(refused.problem, Problem::Tls { .. }), "{refused:?}");
    assert!(refused.hint().unwrap().contains("authority"), "{refused:?}");
    let by_address = host.replace("localhost", "127.0.0.1");
    let refused = trusting().tags(&repository(&by_address)).await.unwrap_err();
    assert!(refused.hint().unwrap().contains("the name that the certificate is for"), "{refused:?}");
}

/// A registry without TLS that is asked over https, and the other way round.
#[tokio::test]
async fn the_wrong_protocol_is_named() {
    let server = RegistryServer::start(Mode::Plain).unwrap();
    let refused = registries(&server.host(), Access::default()).tags(&repository(&server.host())).await.unwrap_err();
    assert!(matches!(refused.problem, Problem::Tls { .. }), "{refused:?}");
    assert!(refused.hint().unwrap().contains("plain_http"), "{refused:?}");
}

/// An implementation that shares no code with ours reads what we push.
#[tokio::test]
async fn another_client_reads_what_we_push() {
    use oci_client::secrets::RegistryAuth;
    let server = RegistryServer::start(Mode::Htpasswd).unwrap();
    let host = server.host();
    let packed = packed("1.2.0");
    let ours = registries(&host, with_password(USER, PASSWORD));
    ours.push(&repository(&host), &packed, &[Tag::parse("1.2.0").unwrap()]).await.unwrap();
    let config = oci_client::client::ClientConfig {
        protocol: oci_client::client::ClientProtocol::HttpsExcept(vec![host.clone()]),
        ..Default::default()
    };
    let theirs = oci_client::Client::try_from(config).unwrap();
    let auth = RegistryAuth::Basic(USER.into(), PASSWORD.into());
    let reference = format!("{host}/acme/rules:1.2.0").parse().unwrap();
    let image = theirs.pull(&reference, &auth, vec![ArtifactType::Rulesfile.layer_media_type()]).await.unwrap();
    assert_eq!(image.digest.unwrap(), packed.manifest.digest.as_str());
    assert_eq!(image.layers[0].data, packed.layer.bytes);
    assert_eq!(image.config.data, packed.config.bytes);
}

#[tokio::test]
async fn a_blob_is_written_only_up_to_its_cap() {
    let server = RegistryServer::start(Mode::Plain).unwrap();
    let host = server.host();
    let registries = registries(&host, Access { credentials: Some(Credentials::Token("x".into())), ..plain() });
    let mut out = Vec::new();
    let refused = registries.blob(&repository(&host), &Digest::of(b"x"), 11, 10, &mut out).await;
    assert!(matches!(problem(refused), Problem::TooLarge { size: 11, cap: 10 }));
    assert!(out.is_empty());
}
