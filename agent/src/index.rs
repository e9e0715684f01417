//! The index room: fetches the documents that name artifacts.
