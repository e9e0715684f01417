//! Somebody changes a plugin that falconer has placed.

use std::os::unix::fs::symlink;

use super::*;

const LIBRARY: &[u8] = b"\x7fELF a library of somebody's";

/// A host whose repository asks for a plugin besides, placed; gives its directory too.
fn with_plugin() -> (Host, std::path::PathBuf) {
    let host = Host::adopted();
    std::fs::write(host.path("libacme.so"), LIBRARY).unwrap();
    let push = "artifact push oci:plugin:1.0.0 libacme.so --type plugin --version 1.0.0 --platform linux/amd64";
    let _pushed = host.falconer(push.split(' ')).ended_with(0);
    host.write("policy.toml", "plugins = [\"acme\"]\n");
    let fleet =
        fleet_yaml("1.0.0").replace("rules_files:", "  acme: {ref: \"oci:plugin\", version: \"1.0.0\"}\nrules_files:");
    let _commit = host.commit(&[("fleet.yaml", &fleet)]);
    let _placed = host.once().ended_with(0);
    let plugins = std::fs::read_dir(host.path("state/plugins")).unwrap();
    let directory = plugins.map(|entry| entry.unwrap().path()).next().unwrap();
    (host, directory)
}

type ToPlugin = (&'static str, fn(&Path), &'static [&'static str], &'static str);

/// What can be done to the directory of a plugin, the kinds of drift, and the path that is named.
const ACTS: [ToPlugin; 8] = [
    ("edited", |at| std::fs::write(at.join("libacme.so"), "evil").unwrap(), &["modified"], "libacme.so"),
    ("removed", |at| std::fs::remove_file(at.join("libacme.so")).unwrap(), &["missing"], "libacme.so"),
    ("opened", |at| chmod(&at.join("libacme.so"), 0o777), &["mode"], "libacme.so"),
    (
        "a link to its copy",
        |at| {
            std::fs::rename(at.join("libacme.so"), at.join("../../../copy.so")).unwrap();
            symlink(at.join("../../../copy.so"), at.join("libacme.so")).unwrap();
        },
        &["replaced"],
        "libacme.so",
    ),
    ("joined", |at| std::fs::write(at.join("evil.so"), "evil").unwrap(), &["extra"], "evil.so"),
    ("in an open directory", |at| chmod(at, 0o777), &["mode"], ""),
    (
        "in a directory that is a link to where it was moved",
        |at| {
            std::fs::rename(at, at.join("../../../moved")).unwrap();
            symlink(at.join("../../../moved"), at).unwrap();
        },
        &["replaced"],
        "",
    ),
    ("gone with its directory", |at| std::fs::remove_dir_all(at).unwrap(), &["missing"], "libacme.so"),
];

#[test]
fn every_damage_to_a_plugin_is_named_and_healed() {
    if std::env::consts::ARCH != "x86_64" {
        return;
    }
    let (host, directory) = with_plugin();
    for (name, does, kinds, path) in ACTS {
        println!("the library is {name}");
        does(&directory);
        let path = if path.is_empty() { directory.clone() } else { directory.join(path) };
        let is_named = |answer: &Value| {
            let drift = answer["drift"].as_array().unwrap();
            let seen: Vec<_> = drift.iter().map(|drift| drift["kind"].as_str().unwrap()).collect();
            assert!(seen.iter().all(|kind| kinds.contains(kind)) && seen.contains(&kinds[0]), "{drift:#?}");
            assert!(drift.iter().any(|drift| drift["path"] == path.to_str().unwrap()), "{drift:#?}");
        };
        is_named(&host.status().ended_with(2).json());
        is_named(&host.once().ended_with(0).json());
        assert_eq!(std::fs::read(directory.join("libacme.so")).unwrap(), LIBRARY);
        assert!(!directory.is_symlink() && !directory.join("evil.so").exists());
        nothing_is_left(&host);
    }
    assert_eq!(std::fs::read(host.path("copy.so")).unwrap(), LIBRARY, "not ours to remove");
    assert!(host.path("moved").exists(), "not ours to remove");
}
