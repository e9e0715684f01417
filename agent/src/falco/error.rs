//! What can go wrong between us and Falco.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use falconer_manifests::falco_config::EvaluateError;
use falconer_manifests::remedy::Remedy;

/// Why Falco's files or its process could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum FalcoError {
    /// A file cannot be read. The source names it.
    #[error("cannot read Falco's configuration")]
    Read(#[source] io::Error),
    /// A file of the configuration is larger than it may be.
    #[error("{} is longer than {cap} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The cap in bytes.
        cap: u64,
    },
    /// A directory of the configuration has more files than it may have.
    #[error("{} has more than {cap} files", path.display())]
    TooMany {
        /// The directory.
        path: PathBuf,
        /// The cap.
        cap: usize,
    },
    /// A file of the configuration is not UTF-8, or its path is not.
    #[error("{} is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// The list of includes cannot be read.
    #[error("{} cannot be read as Falco would", path.display())]
    Configuration {
        /// The main file.
        path: PathBuf,
        /// Why.
        #[source]
        source: EvaluateError,
    },
    /// falco.yaml is no longer the text that the change was made from.
    #[error("{} was changed by somebody else in between", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// falco.yaml cannot be replaced. The source names the file.
    #[error("cannot replace {}", path.display())]
    Replace {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The list of processes cannot be read.
    #[error("cannot look for a running Falco")]
    Processes(#[source] io::Error),
    /// Falco's program cannot be started.
    #[error("cannot run {}", binary.display())]
    Run {
        /// The program.
        binary: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program does not say which release it is.
    #[error("{} does not say which release of Falco it is: {said}", binary.display())]
    NoVersion {
        /// The program.
        binary: PathBuf,
        /// The end of what it wrote.
        said: String,
    },
    /// The process has ended.
    #[error("Falco (process {pid}) has ended")]
    Gone {
        /// The process.
        pid: u32,
    },
    /// SIGHUP would have ended the process all the time.
    #[error("Falco (process {pid}) did not come to where a reload is safe within {} s", waited.as_secs())]
    NotSafe {
        /// The process.
        pid: u32,
        /// How long was waited.
        waited: Duration,
    },
    /// Falco was to be restarted, and runs on as it was.
    #[error("Falco is not restarted by {by}: {said}")]
    Restart {
        /// Who was to restart it.
        by: String,
        /// What was said.
        said: String,
    },
    /// The process has ended for a restart, and no other has come.
    #[error("Falco (process {pid}) was restarted and did not come back within {} s", waited.as_secs())]
    NotBack {
        /// The process that has ended.
        pid: u32,
        /// How long was waited.
        waited: Duration,
    },
    /// Nothing is made live without a dry run here, and there was none.
    #[error("the generation cannot be validated: {why}")]
    NotValidated {
        /// Why.
        why: String,
    },
    /// SIGHUP could not be sent.
    #[error("cannot send SIGHUP to Falco (process {pid})")]
    Signal {
        /// The process.
        pid: u32,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl FalcoError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Gone { .. } | Self::NotSafe { .. } | Self::Changed { .. } => Remedy::Time,
            _ => Remedy::Operator,
        }
    }

    /// The next act of the person.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) => {
                "check falco.config_file in agent.toml and the rights of falconer on that file and its includes"
            }
            Self::TooLong { .. } | Self::TooMany { .. } | Self::NotText { .. } => {
                "check what falco.yaml includes: a configuration is a few small text files"
            }
            Self::Configuration { source, .. } => source.hint(),
            Self::Changed { .. } => "run falconer adopt again",
            Self::Replace { .. } => {
                "falconer adopt writes falco.yaml and a file beside it: run it as root, on a writable /etc"
            }
            Self::Processes(_) => "falconer needs to read /proc; check hidepid and the sandbox of its unit",
            Self::Run { .. } | Self::NoVersion { .. } => {
                "check falco.binary in agent.toml, and run it with --version by hand"
            }
            Self::Restart { .. } => {
                "restart Falco by hand; set `restart = \"never\"` or `restart_command` under `[falco]` in agent.toml"
            }
            Self::NotBack { .. } => "look at Falco's log and at its unit",
            Self::NotValidated { .. } => {
                "put Falco's program where falco.binary says, or set `validate = \"when-possible\"` under `[falco]` in agent.toml"
            }
            Self::Gone { .. } => "look at Falco's log; falconer tries again when it runs",
            Self::NotSafe { .. } => "Falco is starting or reloading for long; look at its log",
            Self::Signal { .. } => "falconer needs to run as root or as Falco's user to reload it",
        }
    }
}
