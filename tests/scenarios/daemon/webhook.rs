//! The webhook: who knows the secret has the daemon look at Git, and nobody else moves it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use super::*;

const SECRET: &str = "a secret of enough length";

struct Hooked {
    host: Host,
    port: u16,
}

impl Hooked {
    fn new(kind: &str) -> Self {
        let host = Host::adopted();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        host.write("secret", &format!("{SECRET}\n"));
        host.configure(&format!(
            "[schedule]\nevery = \"1h\"\n[webhook]\nlisten = \"127.0.0.1:{port}\"\nkind = \"{kind}\"\nsecret_file = \"secret\"\n"
        ));
        Self { host, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// Sends a request; gives the status of the answer, 0 when there is none.
    fn send(&self, head: &str, body: &[u8]) -> u16 {
        let mut stream = self.connect();
        let head = format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n{head}\r\n", body.len());
        let _may_be_cut_off = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        status(&mut stream)
    }
}

fn status(stream: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    let _broken_off = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn signature(body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    ring::hmac::sign(&key, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_push_is_live_at_once_and_strangers_move_nothing() {
    let hooked = Hooked::new("github");
    let host = &hooked.host;
    let mut daemon = Daemon::start(host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);

    let rules = format!("{RULES}# 1.1.0\n");
    host.publish(&rules, "1.1.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let body = vec![b'{'; 200_000];
    let begun = Instant::now();
    assert_eq!(hooked.send(&format!("X-Hub-Signature-256: sha256={}\r\n", signature(&body)), &body), 202);
    daemon.wait_for(SOON, |_| live(host).as_deref() == Some(&*rules));
    println!("from the webhook to live: {:?}", begun.elapsed());
    daemon.wait_for(SOON, |daemon| daemon.rests() == 2);

    let wrong = signature(b"something else");
    let begun = Instant::now();
    for _ in 0..200 {
        assert_eq!(hooked.send(&format!("X-Hub-Signature-256: sha256={wrong}\r\n"), b"{}"), 401);
    }
    println!("200 wrong ones: {:?}", begun.elapsed());
    assert_eq!(hooked.send("", &body), 401);
    assert_eq!(hooked.send(&format!("X-Gitlab-Token: {SECRET}\r\n"), b"{}"), 401);
    let mut get = hooked.connect();
    get.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(status(&mut get), 405);
    let huge = vec![0; 9 << 20];
    assert_ne!(hooked.send(&format!("X-Hub-Signature-256: sha256={}\r\n", signature(&huge)), &huge), 202);
    // A head without an end, a body that does not come, lines that are no HTTP.
    assert_ne!(hooked.send(&format!("X-Long: {}\r\n", "x".repeat(100_000)), b""), 202);
    let slow: Vec<TcpStream> = (0..40).map(|_| hooked.connect()).collect();
    drop(slow);
    let mut noise = hooked.connect();
    let _cut_off = noise.write_all(&[0xff; 4096]);
    assert_ne!(status(&mut noise), 202);
    assert_eq!(daemon.rests(), 2, "nobody but who knows the secret moves it: {}", daemon.log());

    // However many come that know it, one pass follows in ten seconds.
    for _ in 0..50 {
        assert_eq!(hooked.send(&format!("X-Hub-Signature-256: sha256={}\r\n", signature(b"{}")), b"{}"), 202);
    }
    let asked = host.falconer(["sync", "--wait"]).ended_with(0);
    assert!(asked.stdout.contains("InSync"));
    assert!(daemon.log().matches("a webhook says").count() <= 2, "{}", daemon.log());
    assert!(!daemon.log().contains(SECRET));

    // It is there again when agent.toml was read again, and of the kind that is named there then.
    let toml = host.read("agent.toml").replace("\"github\"", "\"gitlab\"");
    host.write("agent.toml", &toml);
    for times in 1..=2 {
        daemon.signal(Signal::HUP);
        daemon.wait_for(SOON, |daemon| daemon.log().matches("agent.toml was read again").count() == times);
        assert_eq!(hooked.send(&format!("X-Gitlab-Token: {SECRET}\r\n"), b"{}"), 202, "{}", daemon.log());
    }
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}

#[test]
fn a_webhook_whose_secret_is_none_is_refused() {
    let hooked = Hooked::new("gitlab");
    hooked.host.write("secret", "hunter2\n");
    let refused = hooked.host.falconer(["status"]).ended_with(1);
    assert!(refused.stderr.contains("secret that is too short") && !refused.stderr.contains("hunter2"), "{refused:?}");
    hooked.host.write("secret", SECRET);
    let toml = hooked.host.read("agent.toml").replace("127.0.0.1:", "0.0.0.0:");
    hooked.host.write("agent.toml", &toml);
    let refused = hooked.host.falconer(["status"]).ended_with(1);
    assert!(refused.stderr.contains("allow_remote"), "{refused:?}");
}
