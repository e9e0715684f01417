//! What can be typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::artifact::arguments::{ArtifactCommand, Import, IndexCommand};
use super::check::Check;
use super::collect::Collect;
use super::suspend::Suspend;
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
  falconer doctor                 check all that falconer needs

Exit: 0 in sync or done, 2 drift or changes pending, 1 error, 64 usage, 75 another falconer is at work or runs already."
)]
pub(super) struct Arguments {
    /// The agent's settings
    #[arg(long, global = true, env = "FALCONER_CONFIG", default_value = DEFAULT_PATH, value_name = "FILE")]
    pub(super) config: PathBuf,

    /// How answers are printed
    #[arg(long, short, global = true, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    pub(super) output: Output,

    /// What is logged, e.g. `debug` or `falconer=debug`; SIGUSR1 makes `run` louder, SIGUSR2 as it was
    #[arg(long, visible_alias = "log-level", global = true, env = "FALCONER_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,

    /// How it is logged [default: journald when stderr is the journal, else text]
    #[arg(long, global = true, value_enum, value_name = "FORMAT")]
    pub(super) log_format: Option<LogFormat>,

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
    /// To stderr, for people
    Text,
    /// To stderr, one JSON object a line
    Json,
    /// To the journal, with fields that it can search
    Journald,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make one pass: look, plan, change what must change, report
    Once {
        /// Ask indexes and registries again, even where the last answer is still good
        #[arg(long)]
        refresh: bool,
        /// Do not wait for a window that is closed
        #[arg(long)]
        now: bool,
    },
    /// Make passes for as long as the process lives
    Run,
    /// Ask the running daemon for a pass now
    Sync {
        /// Wait until it has ended, and say how the host is then
        #[arg(long)]
        wait: bool,
        /// Do not wait for a window that is closed
        #[arg(long)]
        now: bool,
        /// Ask indexes and registries again, even where the last answer is still good
        #[arg(long)]
        refresh: bool,
    },
    /// Change nothing on this host until it is resumed
    Suspend(Suspend),
    /// End a suspension
    Resume,
    /// Show what the next pass would change, and change nothing
    Plan {
        /// Ask indexes and registries again, even where the last answer is still good
        #[arg(long)]
        refresh: bool,
    },
    /// Say how this host is: what is live, how we know, what has drifted, when it was last looked after
    Status,
    /// Say what the last passes have changed or failed, and why
    #[command(after_help = "Examples:
  falconer events -n 3            the newest three
  falconer events --since 2d      those of the last two days
  falconer events --output json   with every detail")]
    Events {
        /// At most so many, the newest
        #[arg(short, long, default_value_t = 20, value_name = "N")]
        number: usize,
        /// Only those of this last span of time, e.g. `2h` or `7d`
        #[arg(long, value_parser = humantime::parse_duration, value_name = "SPAN")]
        since: Option<Duration>,
    },
    /// Check all that falconer needs on this host and around it, and say what to do about what is missing
    Doctor,
    /// List the generations on disk: who asked for them, when they were made, what they are now
    History,
    /// Show what would be loaded otherwise: by the desired state, or by another generation; exit 2 when something would
    #[command(after_help = "Examples:
  falconer diff                   from what is live to the desired state
  falconer diff 4                 from what is live to generation 4, as `falconer rollback 4` would change it")]
    Diff {
        /// The generation to compare with [default: the desired state]
        generation: Option<u64>,
    },
    /// Go back to an earlier generation, and stay there until the desired state changes
    #[command(after_help = "Examples:
  falconer rollback               go back to the newest earlier generation that loads something else
  falconer rollback 4             go to generation 4; `falconer history` lists them
  falconer rollback --undo        let the next pass bring back what was rolled back

The change is planned, validated and confirmed as any other. What was live is held, so that passes leave it
away until the repository asks for something else.")]
    Rollback {
        /// The generation to go to [default: the newest one before the live one that loads something else]
        generation: Option<u64>,
        /// Forget an earlier rollback, so that the next pass brings the desired state back
        #[arg(long, conflicts_with = "generation")]
        undo: bool,
        /// How long a pass that is under way is waited for; then this ends with 75
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
        wait: std::time::Duration,
    },
    /// Point falco.yaml at what falconer places: the one edit of a file that is not its own
    Adopt {
        /// Show the edit and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Check a desired-state repository or rules files before they are committed
    #[command(after_help = "Examples:
  falconer check                  fleet.yaml, falconer.lock and the rules of this directory
  falconer check rules/*.yaml     single rules files, in this order
  falconer check . --falco /opt/falco/bin/falco --falco-config falco.yaml

Exit: 0 valid, 1 not.")]
    Check(Check),
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
    /// Show how the hosts of a fleet are, by the drift reports that they have pushed
    #[command(after_help = "Examples:
  falconer collect https://git.example/reports.git
  falconer collect reports.git --allowed-signers hosts.signers --output json
  falconer collect reports-0.git reports-1.git --drifted --older-than 48h

With filters, hosts that match any of them are shown, and those whose report itself is wrong.
Exit: 0 all hosts are in sync and have reported in time (or none matches), 2 some are not (or match), 1 error.")]
    Collect(Collect),
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
