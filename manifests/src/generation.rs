//! Generations: complete, immutable, numbered directories of everything that Falco loads from us.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The number of a generation. Numbers only grow; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationNumber(pub u64);

impl fmt::Display for GenerationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
