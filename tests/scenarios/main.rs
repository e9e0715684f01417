//! Scenarios: each tells a story with the real falconer and real servers.

mod git_room;
