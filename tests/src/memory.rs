//! The memory that a run takes at its peak.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::Run;

/// How often the kernel is asked. What is taken and given back within the last look only is not seen.
const LOOK: Duration = Duration::from_millis(1);

/// Runs `command` to its end; gives the peak of its resident memory in KiB too, as the kernel keeps it (`VmHWM`).
#[must_use]
pub fn measured(command: &mut Command) -> (Run, u64) {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let stdout = std::thread::spawn(move || read(&mut out));
    let stderr = std::thread::spawn(move || read(&mut err));
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        // It has no memory any more once it has ended.
        peak = std::fs::read_to_string(&status).ok().and_then(|text| high_water(&text)).unwrap_or_default().max(peak);
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(LOOK);
    };
    let run = Run { code: ended.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() };
    (run, peak)
}

fn read(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
