//! The service manager is told, over its own kind of socket.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use falconer_tests::host::Daemon;

use super::{SOON, remembering};

/// Messages until one begins with `wanted`.
#[track_caller]
fn until(socket: &UnixDatagram, wanted: &str) -> Vec<String> {
    let give_up = Instant::now() + SOON;
    let mut seen = Vec::new();
    let mut buffer = [0; 4096];
    while Instant::now() < give_up {
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        seen.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        if seen.last().unwrap().starts_with(wanted) {
            return seen;
        }
    }
    panic!("no {wanted}: {seen:?}");
}

#[test]
fn systemd_is_told_of_start_state_life_and_end() {
    let host = remembering("[schedule]\nevery = \"1h\"\n");
    let path = host.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let daemon = Daemon::start_with(&host, "daemon", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000")
    });
    assert_eq!(until(&socket, "READY=1"), ["READY=1"], "before the first pass");
    let status = until(&socket, "STATUS=").pop().unwrap();
    assert!(status.starts_with("STATUS=InSync, revision ") && !status.contains('\n'), "{status}");
    let begun = Instant::now();
    for _ping in 0..4 {
        let _seen = until(&socket, "WATCHDOG=1");
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "twice in 100 ms");
    assert_eq!(daemon.stop(SOON).code(), Some(0));
    let _seen = until(&socket, "STOPPING=1");
}

#[test]
fn a_watchdog_that_is_meant_for_another_process_is_not_fed() {
    let host = remembering("[schedule]\nevery = \"1h\"\n");
    let path = host.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let daemon = Daemon::start_with(&host, "daemon", |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1")
    });
    let _status = until(&socket, "STATUS=");
    assert_eq!(daemon.stop(SOON).code(), Some(0));
    assert_eq!(until(&socket, "STOPPING=1"), ["STOPPING=1"]);
}
