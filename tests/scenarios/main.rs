//! Scenarios: each tells a story with the real falconer and real servers.
#![cfg(test)]

mod falco_room;
mod git_room;
mod publishing;
mod registry_room;
