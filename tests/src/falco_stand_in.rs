//! A stand-in for Falco: a program that behaves towards its manager as the real one was measured to (0.44.1), without the
//! engine. It reads its configuration and rules files, answers `--version` and `--dry-run`, serves `/healthz`, `/versions` and
//! `/metrics`, and reloads at SIGHUP in the real phases: 100 ms of quiet, a dry run beside the running engine, 100 ms more,
//! then a full restart inside the same process by `exec`, which really takes its signal handlers away, so that a SIGHUP in
//! that window really ends it. Libraries of plugins are texts, mapped as long as the real ones. It watches files only when it is
//! told to.

mod answers;
mod configuration;
mod harness;
mod options;
mod plugins;
mod program;
mod rules;
mod watch;

pub use harness::{FalcoStandIn, Fault, binary};
pub use program::main;
