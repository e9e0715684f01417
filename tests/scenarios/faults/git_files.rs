//! What is committed and cannot be taken: things that are no ordinary files, too large, too many, or no text.

use std::fs::File;

use falconer_tests::git_server::GitServer;

use super::*;

/// The host's repository over http, and as a directory.
fn both_ways(host: &Host, mut test: impl FnMut(&str)) {
    let server = GitServer::start(&host.path("")).unwrap();
    for url in ["fleet".to_owned(), server.url("fleet/.git")] {
        follow(host, &url, "", "");
        test(&url);
    }
}

/// Puts one entry into the index of the repository and commits it.
fn commit_entry(host: &Host, mode: &str, object: &str, path: &str) {
    host.git(&["-C", "fleet", "update-index", "--add", "--cacheinfo", &format!("{mode},{object},{path}")]);
    host.git(&["-C", "fleet", "commit", "-q", "-m", "an odd entry"]);
}

fn blob(host: &Host, content: &str) -> String {
    host.write("blob", content);
    host.git(&["-C", "fleet", "hash-object", "-w", "../blob"]).trim().to_owned()
}

/// The next commit is sound again, and the host takes it.
fn recovers(host: &Host, n: u32) {
    host.git(&["-C", "fleet", "reset", "-q"]);
    for path in ["fleet.yaml", "rules/own.yaml"] {
        host.git(&["-C", "fleet", "rm", "-q", "-f", "--cached", "--ignore-unmatch", path]);
    }
    commit(host, n);
    converges(host, n);
}

#[test]
fn entries_that_are_no_ordinary_files() {
    let host = installed();
    let sound = host.git(&["-C", "fleet", "rev-parse", "HEAD"]);
    let mut n = 1;
    both_ways(&host, |_| {
        for path in ["fleet.yaml", "rules/own.yaml"] {
            host.git(&["-C", "fleet", "reset", "-q", sound.trim(), "--", "."]);
            for (mode, said) in [("120000", "symbolic link"), ("100755", "executable"), ("160000", "submodule")] {
                let object = match mode {
                    "160000" => host.git(&["-C", "fleet", "rev-parse", "HEAD"]).trim().to_owned(),
                    "120000" => blob(&host, "/etc/passwd"),
                    _ => blob(&host, &if path == "fleet.yaml" { fleet_yaml(1) } else { own(9) }),
                };
                commit_entry(&host, mode, &object, path);
                is_refused(&host, &[path, said]);
                assert_live(&host, n);
            }
        }
        n += 1;
        recovers(&host, n);
    });
}

#[test]
fn a_fleet_yaml_that_is_no_text() {
    let host = installed();
    let mut n = 1;
    both_ways(&host, |_| {
        for (bytes, said) in [
            (&b"version: 1\n# caf\xe9\n"[..], "UTF-8"),
            (b"version: 1\nversion: 1\n", "fleet.yaml:2"),
            (b"{", "fleet.yaml"),
            (b"\0\0\0\0", "fleet.yaml"),
        ] {
            std::fs::write(host.path("fleet/fleet.yaml"), bytes).unwrap();
            host.commit(&[]);
            is_refused(&host, &[said]);
        }
        n += 1;
        commit(&host, n);
        converges(&host, n);
    });
}

/// A gigabyte of zeros in the repository, about 1 MB on the wire.
fn commit_zeros(host: &Host, path: &str) {
    let zeros = File::create(host.path("zeros")).unwrap();
    zeros.set_len(1 << 30).unwrap();
    let object = host.git(&["-C", "fleet", "hash-object", "-w", "../zeros"]);
    commit_entry(host, "100644", object.trim(), path);
}

/// A server that can leave large blobs out is asked to; one that cannot sends the gigabyte packed.
fn with_and_without_filter(host: &Host, mut test: impl FnMut(&str)) {
    both_ways(host, |url| {
        for filter in ["true", "false"] {
            host.git(&["-C", "fleet", "config", "uploadpack.allowFilter", filter]);
            std::fs::remove_dir_all(host.path("state/repository.git")).unwrap();
            test(&format!("{url}, filter {filter}"));
        }
    });
}

#[test]
fn a_gigabyte_under_a_name_that_is_asked_for() {
    let host = installed();
    commit_zeros(&host, "rules/own.yaml");
    with_and_without_filter(&host, |_| {
        is_refused(&host, &["rules/own.yaml", "larger than 8388608 bytes"]);
        assert_live(&host, 1);
    });
    follow(&host, "fleet", "", "");
    recovers(&host, 2);
}

#[test]
fn a_gigabyte_that_nobody_asks_for() {
    let host = installed();
    commit_zeros(&host, "film.mp4");
    with_and_without_filter(&host, |how| {
        let (run, peak) = measured(&mut once(&host));
        let _in_sync = run.ended_with(0);
        println!("{peak} KiB: {how}");
        assert!(peak < PEAK_KIB, "{peak} KiB");
        assert_live(&host, 1);
    });
}

/// Trees with 10⁵ entries: in one directory beside fleet.yaml, in a directory that nobody asks for, and too many.
#[test]
fn a_hundred_thousand_entries() {
    let host = installed();
    let object = blob(&host, "x\n");
    let crowd = |directory: &str, count: u32| {
        let lines: String = (0..count).map(|n| format!("100644 {object}\t{directory}file-{n}.txt\n")).collect();
        host.write("lines", &lines);
        let add = "git -C fleet update-index --index-info < lines && git -C fleet commit -q -m crowd";
        let mut sh = Command::new("sh");
        sh.args(["-c", add]).current_dir(host.path("")).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", host.path(""));
        for who in ["AUTHOR", "COMMITTER"] {
            sh.env(format!("GIT_{who}_NAME"), "tester").env(format!("GIT_{who}_EMAIL"), "tester@example.org");
        }
        assert!(sh.status().unwrap().success());
    };
    crowd("", 100_000);
    crowd("many/", 100_000);
    both_ways(&host, |url| {
        let (run, peak) = measured(&mut once(&host));
        let _in_sync = run.ended_with(0);
        println!("{url}: {peak} KiB");
        assert!(peak < PEAK_KIB, "{peak} KiB");
        assert_live(&host, 1);
        std::fs::remove_dir_all(host.path("state/repository.git")).unwrap();
    });
}
