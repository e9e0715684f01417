//! Scenarios: each tells a story with the real falconer and real servers.
#![cfg(test)]

mod registry_room;
