//! The watch room: wakes the agent when files that matter to it change.
