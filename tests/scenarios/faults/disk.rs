//! A disk that is full, read-only or failing, in the middle of a pass.

use falconer_tests::trace;

use super::kill::{Story, points};
use super::*;

/// How many points of a run are tried where not all are.
const SAMPLE: usize = 24;

/// What a call may fail with, on a disk in trouble or in a process that may not do or open more.
fn errors_of(call: &str) -> &'static [&'static str] {
    match call {
        "fsync" | "fdatasync" => &["EIO", "ENOSPC"],
        "write" | "pwrite64" | "writev" | "ftruncate" => &["ENOSPC", "EIO"],
        "flock" => &[],
        "open" | "openat" => &["EROFS", "EMFILE", "ENOSPC", "EACCES", "EIO"],
        _ => &["EROFS", "ENOSPC", "EACCES", "EIO"],
    }
}

/// Every change of the disk fails once: an error with a hint, exit 1, what is live stays whole, the next pass converges.
fn fail_everywhere(story: &Story<'_>) {
    if !trace::is_permitted() {
        return;
    }
    let saved = Saved::of(story.host);
    let all = points(story);
    let of_point =
        |point: super::kill::Point| errors_of(&point.call.name).iter().map(move |error| (point.clone(), *error));
    let all: Vec<_> = all.into_iter().flat_map(of_point).collect();
    let (total, chosen) = (all.len(), sample(all, SAMPLE));
    let (mut failed, mut tolerated, mut violations) = (0, Vec::new(), Vec::new());
    for (point, error) in &chosen {
        saved.restore();
        let before = Live::on(story.host);
        let run = trace::inject(&once(story.host), &point.call, &format!("error={error}:when={}", point.nth));
        let after = Live::on(story.host);
        let untouched = after == before || broken_promise(story.host).is_none();
        let told = run.stderr.contains("hint");
        match run.code {
            Some(1) if untouched && told => failed += 1,
            // What may fail without harm: what is live is right all the same.
            Some(0) if broken_promise(story.host).is_none() => {
                tolerated.push(format!("{error}: {}", point.call.line));
            }
            _ => violations.push(format!("{error} {point:?}: {:?} {run:?}", broken_promise(story.host))),
        }
        let next = falconer_tests::host::run(&mut once(story.host));
        let live = Live::on(story.host).map(|live| live.rules("acme-rules.yaml"));
        if next.code != Some(0) || live != Some(rules(story.version)) || broken_promise(story.host).is_some() {
            violations.push(format!("{error} {point:?}: does not converge: {next:?}"));
        }
    }
    let (name, tried, harmless, bad) = (story.name, chosen.len(), tolerated.len(), violations.len());
    say(&format!("{name}: {tried} of {total} failing calls: {failed} errors, {harmless} harmless, {bad} violations"));
    println!("{tolerated:#?}");
    assert!(violations.is_empty(), "{violations:#?}");
}

#[test]
fn a_disk_that_fails_in_a_first_pass() {
    let host = Host::new();
    commit(&host, 1);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    fail_everywhere(&Story { name: "install", host: &host, code: 0, version: 1 });
}

#[test]
fn a_disk_that_fails_in_an_update() {
    let host = installed();
    for n in 2..=3 {
        commit(&host, n);
        converges(&host, n);
    }
    commit(&host, 4);
    fail_everywhere(&Story { name: "update and prune", host: &host, code: 0, version: 4 });
}

/// A file system of its own for the state directory; it goes when this is dropped.
struct Tmpfs<'a> {
    path: &'a Path,
}

impl<'a> Tmpfs<'a> {
    fn mount(path: &'a Path, size: &str) -> Option<Self> {
        let options = format!("size={size},mode=0755");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "falconer-test"]).arg(path);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self { path }),
            other => {
                say(&format!("no file system of our own can be mounted ({other:?}): the really full disk is skipped"));
                None
            }
        }
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.path).status();
    }
}

#[test]
fn a_disk_that_is_really_full() {
    let host = Host::new();
    commit(&host, 1);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let state = host.path("state");
    std::fs::create_dir(&state).unwrap();
    let Some(_tmpfs) = Tmpfs::mount(&state, "1m") else { return };
    converges(&host, 1);
    commit(&host, 2);
    // More and more is left for the update, block by block, until it is enough.
    let ballast = host.path("state/current.displaced-1");
    for blocks in 0..20 {
        fill(&ballast, blocks * 4096);
        let (run, _) = measured(&mut once(&host));
        if run.code == Some(0) {
            say(&format!("a really full disk: {blocks} passes fail, then there is room enough"));
            assert!(blocks > 2);
            break;
        }
        let answer = run.ended_with(1).json();
        let error = &answer["error"];
        assert!(error["message"].as_str().unwrap().contains("No space left on device"), "{answer:#}");
        assert!(error["hint"].as_str().unwrap().contains("free space"), "{answer:#}");
        assert_eq!(broken_promise(&host), None);
        std::fs::remove_file(&ballast).unwrap();
    }
    std::fs::remove_file(&ballast).unwrap();
    converges(&host, 2);
}

/// Writes until the disk is full, and then gives `left` bytes back.
fn fill(path: &Path, left: u64) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    let length = file.metadata().unwrap().len();
    file.set_len(length - left).unwrap();
}
