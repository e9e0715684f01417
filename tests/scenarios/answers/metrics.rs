//! Monitoring asks over HTTP, and understands what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use falconer_tests::host::{Daemon, Host};

use super::{SOON, remembering};

/// An answer: its head and its body.
fn ask(mut stream: impl Read + Write, request: &str) -> (String, String) {
    // A server that has had enough may close before it has read everything.
    let _sent = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _closed = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    (head.to_owned(), body.to_owned())
}

fn get(stream: impl Read + Write, path: &str, accept: &str) -> (String, String) {
    ask(stream, &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n"))
}

/// Reads OpenMetrics 1.0 or the older format as strictly as their grammars are: every family is described once and before
/// its samples, samples of a family stand together and end as its type wants, labels are quoted and escaped, no sample is
/// there twice.
fn parsed(text: &str, open: bool) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let mut families = BTreeSet::new();
    let mut family: Option<(String, String)> = None;
    let body = if open { text.strip_suffix("# EOF\n").expect("an end") } else { text };
    assert!(body.ends_with('\n') && !body.contains("\n\n"));
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap();
            assert!(families.insert(name.to_owned()), "{name} is described twice");
            assert!(!help.is_empty());
            family = Some((name.to_owned(), String::new()));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let known: &[&str] =
                if open { &["gauge", "counter", "info", "summary"] } else { &["gauge", "counter", "summary"] };
            assert!(known.contains(&kind), "{line}");
            let (current, of) = family.as_mut().unwrap();
            assert_eq!((current.as_str(), of.as_str()), (name, ""));
            kind.clone_into(of);
        } else {
            let end = line.find(['{', ' ']).unwrap();
            let (name, rest) = line.split_at(end);
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
            let (labels, value) =
                if rest.starts_with('{') { rest.split_at(rest.rfind('}').unwrap() + 1) } else { ("", rest) };
            let inner = labels.trim_start_matches('{').trim_end_matches('}');
            for label in inner.split(',').filter(|label| !label.is_empty()) {
                let (key, quoted) = label.split_once('=').unwrap();
                assert!(key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{label}");
                assert!(quoted.len() >= 2 && quoted.starts_with('"') && quoted.ends_with('"'), "{label}");
            }
            let (current, kind) = family.as_ref().unwrap();
            let ending = name.strip_prefix(current.as_str()).unwrap_or_else(|| panic!("{name} stands among {current}"));
            let endings: &[&str] = match (kind.as_str(), open) {
                ("counter", true) => &["_total"],
                ("info", true) => &["_info"],
                ("summary", _) => &["_count", "_sum"],
                _ => &[""],
            };
            assert!(endings.contains(&ending), "{line} is no {kind}");
            let before = samples.insert(format!("{name}{labels}"), value.strip_prefix(' ').unwrap().parse().unwrap());
            assert_eq!(before, None, "{line} is there twice");
        }
    }
    samples
}

/// The address that the daemon says it answers at.
fn address(daemon: &mut Daemon) -> String {
    daemon.wait_for(SOON, |daemon| daemon.log().contains("listen=") && daemon.log().contains("waits for"));
    let log = daemon.log();
    log.split("listen=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

fn count(host: &Host, daemon: &mut Daemon, passes: usize) {
    let _nothing = host.path("state");
    daemon.wait_for(SOON, |daemon| daemon.log().matches("waits for").count() >= passes);
}

const OPEN: &str = "application/openmetrics-text; version=1.0.0";

#[test]
fn metrics_say_what_the_host_and_its_passes_are_like() {
    let host =
        remembering("[schedule]\nevery = \"1h\"\n[drift]\nmode = \"report\"\n[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let mut daemon = Daemon::start(&host, "daemon");
    let address = address(&mut daemon);
    let connect = || TcpStream::connect(&address).unwrap();
    let (head, body) = get(connect(), "/metrics", OPEN);
    assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("content-type: application/openmetrics-text"), "{head}");
    let first = parsed(&body, true);
    let (head, body) = get(connect(), "/metrics", "text/plain");
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert_eq!(parsed(&body, false).keys().collect::<Vec<_>>(), first.keys().collect::<Vec<_>>());
    let value = |samples: &BTreeMap<String, f64>, name: &str| *samples.get(name).unwrap_or_else(|| panic!("no {name}"));
    for (name, expected) in [
        ("falconer_condition{condition=\"InSync\"}", 1.0),
        ("falconer_generation", 1.0),
        ("falconer_drift{kind=\"modified\"}", 0.0),
        ("falconer_pass_total{outcome=\"InSync\"}", 1.0),
        ("falconer_changes_total{kind=\"add\"}", 1.0),
        ("falconer_consecutive_failures", 0.0),
    ] {
        assert_eq!(value(&first, name), expected, "{name}");
    }
    let (at, next) = ("falconer_last_pass_timestamp_seconds", "falconer_next_pass_timestamp_seconds");
    assert!(value(&first, next) > value(&first, at));
    assert_eq!(value(&first, "falconer_last_success_timestamp_seconds"), value(&first, at));

    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    count(&host, &mut daemon, 2);
    let second = parsed(&get(connect(), "/metrics", OPEN).1, true);
    for (name, expected) in [
        ("falconer_condition{condition=\"InSync\"}", 0.0),
        ("falconer_condition{condition=\"Drifted\"}", 1.0),
        ("falconer_drift{kind=\"modified\"}", 1.0),
        ("falconer_pass_total{outcome=\"Drifted\"}", 1.0),
        ("falconer_pass_duration_seconds_count", 2.0),
    ] {
        assert_eq!(value(&second, name), expected, "{name}");
    }
    assert_eq!(get(connect(), "/readyz", "*/*").1, "ok\n");
}

#[test]
fn whoever_asks_badly_gets_little_and_stops_nobody() {
    let host = remembering("[schedule]\nevery = \"1h\"\n[metrics]\nlisten = \"unix:metrics.sock\"\n");
    // What a dead process has left is no hindrance.
    drop(std::os::unix::net::UnixListener::bind(host.path("metrics.sock")).unwrap());
    std::fs::rename(host.path("fleet"), host.path("away")).unwrap();
    let mut daemon = Daemon::start(&host, "daemon");
    count(&host, &mut daemon, 1);
    let connect = || UnixStream::connect(host.path("metrics.sock")).unwrap();
    assert_eq!(get(connect(), "/healthz", "").1, "ok\n");
    let (head, body) = get(connect(), "/readyz", "");
    assert!(head.starts_with("HTTP/1.1 503 ") && body.contains("no pass has succeeded"), "{head} {body}");
    assert!(get(connect(), "/../etc/passwd", "").0.starts_with("HTTP/1.1 404 "));
    let post = ask(connect(), "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
    assert!(post.0.starts_with("HTTP/1.1 405 ") && post.0.contains("allow: GET, HEAD"), "{}", post.0);
    let long = ask(connect(), &format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000)));
    assert!(!long.0.starts_with("HTTP/1.1 200 "), "{}", long.0);
    assert!(!ask(connect(), "\0\u{1}garbage\r\n\r\n").0.starts_with("HTTP/1.1 200 "));

    // All places are taken by those who say nothing, and the passes go on.
    let silent: Vec<_> = (0..40).map(|_| connect()).collect();
    std::fs::rename(host.path("away"), host.path("fleet")).unwrap();
    let _asked = host.falconer(["sync", "--wait"]).ended_with(0);
    assert!(daemon.log().contains("condition=\"InSync\""), "{}", daemon.log());
    drop(silent);
    let waiting = connect();
    waiting.set_read_timeout(Some(Duration::from_secs(12))).unwrap();
    assert_eq!(get(waiting, "/readyz", "").1, "ok\n");
    assert_eq!(daemon.stop(Duration::from_secs(2)).code(), Some(0));
}

#[test]
fn an_address_that_is_taken_stops_no_pass() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("[metrics]\nlisten = \"{}\"\n", taken.local_addr().unwrap());
    let host = remembering(&listen);
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.passes() == 1);
    assert!(daemon.log().contains("something listens there already"), "{}", daemon.log());
}
