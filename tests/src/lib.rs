//! The harness: starts real servers on loopback and makes sandboxed hosts for the scenarios.

pub mod falco_stand_in;
pub mod git_server;
pub mod sshd;
pub mod registry_server;
pub mod scripted_registry;
