//! Following a branch: what it costs, how it moves, and when it is not there.

use super::*;
use falconer_tests::git_server::Fault;

#[test]
fn a_poll_among_300_references_is_small() {
    let stage = Stage::new();
    let tip = stage.fleet.commit_file("main", "fleet.yaml", b"version: 1\n").unwrap();
    stage.fleet.crowd(&tip, 300).unwrap();
    block(async {
        let mut remote = stage.remote();
        assert_eq!(remote.poll(&main_branch()).await.unwrap(), revision(&tip));
        let first = stage.server.exchanges();
        assert_eq!(first.len(), 2, "{first:?}");
        let bytes: u64 = first.iter().map(|exchange| exchange.received + exchange.sent).sum();
        println!("first poll: {first:?}: {bytes} bytes");
        assert!(bytes < 2048, "{bytes} {first:?}");

        remote.poll(&main_branch()).await.unwrap();
        let second = stage.server.exchanges();
        println!("second poll: {second:?}");
        assert_eq!(second.len(), 1, "{second:?}");
        assert_eq!(second[0].request, "POST /fleet.git/git-upload-pack");
        assert_eq!(stage.server.connections(), 1, "the connection is kept");
    });
}

#[test]
fn the_first_fetch_is_shallow_and_later_ones_are_increments() {
    let stage = Stage::new();
    stage.fleet.history("main", 50).unwrap();
    block(async {
        let (mut remote, ours) = (stage.remote(), stage.ours());
        let (mut last, _) = update(&mut remote, &ours, None).await.unwrap();
        assert_eq!(read(&ours, &last, "fleet.yaml").unwrap(), b"version: 1 # 49");
        println!("first fetch: {:?}", stage.server.exchanges());
        let parent = revision(&stage.fleet.git(&["rev-parse", "main~1"]).unwrap());
        assert!(!ours.has(&parent), "the first fetch has no history");

        for number in 50..53 {
            stage.fleet.commit_file("main", "fleet.yaml", b"version: 1 # between\n").unwrap();
            let content = format!("version: 1 # {number}\n");
            stage.fleet.commit_file("main", "fleet.yaml", content.as_bytes()).unwrap();
            let (tip, lineage) = update(&mut remote, &ours, Some(&last)).await.unwrap();
            assert_eq!(lineage, Lineage::Descendant);
            assert_eq!(read(&ours, &tip, "fleet.yaml").unwrap(), content.as_bytes());
            println!("increment: {:?}", stage.server.exchanges());
            last = tip;
        }
        assert!(!ours.has(&parent), "increments do not deepen");
        assert_eq!(ours.packs().unwrap(), 4);

        let before = snapshot(&stage.directory.path().join("ours"));
        update(&mut remote, &stage.ours(), Some(&last)).await.unwrap();
        assert_eq!(stage.server.exchanges().len(), 1, "nothing new: one poll and no fetch");
        assert_eq!(snapshot(&stage.directory.path().join("ours")), before, "nothing new: nothing is written");
    });
}

/// Every file and directory below `place` with the time of its last change.
fn snapshot(place: &Path) -> Vec<(std::path::PathBuf, i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    let mut waiting = vec![place.to_owned()];
    while let Some(path) = waiting.pop() {
        let data = std::fs::symlink_metadata(&path).unwrap();
        if data.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.push((path, data.ctime(), data.ctime_nsec()));
    }
    found.sort();
    found
}

#[test]
fn a_rewritten_branch_brings_a_bounded_history() {
    let stage = Stage::new();
    stage.fleet.commit_file("main", "fleet.yaml", b"one\n").unwrap();
    block(async {
        let (mut remote, ours) = (stage.remote(), stage.ours());
        let (one, _) = update(&mut remote, &ours, None).await.unwrap();
        stage.fleet.history("main", 400).unwrap();
        let (_, lineage) = update(&mut remote, &ours, Some(&one)).await.unwrap();
        assert_eq!(lineage, Lineage::Rewritten);
        let at = |back: usize| revision(&stage.fleet.git(&["rev-parse", &format!("main~{back}")]).unwrap());
        assert!(ours.has(&at(0)) && ours.has(&at(255)) && !ours.has(&at(256)));
    });
}

/// The same story for servers of both protocols, with a rewritten branch at its end.
fn a_rewritten_branch_is_told(fault: Fault) {
    let stage = Stage::new();
    stage.server.set_fault(fault);
    let base = stage.fleet.commit_file("main", "fleet.yaml", b"base\n").unwrap();
    stage.fleet.commit_file("main", "fleet.yaml", b"one\n").unwrap();
    block(async {
        let (mut remote, ours) = (stage.remote(), stage.ours());
        let (one, _) = update(&mut remote, &ours, None).await.unwrap();
        stage.fleet.commit_file("main", "fleet.yaml", b"two\n").unwrap();
        let (two, lineage) = update(&mut remote, &ours, Some(&one)).await.unwrap();
        assert_eq!(lineage, Lineage::Descendant);

        // A sibling of what we have, an older commit, and a history that has nothing to do with ours.
        let blob = stage.fleet.blob(b"three\n").unwrap();
        let sibling = stage.fleet.commit("main", &[&base], &[("100644", "fleet.yaml", blob.clone())]).unwrap();
        let (tip, lineage) = update(&mut remote, &ours, Some(&two)).await.unwrap();
        assert_eq!((tip, lineage), (revision(&sibling), Lineage::Rewritten));
        assert_eq!(read(&ours, &revision(&sibling), "fleet.yaml").unwrap(), b"three\n");

        stage.fleet.git(&["update-ref", "refs/heads/main", &base]).unwrap();
        let (tip, lineage) = update(&mut remote, &ours, Some(&two)).await.unwrap();
        assert_eq!((tip, lineage), (revision(&base), Lineage::Rewritten));

        let orphan = stage.fleet.commit("main", &[], &[("100644", "fleet.yaml", blob)]).unwrap();
        let (tip, lineage) = update(&mut remote, &ours, Some(&two)).await.unwrap();
        assert_eq!((tip, lineage), (revision(&orphan), Lineage::Rewritten));

        // Forward again from where we were: no grudge is borne.
        stage.fleet.git(&["update-ref", "refs/heads/main", two.as_str()]).unwrap();
        stage.fleet.commit_file("main", "fleet.yaml", b"four\n").unwrap();
        let (tip, lineage) = update(&mut remote, &ours, Some(&two)).await.unwrap();
        assert_eq!(lineage, Lineage::Descendant);
        assert_eq!(read(&ours, &tip, "fleet.yaml").unwrap(), b"four\n");
    });
}

#[test]
fn a_rewritten_branch_is_told_by_protocol_v2() {
    a_rewritten_branch_is_told(Fault::None);
}

#[test]
fn a_rewritten_branch_is_told_by_protocol_v0() {
    a_rewritten_branch_is_told(Fault::NoVersion2);
}

#[test]
fn wrong_clocks_do_not_look_like_a_rewritten_branch() {
    let stage = Stage::new();
    let tree = stage.fleet.git(&["mktree"]).unwrap();
    let dated = |parent: Option<&str>, seconds: u64| {
        let parent = parent.map(|parent| format!("parent {parent}\n")).unwrap_or_default();
        let person = format!("Ada <ada@example.org> {seconds} +0000");
        let text = format!("tree {tree}\n{parent}author {person}\ncommitter {person}\n\nx\n");
        let id = stage.fleet.git_with(&["hash-object", "-t", "commit", "-w", "--stdin"], text.as_bytes()).unwrap();
        stage.fleet.git(&["update-ref", "refs/heads/main", &id]).unwrap();
        id
    };
    block(async {
        let (mut remote, ours) = (stage.remote(), stage.ours());
        let root = dated(None, 900);
        let future = dated(Some(&root), 4_000_000_000);
        let (last, _) = update(&mut remote, &ours, None).await.unwrap();
        assert_eq!(last, revision(&future));
        let past = dated(Some(&future), 1000);
        let past = dated(Some(&past), 1001);
        dated(Some(&past), 1002);
        let (_, lineage) = update(&mut remote, &ours, Some(&last)).await.unwrap();
        assert_eq!(lineage, Lineage::Descendant);
    });
}

/// Lineage survives when our repository is thrown away because it has too many packs.
fn a_repository_made_anew_keeps_lineage(fault: Fault) {
    let stage = Stage::new();
    stage.server.set_fault(fault);
    stage.fleet.commit_file("main", "fleet.yaml", b"one\n").unwrap();
    block(async {
        let (mut remote, ours) = (stage.remote(), stage.ours());
        let (one, _) = update(&mut remote, &ours, None).await.unwrap();
        stage.fleet.commit_file("main", "fleet.yaml", b"two\n").unwrap();
        stage.fleet.commit_file("main", "fleet.yaml", b"three\n").unwrap();
        let ours = Repository::create_anew(&stage.directory.path().join("ours")).unwrap();
        assert_eq!(ours.packs().unwrap(), 0);
        let (_, lineage) = update(&mut remote, &ours, Some(&one)).await.unwrap();
        assert_eq!(lineage, Lineage::Descendant);

        let blob = stage.fleet.blob(b"other\n").unwrap();
        stage.fleet.commit("main", &[], &[("100644", "fleet.yaml", blob)]).unwrap();
        let ours = Repository::create_anew(&stage.directory.path().join("ours")).unwrap();
        let (_, lineage) = update(&mut remote, &ours, Some(&one)).await.unwrap();
        assert_eq!(lineage, Lineage::Rewritten);

        // The server has forgotten the old history altogether.
        stage.fleet.git(&["-c", "gc.pruneExpire=now", "gc", "--quiet", "--prune=now"]).unwrap();
        let ours = Repository::create_anew(&stage.directory.path().join("ours")).unwrap();
        let (_, lineage) = update(&mut remote, &ours, Some(&one)).await.unwrap();
        assert_eq!(lineage, Lineage::Rewritten);
    });
}

#[test]
fn a_repository_made_anew_keeps_lineage_by_protocol_v2() {
    a_repository_made_anew_keeps_lineage(Fault::None);
}

#[test]
fn a_repository_made_anew_keeps_lineage_by_protocol_v0() {
    a_repository_made_anew_keeps_lineage(Fault::NoVersion2);
}

#[test]
fn missing_branches_and_empty_repositories_are_named() {
    for fault in [Fault::None, Fault::NoVersion2] {
        let stage = Stage::new();
        stage.server.set_fault(fault);
        block(async {
            let mut remote = stage.remote();
            let error = remote.poll(&main_branch()).await.unwrap_err();
            assert!(matches!(error, GitError::Empty { .. }), "{error}");
            stage.fleet.commit_file("trunk", "fleet.yaml", b"x\n").unwrap();
            stage.fleet.commit_file("main2", "fleet.yaml", b"x\n").unwrap();
            let error = remote.poll(&main_branch()).await.unwrap_err();
            assert!(error.to_string().ends_with("has no branch main; it has main2, trunk"), "{error}");
            assert!(error.hint().is_some());
        });
    }
}
