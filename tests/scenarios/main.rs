//! Scenarios: each tells a story with the real falconer and real servers.
#![cfg(test)]

mod falco_room;
mod git_room;
mod registry_access;
mod registry_room;
