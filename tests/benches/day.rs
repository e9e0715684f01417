//! Two days of `falconer run` in a few minutes: whether memory, file descriptors and disk stay flat. `make bench` runs it on
//! the release build.
//!
//! The time is that of a virtual machine whose clock jumps over every moment in which nobody has anything to do: QEMU without
//! KVM, with `-icount shift=0,sleep=off`. In it, everything is as on a host: the kernel's timers, `falconer run` as a process,
//! a stand-in for Falco, and `git http-backend` for the desired state and for the reports. An instruction takes a nanosecond,
//! so the CPU times are a measure of work and depend on no machine.
//!
//! It needs qemu-system-x86_64 in PATH and a Linux kernel in /boot, or where `FALCONER_KERNEL` says (of Debian: the packages
//! qemu-system-x86 and linux-image-cloud-amd64); where they are missing it says so and measures nothing.
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to say")]

#[path = "day/life.rs"]
mod life;
#[path = "day/machine.rs"]
mod machine;

use std::io::Write as _;
use std::path::PathBuf;

/// How many hours pass, unless the second argument says otherwise.
const HOURS: u64 = 48;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let first = arguments.next();
    let hours = arguments.next().and_then(|hours| hours.parse().ok()).unwrap_or(HOURS);
    match first.as_deref() {
        Some(machine::INSIDE) => life::live(hours),
        first => {
            let program = first.map_or_else(falconer_tests::host::falconer, PathBuf::from).canonicalize().unwrap();
            if let Err(missing) = machine::run(&program, hours) {
                say(&format!("day: not measured: {missing}"));
            }
        }
    }
}

fn say(line: &str) {
    // Nobody may be listening.
    let _unheard = writeln!(std::io::stdout(), "{line}");
}
