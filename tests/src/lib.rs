//! The harness: starts real servers on loopback and makes sandboxed hosts for the scenarios.

pub mod registry_server;
pub mod scripted_registry;
