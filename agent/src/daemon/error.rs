//! Why the daemon cannot run.

use std::io;
use std::path::PathBuf;

use falconer_manifests::remedy::Remedy;

use crate::socket::SocketError;
use crate::webhook::WebhookError;

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Another one runs already.
    #[error("another falconer daemon runs already{}", if pid.is_empty() { String::new() } else { format!(" (process {pid})") })]
    Second {
        /// What it holds.
        path: PathBuf,
        /// Its process, where that is known.
        pid: String,
    },
    /// The runtime directory cannot be used.
    #[error("the runtime directory {} cannot be used", path.display())]
    Runtime {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The socket.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// The webhook.
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    /// Signals cannot be listened to, or no thread can be had.
    #[error("the system gives no signals or no thread")]
    System(#[source] io::Error),
}

impl DaemonError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Second { .. } => Remedy::Time,
            Self::Socket(error) => error.remedy(),
            Self::Runtime { .. } | Self::Webhook(_) | Self::System(_) => Remedy::Operator,
        }
    }

    /// The next act.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Second { path, .. } => {
                format!("ask it for a pass with `falconer sync`, or stop it first (it holds {})", path.display())
            }
            Self::Runtime { path, .. } => {
                format!(
                    "make {} a directory of mode 0755 that belongs to falconer's user, or set `runtime` under `[paths]` in agent.toml",
                    path.display()
                )
            }
            Self::Socket(error) => error.hint().to_string(),
            Self::Webhook(error) => error.hint().to_string(),
            Self::System(_) => "start falconer again".to_string(),
        }
    }
}
