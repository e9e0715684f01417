//! A stand-in for Falco in tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    falconer_tests::falco_stand_in::main()
}
