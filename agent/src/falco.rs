//! The Falco room: reads its configuration, validates with it, reloads it and asks what it loaded.
//!
//! Every answer says how sure it is. A machine without Falco is a normal state.
#![expect(clippy::disallowed_methods, reason = "the room of Falco reads its files and starts its program")]

mod binary;
mod child;
mod confirm;
mod documents;
mod error;
mod lay_out;
mod memory;
mod reload;
mod replace;
mod rights;
mod running;
mod second_manager;
mod supervision;
mod validate;
mod web;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use binary::{DryRun, Presence, dry_run, version, version_of};
pub use confirm::{Confirmation, Expected, NotConfirmed, confirm};
pub use documents::{Documents, documents};
pub use error::FalcoError;
pub use lay_out::{lay_out, take_back};
pub use memory::Memory;
pub use reload::{Asked, Reloading, reload};
pub use replace::adopt;
pub use rights::Account;
pub use running::{Falco, running};
pub use second_manager::{SecondManager, second_managers};
pub use supervision::{Supervision, restart, restarter, unit_arguments};
pub use validate::{Validity, validate};
pub use web::{NoAnswer, loaded, loaded_versions};

/// Where Falco is on this host.
#[derive(Debug, Clone)]
pub struct FalcoSettings {
    /// Its falco.yaml.
    pub config_file: PathBuf,
    /// Its program.
    pub binary: PathBuf,
    /// Its web server, e.g. `http://127.0.0.1:8765`; without it the evidence of a reload is weaker.
    pub http: Option<Url>,
    /// How long it may take.
    pub deadlines: Deadlines,
    /// Who starts it.
    pub supervision: Supervision,
    /// The user that tries candidates when we are root; ourselves without it.
    pub validate_as: Option<Account>,
    /// What was found before with these settings.
    pub memory: Arc<Memory>,
}

/// How long Falco may take for an answer.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// For `falco --version`.
    pub version: Duration,
    /// For `falco --dry-run`.
    pub dry_run: Duration,
    /// For one request to the web server.
    pub http: Duration,
    /// Until SIGHUP is safe.
    pub safe: Duration,
    /// Until a new process is there after a restart.
    pub back: Duration,
    /// For the command that restarts Falco.
    pub restart: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            version: Duration::from_secs(10),
            dry_run: Duration::from_secs(30),
            http: Duration::from_secs(2),
            safe: Duration::from_secs(30),
            back: Duration::from_secs(30),
            // Falco's units give it 30 s to stop.
            restart: Duration::from_secs(90),
        }
    }
}
