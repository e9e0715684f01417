//! Addresses, and indexes in files.

use super::*;

async fn fetch(url: &str) -> Result<Vec<u8>, IndexError> {
    let clients = Clients::from(transfer::client().unwrap());
    super::fetch(&clients, url, None).await.map(|fetched| fetched.copy.bytes)
}

#[test]
fn urls_are_shown_without_their_secrets() {
    for (url, shown) in [
        ("https://u:secret@h.example:8443/a/index.yaml?sig=secret#secret", "https://h.example:8443/a/index.yaml"),
        ("https://h.example", "https://h.example"),
        ("u:secret@h.example/x", "h.example/x"),
        ("file:///srv/index.yaml", "file:///srv/index.yaml"),
    ] {
        assert_eq!(bare_text(url), shown);
    }
}

#[tokio::test]
async fn files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.yaml");
    let url = format!("file://{}", path.display());
    assert!(matches!(fetch(&url).await, Err(IndexError::File(_))));
    fs_err::File::create(&path).and_then(|mut file| io::Write::write_all(&mut file, b"- name: a\n")).unwrap();
    assert_eq!(fetch(&url).await.unwrap(), b"- name: a\n");
    fs_err::File::create(&path).and_then(|file| file.set_len(CAP + 1)).unwrap();
    assert!(matches!(fetch(&url).await, Err(IndexError::TooLong { .. })));
    let url = format!("file://{}", directory.path().display());
    assert!(matches!(fetch(&url).await, Err(IndexError::File(_))));
    for bad in ["", "index.yaml", "/srv/index.yaml", "ftp://h/x", "gs://b/o", "http://", "file://elsewhere/x"] {
        assert!(matches!(fetch(bad).await, Err(IndexError::Address(_))), "{bad}");
    }
}
