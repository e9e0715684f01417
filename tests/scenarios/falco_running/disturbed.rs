//! Somebody changes what is live while Falco takes it up.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_commit_is_not_blamed_for_what_somebody_does_meanwhile() {
    let host = with_faults(true, &[]);
    let _commit = commit_rules(&host, &rules("two"));
    let (current, live) = (host.path("state/current"), host.path("state/generations/2/rules/10-own.yaml"));
    let somebody = std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !std::fs::read_link(&current).is_ok_and(|target| target.ends_with("2")) {
            assert!(Instant::now() < deadline, "generation 2 never came");
            std::thread::yield_now();
        }
        std::fs::write(live, rules("somebody else's")).unwrap();
    });
    let status = host.once().ended_with(0);
    somebody.join().unwrap();
    assert_eq!(short(&status), is("InSync", 3, "sha256"));
    let kinds: Vec<_> =
        status.json()["changes"].as_array().unwrap().iter().map(|change| change["kind"].clone()).collect();
    assert_eq!(kinds, ["update", "heal"]);
    assert_eq!((host.read("state/current/rules/10-own.yaml"), host.sighups()), (rules("two"), 2));
    let _nothing_is_held = nothing_more_is_done(&host, 0);
}
