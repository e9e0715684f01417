//! What can be typed after `falconer artifact`, `falconer index` and `falconer import`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use falconer_manifests::artifact::ArtifactType;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ArtifactCommand {
    /// Publish a rules file, a plugin or an asset in the format of falcoctl
    #[command(after_help = "Examples:
  falconer artifact push ghcr.io/acme/rules:1.0.0 rules.yaml --type rulesfile --version 1.0.0
  falconer artifact push ghcr.io/acme/plugin amd64/libacme.so arm64/libacme.so --type plugin \\
      --version 1.2.0 --platform linux/amd64 --platform linux/arm64 --add-floating-tags --latest
  falconer artifact push oci:./artifacts:main rules.yaml --type rulesfile --version main

The same input gives the same digests: the time of creation is SOURCE_DATE_EPOCH, else that of
the commit when the files are in a Git repository without uncommitted changes, else now.")]
    Push(Push),
    /// Fetch the archive of an artifact, or the files in it
    #[command(after_help = "Examples:
  falconer artifact pull falco-rules:5
  falconer artifact pull ghcr.io/acme/rules:1.0.0 --extract --dest-dir /tmp/rules
  falconer artifact pull oci:./artifacts:1.0.0 --platform linux/arm64")]
    Pull(Pull),
    /// Tell the tags of artifacts, and what each floating tag means now
    #[command(after_help = "Examples:
  falconer artifact info falco-rules
  falconer artifact info ghcr.io/acme/rules --output json")]
    Info {
        /// Names in an index, `host[:port]/repository[:tag]` or `oci:DIRECTORY[:tag]`
        #[arg(required = true, value_name = "REFERENCE")]
        references: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Print the config of an artifact as it is stored: name, version, dependencies, requirements
    #[command(after_help = "Examples:
  falconer artifact config falco-rules:5
  falconer artifact config ghcr.io/acme/plugin:1 --platform linux/arm64")]
    Config(Show),
    /// Print the manifest of an artifact as it is stored
    #[command(
        after_help = "Without --platform this is what the reference names, which for a plugin is an index of platforms.

Examples:
  falconer artifact manifest falco-rules:5
  falconer artifact manifest ghcr.io/acme/plugin:1 --platform linux/arm64"
    )]
    Manifest(Show),
    /// List the artifacts that the indexes know
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  falconer artifact list --type plugin
  falconer artifact list --fleet . --index acme"
    )]
    List {
        /// Those of this type only
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<Kind>,
        /// Those of this index only
        #[arg(long, value_name = "NAME")]
        index: Option<String>,
        #[command(flatten)]
        indexes: Indexes,
    },
    /// Find artifacts whose name or keywords are like these words
    #[command(after_help = "Examples:
  falconer artifact search kubernetes
  falconer artifact search k8s audit --min-score 0.4")]
    Search {
        /// What to look for
        #[arg(required = true, value_name = "KEYWORD")]
        keywords: Vec<String>,
        /// How like a name must be to a keyword: above 0, and 1 for the same
        #[arg(long, value_name = "SCORE", default_value_t = falconer_manifests::index::MIN_SCORE, value_parser = min_score)]
        min_score: f64,
        /// Those of this type only
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<Kind>,
        #[command(flatten)]
        indexes: Indexes,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum IndexCommand {
    /// List the indexes that names are looked up in; of two that know a name the later one counts
    #[command(
        visible_alias = "ls",
        after_help = "Examples:
  falconer index list
  falconer index list --fleet ."
    )]
    List {
        #[command(flatten)]
        indexes: Indexes,
    },
    /// Check an index and tell everything that is wrong with it
    #[command(after_help = "Examples:
  falconer index check index.yaml
  falconer index check https://falcosecurity.github.io/falcoctl/index.yaml")]
    Check {
        /// A file or an https, http or file URL
        #[arg(value_name = "FILE|URL")]
        index: String,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// falcoctl's configuration, usually /etc/falcoctl/falcoctl.yaml
    pub(in crate::cli) file: PathBuf,
    /// Write fleet.yaml into this directory, which must not have one yet [default: print it]
    #[arg(long, short = 'd', value_name = "DIR")]
    pub(in crate::cli) output_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Push {
    /// Where to: `host[:port]/repository[:tag]` or `oci:DIRECTORY[:tag]`
    pub(super) reference: String,
    /// A file or a directory that is put into an archive, or a .tar.gz that is sent as it is; for a plugin one for each
    /// platform
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// What it is
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) kind: Kind,
    /// Its version, X.Y.Z, or the name of a branch
    #[arg(long, value_name = "X.Y.Z")]
    pub(super) version: String,
    /// Its name [default: the last part of the repository]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// The platform of a plugin's file, in the order of the files; once for each
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Vec<String>,
    /// One more tag for it; may be given several times
    #[arg(long, short, value_name = "TAG")]
    pub(super) tag: Vec<String>,
    /// Let X.Y.Z, X.Y and X name it too; X.Y and X only if nothing newer is there, and never for a pre-release
    #[arg(long)]
    pub(super) add_floating_tags: bool,
    /// Let `latest` name it too, only if nothing newer is there, and never for a pre-release
    #[arg(long)]
    pub(super) latest: bool,
    /// An artifact that it needs, and others that will do instead; may be given several times [default: what the rules
    /// file says]
    #[arg(long, short, value_name = "NAME:X.Y.Z|…")]
    pub(super) depends_on: Vec<String>,
    /// What Falco must offer, e.g. engine_version_semver:0.57.0; may be given several times [default: what the rules file
    /// says]
    #[arg(long, short, value_name = "NAME:VERSION")]
    pub(super) requires: Vec<String>,
    /// Where its source is kept, e.g. a URL, for those who look at the artifact
    #[arg(long, value_name = "URL")]
    pub(super) annotation_source: Option<String>,
    /// Speak HTTP without TLS to the registry
    #[arg(long)]
    pub(super) plain_http: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Pull {
    /// A name in an index, `host[:port]/repository[:tag]` or `oci:DIRECTORY[:tag]`
    pub(super) reference: String,
    /// Where to put what comes; it is made where it is missing [default: the current directory]
    #[arg(long, short, value_name = "DIR")]
    pub(super) dest_dir: Option<PathBuf>,
    /// Write the files in the archive instead of the archive
    #[arg(long)]
    pub(super) extract: bool,
    /// The platform of a plugin [default: this machine's]
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<String>,
    #[command(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// A name in an index, `host[:port]/repository[:tag]` or `oci:DIRECTORY[:tag]`
    pub(super) reference: String,
    /// The platform of a plugin
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<String>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// How an artifact is found and reached.
#[derive(Debug, Args)]
pub(in crate::cli) struct Place {
    #[command(flatten)]
    pub(super) indexes: Indexes,
    /// Speak HTTP without TLS to the registry
    #[arg(long)]
    pub(super) plain_http: bool,
}

/// Where names are looked up.
#[derive(Debug, Args)]
pub(in crate::cli) struct Indexes {
    /// Look names up in the indexes of the fleet.yaml in this directory [default: the official index]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) fleet: Option<PathBuf>,
}

/// The types of artifacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Kind {
    /// Rules that Falco loads
    Rulesfile,
    /// A library that Falco loads
    Plugin,
    /// A file for plugins
    Asset,
}

impl From<Kind> for ArtifactType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Rulesfile => Self::Rulesfile,
            Kind::Plugin => Self::Plugin,
            Kind::Asset => Self::Asset,
        }
    }
}

fn min_score(text: &str) -> Result<f64, String> {
    let score = text.parse().map_err(|_| "write a number above 0 and at most 1, e.g. 0.65")?;
    if score > 0.0 && score <= 1.0 { Ok(score) } else { Err("write a number above 0 and at most 1, e.g. 0.65".into()) }
}
