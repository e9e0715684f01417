//! `falconer status` knows when the host was last looked after.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use falconer_tests::host::Daemon;
use serde_json::{Value, json};

use super::{SOON, now, pass, remembering};

#[test]
fn a_pass_that_changes_nothing_tells_its_time_and_writes_nothing_to_disk() {
    let host = remembering("[metrics]\ntextfile = \"falconer.prom\"\n");
    let _first = host.once().ended_with(0);
    let metrics = host.read("falconer.prom");
    assert!(metrics.contains("falconer_condition{condition=\"InSync\"} 1\n"), "{metrics}");
    let mode = host.path("state/status.json").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "everybody may read it");
    let long_ago = std::time::UNIX_EPOCH;
    std::fs::File::open(host.path("falconer.prom")).unwrap().set_modified(long_ago).unwrap();
    host.write("run/pass.json", "{}");
    let (state, inode) = (host.snapshot("state"), host.path("falconer.prom").metadata().unwrap().ino());
    let before = now();

    let _second = host.once().ended_with(0);
    assert_eq!(state.differences(&host.snapshot("state")), Vec::<&Path>::new());
    let textfile = host.path("falconer.prom").metadata().unwrap();
    assert_eq!(textfile.ino(), inode, "it was not written anew");
    assert!(textfile.mtime().cast_unsigned() >= before, "its time is that of the pass");
    assert_eq!(host.read("falconer.prom"), metrics);
    assert!(pass(&host)["at"].as_u64().unwrap() >= before);
    assert_eq!((&pass(&host)["outcome"], pass(&host).get("next_at")), (&json!("InSync"), None));

    let answer = host.status().ended_with(0).json();
    assert_eq!(answer["last_pass"], pass(&host));
    assert_eq!(answer.get("stale"), None, "nobody has promised another pass");
    let text = host.falconer(["status"]).ended_with(0).stdout;
    assert!(text.contains("last pass") && text.contains("not planned"), "{text}");
}

#[test]
fn a_host_that_nobody_looks_after_any_more_is_stale() {
    let host = remembering("[schedule]\nevery = \"1h\"\n");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |_| host.path("run/pass.json").exists() && pass(&host).get("next_at").is_some());
    let next = pass(&host)["next_at"].as_u64().unwrap();
    let wait = next.saturating_sub(now());
    assert!((1..=3970).contains(&wait), "an hour at the most, give or take a tenth: {wait}");
    let text = host.falconer(["status"]).ended_with(0).stdout;
    assert!(text.contains("next pass   in "), "{text}");
    let _status = daemon.stop(SOON);

    let mut old = pass(&host);
    let due = now() - 7300;
    (old["at"], old["next_at"]) = (json!(due - 600), json!(due));
    host.write("run/pass.json", &old.to_string());
    let answer = host.status().ended_with(1).json();
    assert_eq!((&answer["condition"], &answer["stale"]["due_at"]), (&json!("Stale"), &json!(due)));
    assert_eq!(answer["next"]["who"], json!("operator"));
    let text = host.falconer(["status"]).ended_with(1).stdout;
    for words in ["the next pass is 2 h late", "systemctl status falconer", "next pass   2 h late"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let _looked_after = host.once().ended_with(0);
    assert_eq!(host.status().ended_with(0).json()["condition"], json!("InSync"));
}

#[test]
fn failures_are_counted_until_one_succeeds() {
    let host = remembering("");
    let _first = host.once().ended_with(0);
    let succeeded = pass(&host)["succeeded_at"].clone();
    std::fs::rename(host.path("fleet"), host.path("away")).unwrap();
    for failures in 1..3 {
        let _failed = host.once().ended_with(1);
        assert_eq!((&pass(&host)["failures"], &pass(&host)["succeeded_at"]), (&json!(failures), &succeeded));
    }
    let answer = host.status().ended_with(1).json();
    assert_eq!((&answer["condition"], &answer["last_pass"]["outcome"]), (&json!("Failed"), &json!("Failed")));
    assert!(answer["error"]["hint"].is_string() && answer["error"]["remedy"].is_string(), "{answer}");
    let text = host.falconer(["status"]).ended_with(1).stdout;
    for words in ["error ", "hint ", "2 in a row"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    std::fs::rename(host.path("away"), host.path("fleet")).unwrap();
    let _well_again = host.once().ended_with(0);
    assert_eq!((&pass(&host)["failures"], pass(&host).get("error")), (&json!(0), None::<&Value>));
}
