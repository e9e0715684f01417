//! What is in the state directory is damaged, gone, or not to be trusted.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;

/// Version 2 is live, and version 1 is still there.
fn updated() -> Host {
    let host = installed();
    commit(&host, 2);
    converges(&host, 2);
    host
}

fn tamper(host: &Host) {
    std::fs::write(host.live("acme-rules.yaml"), "- list: somebody_elses\n  items: []\n").unwrap();
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            files.extend(files_below(&entry));
        } else {
            files.push(entry);
        }
    }
    files.sort();
    files
}

/// Changes one byte in place, read-only or not.
fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x20;
    std::fs::write(path, bytes).unwrap();
}

/// The ledger is our only memory of what was accepted. A damaged one is not taken for an empty one, or a branch that was
/// wound back would be followed.
#[test]
fn a_damaged_ledger_is_the_operators_matter() {
    let host = updated();
    let ledger = host.path("state/ledger");
    let whole = std::fs::read(&ledger).unwrap();
    let half = &whole[..whole.len() / 2];
    for damage in [b"".as_slice(), b"\0\0\0\0", b"garbage", half, b"revision = \"main\"\n", b"\xff\xfe"] {
        std::fs::write(&ledger, damage).unwrap();
        fails(&host, &["ledger"]);
        tamper(&host);
        let _still = falconer_tests::host::run(&mut once(&host)).ended_with(1);
        // What the hint says.
        std::fs::rename(&ledger, host.path("old-ledger")).unwrap();
        converges(&host, 2);
    }
}

#[test]
fn the_ledger_is_gone() {
    let host = updated();
    std::fs::remove_file(host.path("state/ledger")).unwrap();
    converges(&host, 2);
    converges(&host, 2);
}

#[test]
fn damaged_records_and_documents() {
    let host = updated();
    for document in ["status.json", "host.lock", "resolution.lock", "generations/2/MANIFEST", "store/index.json"] {
        for damage in ["", "garbage", "{}", "{\"schemaVersion\": 2", "\u{0}\u{0}"] {
            let current = std::fs::read_link(host.path("state/current")).unwrap();
            let document = document.replace("generations/2", current.to_str().unwrap());
            host.write(&format!("state/{document}"), damage);
            println!("{document} = {damage:?}");
            converges(&host, 2);
        }
    }
}

#[test]
fn whole_parts_are_gone() {
    let host = updated();
    let parts = ["generations", "store", "store/blobs", "repository.git", "repository.git/objects", "tmp", "current"];
    for part in parts.into_iter().chain(["status.json", "host.lock", "resolution.lock", "lock", "store/oci-layout"]) {
        let path = host.path("state").join(part);
        if path.is_dir() && !path.is_symlink() {
            std::fs::remove_dir_all(&path).unwrap();
        } else {
            std::fs::remove_file(&path).unwrap();
        }
        println!("without {part}");
        converges(&host, 2);
    }
    for name in files_below(&host.path("state/generations")) {
        if name.exists() {
            std::fs::remove_file(&name).unwrap();
            println!("without {}", name.display());
            converges(&host, 2);
        }
    }
}

#[test]
fn something_else_stands_there() {
    let host = updated();
    for part in ["current", "repository.git"] {
        let path = host.path("state").join(part);
        for kind in ["file", "directory", "link", "dangling"] {
            if path.is_dir() && !path.is_symlink() {
                std::fs::remove_dir_all(&path).unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
            match kind {
                "file" => std::fs::write(&path, "mine").unwrap(),
                "directory" => std::fs::create_dir(&path).unwrap(),
                "link" => symlink(host.path("etc"), &path).unwrap(),
                _ => symlink("nowhere", &path).unwrap(),
            }
            println!("{part} is a {kind}");
            converges(&host, 2);
            assert!(host.path("etc/falco.yaml").exists(), "nothing outside is touched");
        }
    }
}

/// A blob is fetched again when its content is needed and is not what its name says.
#[test]
fn a_blob_with_a_flipped_bit() {
    let host = updated();
    let blobs = files_below(&host.path("state/store/blobs"));
    for share in [0, 1, 2] {
        for blob in blobs.iter().filter(|blob| blob.exists()) {
            let length = std::fs::metadata(blob).unwrap().len() as usize;
            flip(blob, (length - 1) * share / 2);
        }
        converges(&host, 2);
        tamper(&host);
        converges(&host, 2);
    }
}

/// Our repository holds nothing that Git does not: damaged, it is filled again.
#[test]
fn a_repository_with_a_flipped_byte() {
    let host = updated();
    let server = falconer_tests::git_server::GitServer::start(&host.path("")).unwrap();
    for url in ["fleet".to_owned(), server.url("fleet/.git")] {
        follow(&host, &url, "", "");
        std::fs::remove_dir_all(host.path("state/repository.git")).unwrap();
        converges(&host, 2);
        copy(&host.path("state/repository.git"), &host.path("whole.git"));
        let mut tries = Vec::new();
        for file in files_below(&host.path("whole.git")) {
            let length = std::fs::metadata(&file).unwrap().len() as usize;
            tries.extend((0..length).map(|at| (file.strip_prefix(host.path("whole.git")).unwrap().to_owned(), at)));
        }
        let (total, mut forgotten) = (tries.len(), 0);
        let tries = sample(tries, 60);
        for (file, at) in &tries {
            std::fs::remove_dir_all(host.path("state/repository.git")).unwrap();
            copy(&host.path("whole.git"), &host.path("state/repository.git"));
            let damaged = host.path("state/repository.git").join(file);
            std::fs::set_permissions(&damaged, std::fs::Permissions::from_mode(0o644)).unwrap();
            flip(&damaged, *at);
            let run = falconer_tests::host::run(&mut once(&host));
            assert_live(&host, 2);
            let is_index = file.extension().is_some_and(|extension| extension == "idx");
            match run.code {
                Some(0) => {}
                // An index that lost a file's name looks like that of a repository where the file was left out.
                Some(1) if is_index && run.stdout.contains("larger than") => forgotten += 1,
                _ => panic!("{url}: {} at {at}: {run:?}", file.display()),
            }
        }
        std::fs::remove_dir_all(host.path("whole.git")).unwrap();
        let tried = tries.len();
        say(&format!("{url}: {tried} of {total} bytes flipped, one by one; {forgotten} took a file for left out"));
        assert!(forgotten * 10 < tried);
    }
}

/// Where an index leads out of its pack, whoever believes it is ended by a signal.
#[test]
fn an_index_that_leads_out_of_its_pack() {
    let host = updated();
    let packs = files_below(&host.path("state/repository.git/objects/pack"));
    let index = packs.iter().find(|path| path.extension().is_some_and(|extension| extension == "idx")).unwrap();
    let end = std::fs::metadata(index).unwrap().len() as usize - 40;
    let saved = Saved::of(&host);
    // The offsets are the last but for two hashes: four bytes each, the highest first.
    for at in [end - 4, end - 3] {
        saved.restore();
        std::fs::set_permissions(index, std::fs::Permissions::from_mode(0o644)).unwrap();
        flip(index, at);
        converges(&host, 2);
    }
}

#[test]
fn a_newer_format_is_left_alone() {
    let host = updated();
    host.write("state/format", "2\n");
    tamper(&host);
    fails(&host, &["format 2"]);
    fails(&host, &["format 2"]);
    host.write("state/format", "one\n");
    fails(&host, &["format"]);
    host.write("state/format", "1\n");
    converges(&host, 2);
}

#[test]
fn a_state_directory_that_is_not_to_be_trusted() {
    let host = updated();
    let state = host.path("state");
    for mode in [0o777, 0o775] {
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).unwrap();
        let answer = fails(&host, &["state directory", "can be written"]);
        assert!(answer["error"]["hint"].as_str().unwrap().contains("chmod"), "{answer:#}");
    }
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::rename(&state, host.path("elsewhere")).unwrap();
    symlink("elsewhere", &state).unwrap();
    let answer = fails(&host, &["state directory", "symbolic link"]);
    assert!(answer["error"]["hint"].as_str().unwrap().contains("paths.state"), "{answer:#}");
    std::fs::remove_file(&state).unwrap();
    std::fs::rename(host.path("elsewhere"), &state).unwrap();
    converges(&host, 2);
}
