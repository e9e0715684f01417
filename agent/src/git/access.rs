//! How a remote may be used: credentials, programs, deadlines and caps.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// What the settings say about one remote. The default is anonymous, with the system's `ssh` and its own configuration.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// What an https remote is told about us. Userinfo in the URL is used when this is [`Credential::None`].
    pub credential: Credential,
    /// How ssh is run.
    pub ssh: Ssh,
    /// Allows plain http to hosts other than this one.
    pub allow_http: bool,
    /// What an exchange may cost.
    pub limits: Limits,
}

/// Who we are for an https remote.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    /// Nobody.
    #[default]
    None,
    /// HTTP basic authentication. For access tokens of Git hosts the user name is often of no meaning.
    Basic {
        /// The user name.
        username: String,
        /// The password or token.
        password: SecretString,
    },
    /// An `Authorization: Bearer` token.
    Bearer(SecretString),
}

/// How the system's `ssh` is run.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// The program, looked up in `PATH` when it is only a name.
    pub program: PathBuf,
    /// The private key to offer, and no other. Without it, ssh's own choice.
    pub identity_file: Option<PathBuf>,
    /// The file with the host keys that are trusted. Without it, ssh's own files.
    pub known_hosts: Option<PathBuf>,
}

impl Default for Ssh {
    fn default() -> Self {
        Self { program: PathBuf::from("ssh"), identity_file: None, known_hosts: None }
    }
}

/// What one exchange may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The time that a poll, a fetch or a push may take as a whole.
    pub deadline: Duration,
    /// The most bytes of a pack.
    pub pack: u64,
    /// The most bytes of one object that is held in memory. Larger blobs are not asked for where the server can leave
    /// them out, and not copied from a local repository.
    pub object: u64,
    /// The most objects in a pack.
    pub objects: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(120), pack: 256 << 20, object: 8 << 20, objects: 200_000 }
    }
}
