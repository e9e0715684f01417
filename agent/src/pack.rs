//! Makes an artifact of files, in the exact form that falcoctl publishes.
