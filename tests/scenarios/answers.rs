//! Whoever wants to know how a host is gets an answer: status, events, doctor, metrics, the service manager, logs.

mod doctor;
mod events;
mod logs;
mod manager;
mod metrics;
mod status;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use falconer_tests::host::Host;
use serde_json::Value;

/// How long a test waits for something that must happen.
const SOON: Duration = Duration::from_secs(10);

/// An adopted host that remembers its passes in `run`, with these lines more in its agent.toml.
fn remembering(more: &str) -> Host {
    let host = Host::adopted();
    let agent = host.read("agent.toml").replace("state = \"state\"", "state = \"state\"\nruntime = \"run\"");
    host.write("agent.toml", &format!("{agent}{more}"));
    host
}

/// What `run/pass.json` says.
fn pass(host: &Host) -> Value {
    serde_json::from_str(&host.read("run/pass.json")).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
