use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::dependencies::tests::dependency;
use crate::digest::Digest;
use crate::reference::Source;

fn artifact(name: &str, needs: &[&str]) -> LockedArtifact {
    LockedArtifact {
        name: ArtifactName::parse(name).unwrap(),
        kind: ArtifactType::Plugin,
        source: Source::Registry { registry: "localhost".to_string(), repository: name.to_string() },
        requested: "1".to_string(),
        tag: None,
        version: "1.0.0".to_string(),
        digest: Digest::of(name.as_bytes()),
        needed_by: Vec::new(),
        requirements: Vec::new(),
        dependencies: needs.iter().map(|need| dependency(need)).collect(),
        contents: Vec::new(),
    }
}

fn order(artifacts: &[(&str, &[&str])]) -> Vec<String> {
    let artifacts: Vec<_> = artifacts.iter().map(|(name, needs)| artifact(name, needs)).collect();
    let placed = |artifact: &LockedArtifact| PlacedPlugin {
        name: artifact.name.clone(),
        layer: artifact.digest.clone(),
        directory: RelativePath::parse("plugins/x").unwrap(),
        library: RelativePath::parse("x.so").unwrap(),
        files: Vec::new(),
    };
    let placed: Vec<_> = artifacts.iter().map(placed).collect();
    let lockfile = Lockfile::new(Digest::of(b""), Vec::new(), artifacts);
    load_order(&lockfile, &placed).iter().map(|plugin| plugin.name.to_string()).collect()
}

#[test]
fn a_plugin_comes_after_those_that_it_needs() {
    assert_eq!(order(&[("a", &[]), ("b", &[]), ("c", &[])]), ["a", "b", "c"]);
    assert_eq!(order(&[("a", &["c 1.0.0"]), ("b", &[]), ("c", &["d 1.0.0"]), ("d", &[])]), ["b", "d", "c", "a"]);
    // What is not there, or not a plugin, keeps nobody waiting; of several names the first that is there counts.
    assert_eq!(
        order(&[("a", &["x 1.0.0", "y 1.0.0 | b 1.0.0 | c 1.0.0"]), ("b", &[]), ("c", &["a 1.0.0"])]),
        ["b", "a", "c"]
    );
    assert_eq!(order(&[("a", &["b 1.0.0"]), ("b", &["a 1.0.0"]), ("c", &["c 1.0.0"])]), ["c", "a", "b"]);
}
