//! Repositories of this machine as the source.

use super::*;

#[test]
fn a_directory_is_a_source_like_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = Fixture::create(&directory.path().join("fleet")).unwrap();
    let ours = Repository::open_or_create(&directory.path().join("ours")).unwrap();
    let url = fleet.path().display().to_string();
    block(async {
        let mut source = remote(&url, access());
        let error = source.poll(&main_branch()).await.unwrap_err();
        assert!(matches!(error, GitError::Empty { .. }), "{error}");
        fleet.commit_file("trunk", "fleet.yaml", b"x\n").unwrap();
        let error = source.poll(&main_branch()).await.unwrap_err();
        assert!(error.to_string().ends_with("has no branch main; it has trunk"), "{error}");

        let base = fleet.commit_file("main", "rules/a.yaml", b"one\n").unwrap();
        let (one, _) = update(&mut source, &ours, None).await.unwrap();
        assert_eq!(read(&ours, &one, "rules/a.yaml").unwrap(), b"one\n");
        fleet.git(&["gc", "--quiet"]).unwrap();
        fleet.commit_file("main", "rules/a.yaml", b"two\n").unwrap();
        fleet.commit_file("main", "rules/a.yaml", b"three\n").unwrap();
        let (three, lineage) = update(&mut source, &ours, Some(&one)).await.unwrap();
        assert_eq!(lineage, Lineage::Descendant);
        assert_eq!(read(&ours, &three, "rules/a.yaml").unwrap(), b"three\n");
        assert_eq!(ours.packs().unwrap(), 2);

        fleet.git(&["update-ref", "refs/heads/main", &base]).unwrap();
        let (_, lineage) = update(&mut source, &ours, Some(&three)).await.unwrap();
        assert_eq!(lineage, Lineage::Rewritten);
        assert_eq!(ours.packs().unwrap(), 2, "nothing new was copied");

        // What was copied does not lean on where it came from.
        std::fs::remove_dir_all(fleet.path()).unwrap();
        let ours = Repository::open_or_create(&directory.path().join("ours")).unwrap();
        assert_eq!(read(&ours, &three, "rules/a.yaml").unwrap(), b"three\n");
        let error = source.poll(&main_branch()).await.unwrap_err();
        assert!(matches!(error, GitError::NotFound { .. }), "{error}");
    });
}

#[test]
fn a_checkout_and_a_file_url_are_taken_too() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = Fixture::create(&directory.path().join("fleet")).unwrap();
    let tip = fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    fleet.git(&["clone", "--quiet", ".", "../checkout"]).unwrap();
    let checkout = directory.path().join("checkout");
    let ours = Repository::open_or_create(&directory.path().join("ours")).unwrap();
    for url in [format!("file://{}", checkout.display()), checkout.display().to_string()] {
        let (seen, _) = block(update(&mut remote(&url, access()), &ours, None)).unwrap();
        assert_eq!(seen, revision(&tip));
    }
    let relative = RemoteUrl::parse("checkout", directory.path()).unwrap();
    let mut source = Remote::new(&relative, access(), transfer::client().unwrap()).unwrap();
    assert_eq!(block(source.poll(&main_branch())).unwrap(), revision(&tip));
    // A directory inside a repository is not a repository.
    let inside = checkout.join("below");
    std::fs::create_dir(&inside).unwrap();
    let error = block(remote(&inside.display().to_string(), access()).poll(&main_branch())).unwrap_err();
    assert!(matches!(error, GitError::NotFound { .. }), "{error}");
}
