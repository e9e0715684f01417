//! Windows and suspensions: what is known and not done yet.

use jiff::{SignedDuration, Timestamp};

use super::*;

/// A window of agent.toml that denies from now until then, and what it denies.
fn deny(what: &str, from: SignedDuration, to: SignedDuration) -> String {
    let now: Timestamp = std::time::SystemTime::now().try_into().unwrap();
    let time = |ahead: SignedDuration| (now + ahead).strftime("%H:%M").to_string();
    format!(
        "[[windows]]\neffect = \"deny\"\nwhat = [{what}]\nfrom = \"{}\"\nto = \"{}\"\nreason = \"freeze\"\n",
        time(from),
        time(to)
    )
}

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn tampered(host: &Host) {
    std::fs::write(host.live("acme-rules.yaml"), "- list: evil\n  items: []\n").unwrap();
}

/// Publishes and asks for another version; gives its rules.
fn ask_for(host: &Host, version: &str) -> String {
    let rules = format!("{RULES}# {version}\n");
    host.publish(&rules, version);
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml(version))]);
    rules
}

#[test]
fn a_closed_window_holds_a_change_back_and_heals_what_is_live() {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    host.configure(&deny("\"apply\"", -HOUR, HOUR));
    let rules = ask_for(&host, "1.1.0");
    let blobs = || host.snapshot("state/store/blobs");
    let before = blobs();
    let status = host.once().ended_with(2).json();
    assert_eq!((&status["condition"], &status["error"]), (&json!("Pending"), &json!(null)), "{status:#}");
    assert_eq!(status["reason"], "the window for apply is closed (freeze)");
    assert!(status["opens"].is_string() && status["next"]["who"] == "agent", "{status:#}");
    assert_ne!(blobs(), before, "what waits to be applied is fetched");
    assert_eq!(live(&host).as_deref(), Some(RULES));
    assert_eq!(host.status().ended_with(2).json()["condition"], "Pending");

    assert_eq!(host.plan().ended_with(2).json()["meanwhile"], json!([]));
    tampered(&host);
    // The change itself waits; what the next pass does is said beside it.
    let plan = host.plan().ended_with(2).json();
    let meanwhile: Vec<_> = plan["meanwhile"].as_array().unwrap().iter().map(|step| step["step"].clone()).collect();
    assert!(meanwhile.contains(&json!("activate")) && !meanwhile.contains(&json!("fetch")), "{plan:#}");
    let healed = host.once().ended_with(2).json();
    assert_eq!((&healed["condition"], &healed["drift"][0]["kind"]), (&json!("Pending"), &json!("modified")));
    assert_eq!(live(&host).as_deref(), Some(RULES));
    let plan = host.plan().ended_with(2).json();
    assert_eq!(plan["waiting"]["reason"], status["reason"]);
    assert!(plan["changes"].as_array().is_some_and(|changes| !changes.is_empty()), "{plan:#}");

    let _at_once = host.falconer(["once", "--now"]).ended_with(0);
    assert_eq!(live(&host).as_deref(), Some(&*rules));
    let _in_sync = host.once().ended_with(0);

    // Nothing may be downloaded: what is needed is not there, and nobody is asked for it.
    host.configure(&deny("\"download\"", -HOUR, HOUR));
    let rules = ask_for(&host, "1.2.0");
    let before = blobs();
    let status = host.once().ended_with(2).json();
    assert_eq!(status["reason"], "the window for download is closed (freeze)");
    assert_eq!(blobs(), before);
    host.configure("");
    let _applied = host.once().ended_with(0);
    assert_eq!(live(&host).as_deref(), Some(&*rules));
}

#[test]
fn windows_and_suspensions_of_the_desired_state() {
    let host = Host::adopted();
    let _first = host.once().ended_with(0);
    host.publish(&format!("{RULES}# 1.1.0\n"), "1.1.0");
    let fleet = |lines: &str| host.commit(&[("fleet.yaml", &format!("{}{lines}", fleet_yaml("1.1.0")))]);
    let _closed = fleet("windows: [{effect: deny, reason: holidays}]\n");
    let status = host.once().ended_with(2).json();
    assert_eq!(status["reason"], "the window for download is closed (holidays)");
    assert_eq!(status["opens"], json!(null));

    let suspended = fleet("suspend: {reason: audit}\n");
    tampered(&host);
    let status = host.once().ended_with(2).json();
    assert_eq!(status["reason"], "suspended by the desired state: audit");
    assert_eq!((&status["drift"][0]["kind"], &status["wanted"]), (&json!("modified"), &json!(suspended)));
    assert!(live(&host).unwrap().contains("evil"), "nothing is changed");
    let _not_overridden = host.falconer(["once", "--now"]).ended_with(2);

    let _unknown = fleet("windows: [{effect: allow, zone: Europe/Atlantis}]\n");
    let failed = host.once().ended_with(1).json();
    assert!(failed["error"]["message"].as_str().unwrap().contains("Europe/Atlantis"), "{failed:#}");
    let _over = fleet("suspend: {reason: audit, until: 2020-01-01T00:00:00Z}\n");
    let _applied = host.once().ended_with(0);
}

#[test]
fn a_daemon_is_suspended_and_resumed_and_opens_on_time() {
    let host = every("1h");
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);
    let _suspended = host.falconer(["suspend", "--reason", "we look at it", "--for", "1h"]).ended_with(0);
    daemon.wait_for(SOON, |daemon| daemon.log().contains("suspended by somebody on this host until"));
    tampered(&host);
    daemon.wait_for(SOON, |daemon| daemon.log().contains("a file that matters has changed"));
    daemon.wait_for(SOON, |daemon| daemon.rests() == 3);
    assert!(live(&host).unwrap().contains("evil"), "nothing is changed");
    let status = host.status().ended_with(2).json();
    assert!(status["reason"].as_str().unwrap().ends_with("we look at it"), "{status:#}");
    assert_eq!(status["drift"][0]["kind"], "modified");
    let _resumed = host.falconer(["resume"]).ended_with(0);
    daemon.wait_for(SOON, |_| live(&host).as_deref() == Some(RULES));
    for refused in [&["suspend", "--until", "2020-01-01T00:00:00Z"][..], &["suspend", "--until", "tomorrow"]] {
        assert_ne!(host.falconer(refused).code, Some(0));
    }

    // It is over by itself, long before the next tick.
    host.configure("[schedule]\nevery = \"15s\"\n");
    daemon.signal(Signal::HUP);
    let _suspended = host.falconer(["suspend", "--for", "5s"]).ended_with(0);
    let rules = ask_for(&host, "1.1.0");
    let status = host.falconer(["sync", "--wait", "--output", "json"]).ended_with(2).json();
    assert_eq!(status["condition"], "Pending", "{status:#}");
    daemon.wait_for(SOON, |_| live(&host).as_deref() == Some(&*rules));
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}
