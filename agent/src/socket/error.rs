//! What goes wrong at the socket.

use std::io;
use std::path::PathBuf;

use falconer_manifests::remedy::Remedy;

/// What goes wrong at the socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// It cannot be made.
    #[error("cannot listen at {}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody listens.
    #[error("no falconer daemon listens at {}", path.display())]
    Nobody {
        /// The socket.
        path: PathBuf,
    },
    /// It cannot be used.
    #[error("cannot ask the daemon at {}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The daemon went away.
    #[error("the daemon ended before it had answered")]
    Ended {
        /// How that showed.
        source: io::Error,
    },
}

impl SocketError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Listen { .. } | Self::Nobody { .. } | Self::Connect { .. } => Remedy::Operator,
            Self::Ended { .. } => Remedy::Time,
        }
    }

    /// The next act.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Listen { source, .. } if source.kind() == io::ErrorKind::InvalidInput => {
                "its path is too long for a socket (107 bytes): set `runtime` under `[paths]` in agent.toml"
            }
            Self::Listen { .. } => "make the directory writable, or set `runtime` under `[paths]` in agent.toml",
            Self::Nobody { .. } => "start it (systemctl start falconer), or make a pass without it: falconer once",
            Self::Connect { .. } => "run this as the user that the daemon runs as",
            Self::Ended { .. } => "ask again, or look at its log: journalctl -u falconer",
        }
    }
}
