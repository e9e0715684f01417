//! The harness: starts real servers on loopback and makes sandboxed hosts for the scenarios.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a harness that cannot do its work is a failed test")]

pub mod crash;
pub mod falco_stand_in;
pub mod fleet;
pub mod git_server;
pub mod heavy;
pub mod host;
pub mod live;
pub mod memory;
pub mod registry_server;
pub mod scripted_registry;
pub mod sshd;
pub mod trace;

use std::io::Write as _;

/// Says something that must be read even where the test passes: past the capture of the test's output.
pub fn say(what: &str) {
    // Nobody may be listening.
    let _unheard = writeln!(std::io::stderr(), "{what}");
}
