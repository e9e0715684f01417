//! What a daemon costs that has nothing to do, and what it remembers for that.

use std::io::Write as _;

use falconer_tests::host::HostWithFalco;

use super::*;

/// How often any thread of the daemon was given a processor until now (proc(5), `/proc/PID/task/TID/schedstat`).
fn turns(daemon: &Daemon) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", daemon.pid())).unwrap();
    let of_task = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("schedstat")).unwrap();
    tasks.map(|task| of_task(task.unwrap()).split_whitespace().nth(2).unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn a_daemon_with_nothing_to_do_is_not_woken_by_what_others_write() {
    let host = every("1h");
    host.write("state-of-others", "");
    host.write("etc/other.yaml", "");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);
    // The last of its own work may still be on its way to it.
    let give_up = std::time::Instant::now() + SOON;
    let mut before = 0;
    while std::mem::replace(&mut before, turns(&daemon)) != before {
        assert!(std::time::Instant::now() < give_up, "it never comes to rest: {}", daemon.log());
        std::thread::sleep(Duration::from_millis(400));
    }
    for path in ["state-of-others", "etc/other.yaml"] {
        let mut file = OpenOptions::new().append(true).open(host.path(path)).unwrap();
        for _ in 0..100 {
            file.write_all(b"x").unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(turns(&daemon), before);
    // Beside falco.yaml it would have been woken by the file itself.
    OpenOptions::new().append(true).open(host.path("etc/falco.yaml")).unwrap().write_all(b"# x\n").unwrap();
    daemon.wait_for(SOON, |daemon| daemon.rests() == 2);
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}

#[test]
fn falco_is_asked_for_its_release_again_when_its_program_is_another() {
    let host = HostWithFalco::in_sync(true, &[]);
    host.write("agent.toml", &format!("{}[schedule]\nevery = \"1h\"\n", host.read("agent.toml")));
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);
    let release = || host.falconer(["sync", "--wait", "--output", "json"]).ended_with(0).json()["falco"].clone();
    let before = release();
    // What the program would say is another thing now, and its file is the same: nobody has asked it.
    host.write("falco.version", "0.43.0");
    assert_eq!(release(), before);
    let copied = std::process::Command::new("cp").arg(host.path("falco")).arg(host.path("new")).status().unwrap();
    assert!(copied.success());
    std::fs::rename(host.path("new"), host.path("falco")).unwrap();
    assert_ne!(release(), before);
    assert_eq!(host.status().ended_with(0).json()["falco"], release());
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}
