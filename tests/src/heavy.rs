//! A registry of plugins that weigh much.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use falconer::pack::{Contents, PackInput, PlatformInput, pack_platforms};
use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::name::ArtifactName;
use falconer_manifests::oci::{self, Platform};

use crate::host::{Host, RULES};
use crate::scripted_registry::{Reply, ScriptedRegistry};

/// A registry of plugins, published for this machine under the tag 1.0.0.
pub struct Plugins {
    /// The registry.
    pub registry: ScriptedRegistry,
    /// Their references with tags.
    pub references: Vec<String>,
}

impl Plugins {
    /// `count` plugins, each a library of `size` bytes that cannot be compressed.
    #[must_use]
    #[track_caller]
    pub fn serve(count: usize, size: usize) -> Self {
        let mut served = BTreeMap::new();
        for number in 0..count {
            let library = noise(number, size);
            let name = format!("heavy{number}");
            let input = PackInput {
                file_name: &format!("lib{name}.so"),
                bytes: &library,
                mode: 0o755,
                kind: ArtifactType::Plugin,
                name: ArtifactName::parse(&name).unwrap(),
                version: "1.0.0",
                dependencies: Vec::new(),
                requirements: Vec::new(),
                created: "2026-01-31T08:00:00Z",
                source: None,
            };
            let packed = pack_platforms(&[PlatformInput {
                platform: Platform::from_rust("linux", std::env::consts::ARCH),
                input,
            }])
            .unwrap();
            let contents = Contents::from(&packed);
            for blob in contents.blobs {
                let path = format!("/v2/{name}/blobs/{}", blob.digest);
                served.insert(path, ("application/octet-stream", blob.bytes.clone()));
            }
            for manifest in contents.manifests {
                let path = format!("/v2/{name}/manifests/{}", manifest.digest);
                served.insert(path, (oci::MANIFEST, manifest.bytes.clone()));
            }
            for at in ["1.0.0", contents.root.digest.as_str()] {
                served.insert(format!("/v2/{name}/manifests/{at}"), (oci::INDEX, contents.root.bytes.clone()));
            }
        }
        let registry = ScriptedRegistry::start(move |seen| match served.get(&seen.target) {
            Some((media_type, bytes)) => Reply::ok(media_type, bytes.clone()),
            None => Reply::new(404, "{}"),
        })
        .unwrap();
        let host = registry.host();
        Self { references: (0..count).map(|number| format!("{host}/heavy{number}:1.0.0")).collect(), registry }
    }

    /// A host that is adopted, may place them all, and whose repository asks for them.
    #[must_use]
    #[track_caller]
    pub fn host(&self) -> Host {
        let host = Host::new();
        host.configure(&format!("[registries.\"{}\"]\nplain_http = true\n", self.registry.host()));
        let names: Vec<_> = (0..self.references.len()).map(|number| format!("\"heavy{number}\"")).collect();
        host.write("policy.toml", &format!("plugins = [{}]\n", names.join(", ")));
        let artifacts = names.iter().zip(&self.references).fold(String::new(), |mut text, (name, reference)| {
            let _written = writeln!(text, "  {}: {reference}", name.trim_matches('"'));
            text
        });
        let fleet = format!("version: 1\nartifacts:\n{artifacts}rules_files: [{{file: own.yaml}}]\n");
        let _commit = host.commit(&[("fleet.yaml", &fleet), ("own.yaml", RULES)]);
        let _adopted = host.falconer(["adopt"]).ended_with(0);
        host
    }
}

/// The same bytes for the same number: noise (xorshift, by Marsaglia) that comes again after twice the 32 KiB that deflate
/// looks back.
fn noise(number: usize, size: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ (number as u64 + 1);
    let words = (0..(64 << 10) / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let block: Vec<u8> = words.collect();
    let mut all = block.repeat(size.div_ceil(block.len()));
    all.truncate(size);
    all
}
