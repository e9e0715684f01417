//! The harness: starts real servers on loopback and makes sandboxed hosts for the scenarios.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a harness that cannot do its work is a failed test")]

pub mod falco_stand_in;
pub mod git_server;
pub mod host;
pub mod registry_server;
pub mod scripted_registry;
pub mod sshd;
