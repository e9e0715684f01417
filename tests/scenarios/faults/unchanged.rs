//! A pass with nothing to do costs next to nothing: two small requests to Git, and no trace on the host.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use falconer_tests::falco_stand_in::{FalcoStandIn, binary};
use falconer_tests::git_server::GitServer;
use falconer_tests::git_server::fixture::Fixture;
use falconer_tests::registry_server::{Mode, RegistryServer};
use falconer_tests::trace::{self, CHANGES, SIGNALS};

use super::*;

/// Everything below a directory: kind, inode, size, times. Nothing was written when two are the same.
fn traces(root: &Path) -> BTreeMap<PathBuf, (u32, u64, u64, [i64; 4])> {
    let (mut found, mut left) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(path) = left.pop() {
        let data = std::fs::symlink_metadata(&path).unwrap();
        if data.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let times = [data.ctime(), data.ctime_nsec(), data.mtime(), data.mtime_nsec()];
        found.insert(path, (data.mode(), data.ino(), data.size(), times));
    }
    found
}

/// A running Falco that tells what it has loaded, on a host that reports, follows a branch among 300 other references
/// over http, and takes a floating tag from a real registry without a lockfile.
#[test]
fn a_second_pass_leaves_no_trace() {
    let host = Host::new();
    let registry = RegistryServer::start(Mode::Plain).unwrap();
    host.write("to-publish/rules.yaml", &rules(1));
    for tag in ["1.0.0", "1"] {
        let reference = format!("{}/acme/rules:{tag}", registry.host());
        let push = ["artifact", "push", &reference, "to-publish/rules.yaml", "--type", "rulesfile", "--plain-http"];
        let _pushed = host.falconer(push.into_iter().chain(["--version", "1.0.0"])).ended_with(0);
    }
    let wish =
        falconer_tests::host::fleet_yaml("1").replace("oci:artifacts", &format!("{}/acme/rules", registry.host()));
    let tip = host.commit(&[("fleet.yaml", &format!("{wish}  - file: rules/own.yaml\n")), ("rules/own.yaml", &own(1))]);
    host.git(&["clone", "-q", "--bare", "fleet", "srv/fleet.git"]);
    host.git(&["init", "-q", "--bare", "srv/reports.git"]);
    host.git(&["-C", "srv/reports.git", "config", "http.receivepack", "true"]);
    Fixture::create(&host.path("srv/fleet.git")).unwrap().crowd(&tip, 300).unwrap();
    let server = GitServer::start(&host.path("srv")).unwrap();

    let webserver = "webserver: {enabled: true, prometheus_metrics_enabled: true}\nmetrics: {enabled: true}\n";
    host.write("etc/stock.yaml", "- list: stock\n  items: []\n");
    let stock = host.path("etc/stock.yaml");
    host.write("etc/falco.yaml", &format!("rules_files: [{}]\n{webserver}", stock.display()));
    let mut falco = FalcoStandIn::start(&host.path("etc/falco.yaml"), &[]).unwrap();
    falco.wait_ready().unwrap();
    let toml = falconer_tests::host::agent_toml(&server.url("fleet.git"));
    let toml =
        toml.replace("\"no-falco\"", &format!("{:?}\nhttp = \"http://127.0.0.1:{}\"", binary().unwrap(), falco.port()));
    let toml = format!(
        "{toml}settle = \"100ms\"\n[registries.\"{}\"]\nplain_http = true\n[report]\nurl = \"{}\"\n",
        registry.host(),
        server.url("reports.git")
    );
    host.write("agent.toml", &toml);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let status = falconer_tests::host::run(&mut once(&host)).ended_with(0).json();
    assert_eq!((status["condition"].as_str(), status["evidence"].as_str()), (Some("InSync"), Some("sha256")));
    assert_live(&host, 1);
    // The first pass of a host ends with a report on itself, the second one may add that it was pushed.
    converges(&host, 1);

    // From here on somebody else listens in the registry's place, and counts.
    let port = registry.host().rsplit(':').next().unwrap().parse::<u16>().unwrap();
    drop(registry);
    let visitors = TcpListener::bind(("127.0.0.1", port)).unwrap();
    visitors.set_nonblocking(true).unwrap();
    let _earlier = server.exchanges();
    let before = [traces(&host.path("state")), traces(&host.path("etc"))];
    let run = if trace::is_permitted() {
        let (run, calls) = trace::record(&once(&host), &format!("{CHANGES},{SIGNALS}"), true);
        let (root, lock) = (host.path(""), host.path("state/lock"));
        let is_lock = |line: &str| line.contains("\"lock\"") || line.contains(lock.to_str().unwrap());
        // When the last pass was stands in memory only.
        let runtime = host.path("run");
        let harmless = ["fsync", "fdatasync", "flock"];
        let writes: Vec<_> = (calls.iter())
            .filter(|call| call.changes(&root) && !call.changes(&runtime))
            .filter(|call| !harmless.contains(&call.name.as_str()) && !is_lock(&call.line))
            .collect();
        assert!(writes.is_empty(), "{writes:#?}");
        assert!(calls.iter().any(|call| call.name == "flock" && is_lock(&call.line)), "strace saw the lock");
        let signals: Vec<_> = calls.iter().filter(|call| SIGNALS.split(',').any(|name| name == call.name)).collect();
        assert!(signals.is_empty(), "{signals:#?}");
        run
    } else {
        say("without strace: inodes and times are compared, signals are not looked for");
        falconer_tests::host::run(&mut once(&host))
    };
    let status = run.ended_with(0).json();
    assert_eq!(status["condition"], "InSync", "{status:#}");
    assert_eq!(status["changes"].as_array().unwrap().len() + status["drift"].as_array().unwrap().len(), 0);
    assert!([traces(&host.path("state")), traces(&host.path("etc"))] == before, "something was written");
    assert_eq!(visitors.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "the registry was asked");
    let exchanges = server.exchanges();
    let bytes: u64 = exchanges.iter().map(|exchange| exchange.sent + exchange.received).sum();
    say(&format!("nothing new: {} requests to Git, {bytes} bytes", exchanges.len()));
    assert!(exchanges.len() <= 2 && bytes < 2048, "{bytes} bytes: {exchanges:#?}");
}
