//! Artifact archives: a gzipped tar, read entry by entry and never unpacked.
