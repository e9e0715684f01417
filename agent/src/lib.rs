//! The agent: the rooms that touch something, the pass, the daemon and the command line.

pub mod adoption;
pub mod answers;
pub mod archive;
pub mod aside;
pub mod cli;
pub mod daemon;
pub mod doctor;
pub mod error;
pub mod falco;
pub mod git;
pub mod hooks;
pub mod http;
pub mod index;
pub mod layout;
pub mod outbound;
pub mod pack;
pub mod pass;
pub mod registry;
pub mod settings;
pub mod socket;
pub mod store;
pub mod systemd;
pub mod transfer;
pub mod watch;
pub mod webhook;
pub mod zones;
