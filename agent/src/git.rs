//! The Git room: polls, fetches and reads the desired-state repository, and pushes reports.
