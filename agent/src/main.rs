//! The `falconer` program.

fn main() {}
