//! `[webhook]`: who may say that there is something to fetch, and where.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{Files, SettingsError};

/// A secret that can be guessed protects nothing.
const SHORTEST_SECRET: usize = 16;

/// `[webhook]` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// An address with its port, or `unix:` and a path.
    pub listen: String,
    /// Whose webhooks.
    pub kind: Kind,
    /// The file that holds the secret.
    pub secret_file: PathBuf,
    /// Whether an address may be one that other hosts reach.
    #[serde(default)]
    pub allow_remote: bool,
}

/// Whose webhooks, which says how they prove that they know the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `X-Hub-Signature-256: sha256=` and an HMAC of the body.
    Github,
    /// `X-Gitlab-Token` and the secret itself.
    Gitlab,
    /// `X-Gitea-Signature` and an HMAC of the body; Forgejo has it too.
    Gitea,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// On an address.
    Address(SocketAddr),
    /// On a local socket.
    Socket(PathBuf),
}

/// Who may say that there is something to fetch, and where.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where to listen.
    pub listen: Listen,
    /// Whose webhooks.
    pub kind: Kind,
    /// What they must know.
    pub secret: SecretString,
}

pub(super) fn check(files: &Files<'_>, written: Written) -> Result<Webhook, SettingsError> {
    let listen = match written.listen.strip_prefix("unix:") {
        Some(path) if !path.is_empty() => Listen::Socket(files.path(path.as_ref())?),
        _ => match written.listen.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() || written.allow_remote => Listen::Address(address),
            Ok(_) => {
                let hint = "listen on 127.0.0.1 behind a proxy that speaks TLS, or set `allow_remote = true`";
                return Err(files.refused("webhook.listen", "is an address that other hosts reach", hint));
            }
            Err(_) => {
                let hint = "write 127.0.0.1:9871, [::1]:9871 or unix:/run/falconer/webhook.sock";
                return Err(files.refused("webhook.listen", "is no address with a port", hint));
            }
        },
    };
    let secret = files.secret(&written.secret_file)?;
    if secret.expose_secret().len() < SHORTEST_SECRET {
        let hint = "make one of at least 16 characters, e.g. with `openssl rand -hex 32`";
        return Err(files.refused("webhook.secret_file", "holds a secret that is too short", hint));
    }
    Ok(Webhook { listen, kind: written.kind, secret })
}
