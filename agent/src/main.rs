//! The `falconer` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    falconer::cli::main()
}
