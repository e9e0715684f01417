//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::artifact::arguments::{ArtifactCommand, Import, IndexCommand};
use crate::settings::DEFAULT_PATH;

/// Keeps Falco hosts in the state that a Git repository declares.
#[derive(Debug, Parser)]
#[command(
    name = "falconer",
    version,
    after_help = "Examples:
  falconer adopt --dry-run        show the one edit of falco.yaml
  falconer plan                   show what the next pass would change
  falconer once                   make one pass
  falconer status --output json   say how this host is

Exit: 0 in sync or done, 2 drift or changes pending, 1 error, 64 usage, 75 another falconer is at work."
)]
pub(super) struct Arguments {
    /// The agent's settings
    #[arg(long, global = true, env = "FALCONER_CONFIG", default_value = DEFAULT_PATH, value_name = "FILE")]
    pub(super) config: PathBuf,

    /// How answers are printed
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub(super) output: Output,

    /// What is logged to stderr, e.g. `debug` or `falconer=debug`
    #[arg(long, global = true, env = "FALCONER_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,

    /// How it is logged
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(super) log_format: LogFormat,

    #[command(subcommand)]
    pub(super) command: Command,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// How is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people and journald
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make one pass: look, plan, change what must change, report
    Once {
        /// Ask indexes and registries again, even where the last answer is still good
        #[arg(long)]
        refresh: bool,
    },
    /// Make passes for as long as the process lives
    Run,
    /// Show what the next pass would change, and change nothing
    Plan {
        /// Ask indexes and registries again, even where the last answer is still good
        #[arg(long)]
        refresh: bool,
    },
    /// Say how this host is: what is live, how we know, what has drifted
    Status,
    /// Point falco.yaml at what falconer places: the one edit of a file that is not its own
    Adopt {
        /// Show the edit and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Let Falco go on without falconer: leave the live files to the owner, and have falco.yaml load them
    #[command(after_help = "Examples:
  falconer eject --dry-run        show what would change
  falconer eject                  leave the files beside falco.yaml, in falconer-ejected/
  falconer eject --restore        put back the falco.yaml that was there before `falconer adopt`")]
    Eject {
        /// Show what would change and change nothing
        #[arg(long)]
        dry_run: bool,
        /// Put back what falco.yaml had before, and leave no files
        #[arg(long, conflicts_with = "to")]
        restore: bool,
        /// The directory for the files, which must not be there yet [default: falconer-ejected beside falco.yaml]
        #[arg(long, value_name = "DIRECTORY")]
        to: Option<PathBuf>,
    },
    /// Pin every artifact of a desired-state repository in falconer.lock
    #[command(after_help = "Examples:
  falconer lock                   write falconer.lock beside fleet.yaml in this directory
  falconer lock --update          pin everything anew, e.g. where a floating tag has moved
  falconer lock . --update falco-rules
  falconer lock --check           exit 2 when falconer.lock does not answer fleet.yaml")]
    Lock {
        /// The directory that holds fleet.yaml [default: the current one]
        directory: Option<PathBuf>,
        /// Change nothing; exit 2 when falconer.lock does not answer fleet.yaml
        #[arg(long)]
        check: bool,
        /// Pin these artifacts anew, or all when none is named; without it only what is asked for otherwise than before
        #[arg(long, value_name = "NAME", num_args = 0.., conflicts_with = "check")]
        update: Option<Vec<String>>,
        /// Let an update lead to a lower version
        #[arg(long, requires = "update")]
        allow_downgrade: bool,
    },
    /// Publish artifacts, and look at them
    Artifact {
        #[command(subcommand)]
        command: ArtifactCommand,
    },
    /// Look at the indexes that names of artifacts are looked up in
    Index {
        #[command(subcommand)]
        command: IndexCommand,
    },
    /// Make a fleet.yaml of falcoctl's configuration
    #[command(after_help = "Examples:
  falconer import /etc/falcoctl/falcoctl.yaml > fleet.yaml
  falconer import falcoctl.yaml --output-dir .

What could not be carried over is told on stderr, with its lines. Secrets are never repeated.")]
    Import(Import),
    /// Print a completion script
    Completions {
        /// For this shell
        shell: Shell,
    },
    /// Write man pages
    Man {
        /// Into this directory
        directory: PathBuf,
    },
}
