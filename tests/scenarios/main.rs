//! Scenarios: each tells a story with the real falconer and real servers.
#![cfg(test)]

mod answers;
mod check;
mod daemon;
mod drift;
mod eject;
mod falco_edited;
mod falco_room;
mod falco_running;
mod faults;
mod first_host;
mod git_room;
mod model;
mod no_roots;
mod published_form;
mod publishing;
mod registry_access;
mod registry_room;
mod report;
mod resolving;
mod updates;
mod ways_back;
