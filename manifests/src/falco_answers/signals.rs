//! Whether a signal is safe to send.

/// Whether the process catches SIGHUP, from the text of its `/proc/PID/status` (proc(5), `SigCgt`, bit 0 for signal 1).
/// Falco catches it exactly when it can take it: during its start and in a part of a reload the signal ends the process.
/// `None` when the text has no such line.
#[must_use]
pub fn catches_sighup(status: &str) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim();
    Some(u64::from_str_radix(mask, 16).ok()? & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bit_zero_decides() {
        assert_eq!(catches_sighup("Name:\tfalco\nSigCgt:\t0000000180004003\n"), Some(true));
        assert_eq!(catches_sighup("SigIgn:\t0000000000000001\nSigCgt:\t0000000180004002\n"), Some(false));
        assert_eq!(catches_sighup("Name:\tfalco\n"), None);
        assert_eq!(catches_sighup("SigCgt:\tx\n"), None);
    }
}
