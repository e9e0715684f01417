//! The registry room: answers lookups about artifacts over HTTP, and fetches and pushes them.
