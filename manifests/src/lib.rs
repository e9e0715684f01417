//! Every document that falconer reads or writes, and every function between them.
//!
//! Nothing here touches anything: no file, no socket, no process, no environment, no clock. Parsers take text or bytes
//! that somebody else has read; time is an argument. The crate is `no_std` because what `std` would add is just the list
//! of what a planner must not touch.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod admit;
pub mod artifact;
pub mod backoff;
pub mod catalog;
pub mod composition;
pub mod dependencies;
pub mod diff;
pub mod digest;
pub mod drift;
pub mod falco_answers;
pub mod falco_config;
pub mod falcoctl_yaml;
pub mod finding;
pub mod fleet;
pub mod generation;

pub mod host_lock;
pub mod index;
pub mod ledger;
pub mod lockfile;
pub mod name;
mod newtype;
pub mod next;
pub mod observed;
pub mod oci;
pub mod outcome;
pub mod plan;
pub mod reference;
pub mod remedy;
pub mod report;
pub mod resolve;
pub mod revision;
pub mod rules;
pub mod schedule;
pub mod schema;
pub mod status;
pub mod tags;
pub mod version;
pub mod window;
pub mod yaml;
