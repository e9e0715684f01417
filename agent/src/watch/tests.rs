#![expect(clippy::disallowed_methods, reason = "tests change files as others would")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

/// Longer than any event takes to arrive and to be found quiet.
const SILENCE: Duration = Duration::from_millis(700);

struct Sandbox {
    directory: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir_all(directory.path().join("etc/falco/rules.d")).unwrap();
        let sandbox = Self { directory };
        sandbox.write("etc/falco/falco.yaml", b"a");
        sandbox
    }

    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, content: &[u8]) {
        fs::File::create(self.at(path)).and_then(|mut file| file.write_all(content)).unwrap();
    }

    fn watch(&self, paths: &[&str]) -> Watch {
        Watch::new(paths.iter().map(|path| self.at(path))).unwrap()
    }
}

async fn wakes(watch: &mut Watch, why: &str) {
    assert!(timeout(DEADLINE, watch.changed()).await.is_ok(), "did not wake: {why}");
}

async fn sleeps(watch: &mut Watch, why: &str) {
    assert!(timeout(SILENCE, watch.changed()).await.is_err(), "woke: {why}");
}

#[tokio::test]
async fn every_way_of_changing_a_file_wakes() {
    let sandbox = Sandbox::new();
    let name = "etc/falco/falco.yaml";
    let mut watch = sandbox.watch(&[name]);
    type Change<'a> = (&'a str, &'a dyn Fn(&Path));
    let changes: [Change<'_>; 8] = [
        ("written in place", &|_| sandbox.write(name, b"b")),
        ("renamed over", &|at| {
            sandbox.write("etc/falco/.falco.yaml.swp", b"c");
            fs::rename(sandbox.at("etc/falco/.falco.yaml.swp"), at).unwrap();
        }),
        ("renamed over again", &|at| {
            sandbox.write("new", b"c");
            fs::rename(sandbox.at("new"), at).unwrap();
        }),
        ("its mode", &|at| fs::set_permissions(at, fs::Permissions::from_mode(0o600)).unwrap()),
        ("removed", &|at| fs::remove_file(at).unwrap()),
        ("created", &|_| sandbox.write(name, b"d")),
        ("replaced by a link", &|at| {
            fs::rename(at, sandbox.at("elsewhere")).unwrap();
            symlink(sandbox.at("elsewhere"), at).unwrap();
        }),
        ("written through a link", &|_| sandbox.write("elsewhere", b"e")),
    ];
    for (why, change) in changes {
        change(&sandbox.at(name));
        wakes(&mut watch, why).await;
    }
}

#[tokio::test]
async fn reading_and_other_names_do_not_wake() {
    let sandbox = Sandbox::new();
    let mut watch = sandbox.watch(&["etc/falco/falco.yaml", "etc/falco/rules.d"]);
    fs::read(sandbox.at("etc/falco/falco.yaml")).unwrap();
    assert_eq!(fs::read_dir(sandbox.at("etc/falco/rules.d")).unwrap().count(), 0);
    sandbox.write("etc/falco/.falco.yaml.swp", b"x");
    sandbox.write("etc/other", b"x");
    sleeps(&mut watch, "only read").await;
    sandbox.write("etc/falco/rules.d/a.yaml", b"x");
    wakes(&mut watch, "a new file in a directory").await;
}

#[tokio::test]
async fn directories_may_go_and_come_back() {
    let sandbox = Sandbox::new();
    let name = "etc/falco/rules.d/a.yaml";
    let mut watch = sandbox.watch(&[name]);
    for round in 0..3 {
        fs::remove_dir_all(sandbox.at("etc")).unwrap();
        wakes(&mut watch, "removed").await;
        fs::create_dir_all(sandbox.at("etc/falco/rules.d")).unwrap();
        wakes(&mut watch, "created").await;
        sandbox.write(name, &[round]);
        wakes(&mut watch, "written in the new directory").await;
        fs::rename(sandbox.at("etc/falco"), sandbox.at("moved")).unwrap();
        wakes(&mut watch, "renamed").await;
        sandbox.write("moved/rules.d/a.yaml", b"elsewhere");
        sleeps(&mut watch, "written in what was renamed away").await;
        fs::rename(sandbox.at("moved"), sandbox.at("etc/falco")).unwrap();
        wakes(&mut watch, "renamed back").await;
        sandbox.write(name, b"again");
        wakes(&mut watch, "written after it came back").await;
    }
}

#[tokio::test]
async fn what_does_not_exist_yet_is_waited_for() {
    let sandbox = Sandbox::new();
    let mut watch = sandbox.watch(&["var/lib/falconer/current"]);
    fs::create_dir_all(sandbox.at("var/lib/falconer")).unwrap();
    wakes(&mut watch, "created").await;
    symlink("generations/1", sandbox.at("var/lib/falconer/current")).unwrap();
    wakes(&mut watch, "linked").await;
}

#[tokio::test]
async fn the_watch_follows_a_link_that_is_flipped() {
    let sandbox = Sandbox::new();
    for generation in ["1", "2"] {
        fs::create_dir_all(sandbox.at("generations").join(generation)).unwrap();
    }
    symlink("generations/1", sandbox.at("current")).unwrap();
    let mut watch = sandbox.watch(&["current"]);
    sandbox.write("generations/1/a", b"x");
    wakes(&mut watch, "in the first").await;
    symlink("generations/2", sandbox.at("current.tmp")).unwrap();
    fs::rename(sandbox.at("current.tmp"), sandbox.at("current")).unwrap();
    wakes(&mut watch, "flipped").await;
    sandbox.write("generations/2/a", b"x");
    wakes(&mut watch, "in the second").await;
    sandbox.write("generations/1/a", b"y");
    sleeps(&mut watch, "in the first, which is current no more").await;
}

#[tokio::test]
async fn many_changes_wake_once_and_drained_ones_never() {
    let sandbox = Sandbox::new();
    let mut watch = sandbox.watch(&["etc/falco/rules.d"]);
    for number in 0..100 {
        sandbox.write(&format!("etc/falco/rules.d/{number}"), b"x");
    }
    wakes(&mut watch, "100 files").await;
    sleeps(&mut watch, "once more").await;
    sandbox.write("etc/falco/rules.d/own", b"x");
    watch.drain().await;
    sleeps(&mut watch, "drained").await;
    fs::remove_dir_all(sandbox.at("etc/falco/rules.d")).unwrap();
    fs::create_dir(sandbox.at("etc/falco/rules.d")).unwrap();
    watch.drain().await;
    sandbox.write("etc/falco/rules.d/after", b"x");
    wakes(&mut watch, "in the directory that a drained event created").await;
}

#[tokio::test]
async fn a_waiting_that_is_dropped_loses_nothing() {
    let sandbox = Sandbox::new();
    let mut watch = sandbox.watch(&["etc/falco/falco.yaml"]);
    sandbox.write("etc/falco/falco.yaml", b"x");
    assert!(timeout(QUIET / 2, watch.changed()).await.is_err());
    wakes(&mut watch, "after the first waiting was dropped").await;
}

#[tokio::test]
async fn an_endless_storm_wakes_all_the_same() {
    let sandbox = Sandbox::new();
    let mut watch = sandbox.watch(&["etc/falco/falco.yaml"]);
    let storm = async {
        loop {
            sandbox.write("etc/falco/falco.yaml", b"x");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = wakes(&mut watch, "storm") => {}
        () = storm => {}
    }
}

#[test]
fn links_that_lead_in_a_circle_come_to_an_end() {
    let sandbox = Sandbox::new();
    symlink("b", sandbox.at("a")).unwrap();
    symlink("a", sandbox.at("b")).unwrap();
    assert!(Interests::of(&[sandbox.at("a/x")]).matters(&sandbox.at("b")));
}
