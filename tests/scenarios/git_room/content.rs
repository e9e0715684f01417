//! What the room reads from a commit, and what it refuses to.

use super::*;

use falconer_manifests::remedy::Remedy;

#[test]
fn only_ordinary_files_are_read() {
    let stage = Stage::new();
    let blob = |content: &[u8]| stage.fleet.blob(content).unwrap();
    let commit = stage.fleet.commit_file("other", "x", b"x").unwrap();
    let tip = stage
        .fleet
        .commit(
            "main",
            &[],
            &[
                ("100644", "rules/deep/acme.yaml", blob(b"- rule: x\n")),
                ("100755", "run.sh", blob(b"#!/bin/sh\n")),
                ("120000", "link", blob(b"/etc/passwd")),
                ("120000", "folder", blob(b"/etc")),
                ("160000", "module", commit),
            ],
        )
        .unwrap();
    block(async {
        let (mut remote, ours) = (stage.remote(), stage.ours());
        let (tip_seen, _) = update(&mut remote, &ours, None).await.unwrap();
        assert_eq!(tip_seen, revision(&tip));
        assert_eq!(read(&ours, &tip_seen, "rules/deep/acme.yaml").unwrap(), b"- rule: x\n");
        for absent in ["nothing", "rules/nothing", "run.sh/x", "rules/deep/acme.yaml/x"] {
            assert_eq!(read(&ours, &tip_seen, absent), None, "{absent}");
        }
        for (file, said) in [
            ("run.sh", "run.sh in REV is an executable file (mode 100755)"),
            ("link", "link in REV is a symbolic link (mode 120000)"),
            ("folder/passwd", "folder in REV is a symbolic link (mode 120000)"),
            ("module", "module in REV is a submodule (mode 160000)"),
            ("module/x", "module in REV is a submodule (mode 160000)"),
            ("rules", "rules in REV is a directory (mode 040000)"),
        ] {
            let error = ours.read_file(&tip_seen, &path(file), 100).unwrap_err();
            assert_eq!(error.to_string().replace(&tip, "REV"), said);
            assert_eq!(error.remedy(), Remedy::Author);
        }
        let error = ours.read_file(&tip_seen, &path("rules/deep/acme.yaml"), 9).unwrap_err();
        assert!(matches!(error, GitError::FileTooLarge { limit: 9, .. }), "{error}");
        assert_eq!(error.remedy(), Remedy::Author);
        let error = ours.read_file(&revision(&"0".repeat(40)), &path("x"), 9).unwrap_err();
        assert!(matches!(error, GitError::NotFetched { .. }), "{error}");
    });
}

#[test]
fn names_that_are_no_text_do_no_harm() {
    let stage = Stage::new();
    let blob = stage.fleet.blob(b"x\n").unwrap();
    let mut tree = format!("100644 blob {blob}\tfleet.yaml\0").into_bytes();
    tree.extend(format!("100644 blob {blob}\t").bytes().chain(*b"\xff\xfe.yaml\0"));
    let tree = stage.fleet.git_with(&["mktree", "-z"], &tree).unwrap();
    let tip = stage.fleet.git(&["commit-tree", "-m", "x", &tree]).unwrap();
    stage.fleet.git(&["update-ref", "refs/heads/main", &tip]).unwrap();
    block(async {
        let (mut remote, ours) = (stage.remote(), stage.ours());
        let (tip, _) = update(&mut remote, &ours, None).await.unwrap();
        assert_eq!(read(&ours, &tip, "fleet.yaml").unwrap(), b"x\n");
        assert_eq!(read(&ours, &tip, "\u{fffd}\u{fffd}.yaml"), None);
    });
}

#[test]
fn a_damaged_repository_says_so_and_can_be_made_anew() {
    let stage = Stage::new();
    stage.fleet.commit_file("main", "fleet.yaml", b"x\n").unwrap();
    let place = stage.directory.path().join("ours");
    block(async {
        let mut remote = stage.remote();
        update(&mut remote, &stage.ours(), None).await.unwrap();
        std::fs::remove_file(place.join("HEAD")).unwrap();
        let Err(error) = Repository::open_or_create(&place) else { panic!("opened a damaged repository") };
        assert!(error.is_damage(), "{error}");
        let ours = Repository::create_anew(&place).unwrap();
        update(&mut remote, &ours, None).await.unwrap();
    });
}

/// Runs in a process of its own, so that its memory is the room's alone.
#[test]
#[ignore = "started by the tests below"]
fn probe() {
    let Ok(url) = std::env::var("FALCONER_TEST_URL") else { return };
    let place = std::env::var("FALCONER_TEST_PLACE").unwrap();
    block(async {
        let (mut remote, ours) = (remote(&url, access()), Repository::open_or_create(Path::new(&place)).unwrap());
        match update(&mut remote, &ours, None).await {
            Ok((tip, _)) => {
                assert_eq!(read(&ours, &tip, "fleet.yaml").unwrap(), b"version: 1\n");
                let error = ours.read_file(&tip, &path("large"), 1 << 20).unwrap_err();
                println!("refused: {error}");
            }
            Err(error) => println!("refused: {error}"),
        }
    });
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("peak: {}", peak.split_whitespace().nth(1).unwrap());
}

/// Gives back what was refused and the peak of memory in KiB.
fn probed(url: &str, place: &Path) -> (String, u64) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "git_room::content::probe", "--ignored", "--nocapture"]);
    let output = command.env("FALCONER_TEST_URL", url).env("FALCONER_TEST_PLACE", place).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |name: &str| {
        let found = text.split(['\n', '\r']).find_map(|line| line.split_once(name));
        found.unwrap_or_else(|| panic!("{text} {}", String::from_utf8_lossy(&output.stderr))).1.to_owned()
    };
    (line("refused: "), line("peak: ").parse().unwrap())
}

/// A repository with 300 MB of zeros in one blob, stored as a stream so that no process holds it.
fn with_zeros(fleet: &Fixture, count: usize) {
    let mut entries = vec![("100644", "fleet.yaml", fleet.blob(b"version: 1\n").unwrap())];
    let names: Vec<_> =
        (0..count).map(|number| if number == 0 { "large".into() } else { format!("large{number}") }).collect();
    for (number, name) in names.iter().enumerate() {
        let zeros = fleet.path().join("zeros");
        let file = std::fs::File::create(&zeros).unwrap();
        file.set_len(300_000_000 + number as u64).unwrap();
        entries.push(("100644", name, fleet.git(&["hash-object", "-w", "zeros"]).unwrap()));
        std::fs::remove_file(&zeros).unwrap();
    }
    fleet.commit("main", &[], &entries).unwrap();
}

const PEAK_KIB: u64 = 64 * 1024;

#[test]
fn a_large_blob_is_refused_in_little_memory() {
    let stage = Stage::new();
    with_zeros(&stage.fleet, 1);
    let url = stage.server.url("fleet.git");
    for filter in ["true", "false"] {
        stage.fleet.git(&["config", "uploadpack.allowFilter", filter]).unwrap();
        let place = stage.directory.path().join(filter);
        let (refused, peak) = probed(&url, &place);
        let sent: u64 = stage.server.exchanges().iter().map(|exchange| exchange.sent).sum();
        println!("filter {filter}: {refused}; peak {peak} KiB, {sent} bytes sent");
        assert!(refused.starts_with("large in "), "{refused}");
        assert!(peak < PEAK_KIB, "{peak} KiB");
        assert_eq!(sent < 10_000, filter == "true", "{sent} bytes");
    }
    let path = stage.fleet.path().display().to_string();
    let (refused, peak) = probed(&path, &stage.directory.path().join("copied"));
    println!("directory: {refused}; peak {peak} KiB");
    assert!(refused.starts_with("large in "), "{refused}");
    assert!(peak < PEAK_KIB, "{peak} KiB");
}

#[test]
fn large_deltas_are_refused_before_they_are_built() {
    let stage = Stage::new();
    with_zeros(&stage.fleet, 2);
    stage.fleet.git(&["config", "core.bigFileThreshold", "1g"]).unwrap();
    let (refused, peak) = probed(&stage.server.url("fleet.git"), &stage.directory.path().join("ours"));
    println!("delta: {refused}; peak {peak} KiB");
    assert!(refused.contains("more than the limit of 8388608"), "{refused}");
    assert!(peak < PEAK_KIB, "{peak} KiB");
}
