//! Waiting for a moment of the calendar, through clocks that are set and machines that sleep.

use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::watch::readable;

/// The time.
pub(super) fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or(Timestamp::MAX)
}

/// Waits until `due`, or until somebody sets the clock.
pub(super) async fn until(due: Timestamp) {
    match timer(due) {
        Ok(timer) => told(&timer).await,
        // Without such a timer a clock that is set is found at the next tick.
        Err(_) => {
            let left = due.duration_since(now());
            tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
        }
    }
}

fn timer(due: Timestamp) -> std::io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    // A value of zero would switch it off.
    let value = Timespec { tv_sec: due.as_second().max(1), tv_nsec: due.subsec_nanosecond().max(0).into() };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once)?;
    readable(timer)
}

async fn told(timer: &AsyncFd<OwnedFd>) {
    loop {
        let Ok(mut ready) = timer.readable().await else { return };
        let mut count = [0; 8];
        // Read, or cancelled because the clock was set: either way somebody has to look.
        match rustix::io::read(timer.get_ref(), &mut count) {
            Err(Errno::AGAIN) => ready.clear_ready(),
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_moment_comes_and_a_past_one_has_come() {
        let due = now() + Duration::from_millis(50);
        until(due).await;
        assert!(now() >= due);
        until(Timestamp::UNIX_EPOCH).await;
    }
}
