//! Logs are as they are wanted, and as loud, while the daemon runs too.

use falconer_tests::host::Daemon;
use rustix::process::Signal;
use serde_json::Value;

use super::{SOON, remembering};

#[test]
fn json_logs_parse_and_signals_make_them_louder() {
    let host = remembering("[schedule]\nevery = \"1s\"\n");
    let mut daemon = Daemon::start_with(&host, "daemon", |command| {
        command.env("FALCONER_LOG", "falconer=info").args(["--log-format", "json"])
    });
    daemon.wait_for(SOON, |daemon| daemon.passes() >= 2);
    assert!(!daemon.log().contains("waits for"), "that is for debug: {}", daemon.log());
    daemon.signal(Signal::USR1);
    daemon.wait_for(SOON, |daemon| daemon.log().contains("waits for"));
    daemon.signal(Signal::USR2);
    daemon.wait_for(SOON, |daemon| daemon.log().matches("as loud as a signal asked").count() == 2);
    let passes = daemon.passes();
    daemon.wait_for(SOON, |daemon| daemon.passes() >= passes + 2);
    let log = daemon.log();
    let after = log.rsplit("as loud as a signal asked").next().unwrap();
    assert!(!after.contains("waits for"), "{after}");
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["fields"]["message"].is_string(), "{line}");
    }
}

#[test]
fn a_wrong_level_and_a_journal_that_is_not_there_are_told() {
    let host = remembering("");
    let run = host.falconer(["status", "--log-level", "falconer=loud"]).ended_with(2);
    assert!(run.stderr.contains("`falconer=loud` is not taken"), "{}", run.stderr);
    // The number of a journal's socket that this stderr is not.
    let run = falconer_tests::host::run(host.command().env("JOURNAL_STREAM", "8:1").args(["once", "--log", "info"]));
    assert!(run.stderr.contains(" INFO "), "{}", run.stderr);
}
