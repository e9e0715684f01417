//! kill -9 while a generation that Falco does not take is rolled back.

use falconer_tests::falco_stand_in::{FalcoStandIn, Fault, binary};

use super::kill::{Story, kill_everywhere};
use super::*;

/// Falco hears SIGHUP and does nothing: version 2 is never confirmed, version 1 comes back, whenever we are killed.
#[test]
fn a_pass_that_rolls_back_is_killed() {
    let host = Host::new();
    commit(&host, 1);
    let webserver = "webserver: {enabled: true, prometheus_metrics_enabled: true}\nmetrics: {enabled: true}\n";
    host.write("etc/falco.yaml", &format!("rules_files: []\n{webserver}"));
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    converges(&host, 1);
    let mut falco = FalcoStandIn::start(&host.path("etc/falco.yaml"), &[Fault::IgnoreSighup]).unwrap();
    falco.wait_ready().unwrap();
    let http = format!("http = \"http://127.0.0.1:{}\"\nconfirm_within = \"300ms\"\nsettle = \"50ms\"", falco.port());
    let toml = falconer_tests::host::agent_toml("fleet");
    host.write("agent.toml", &toml.replace("\"no-falco\"", &format!("{:?}\n{http}", binary().unwrap())));
    converges(&host, 1);
    commit(&host, 2);
    kill_everywhere(&Story { name: "rollback", host: &host, code: 1, version: 1 });
    let status = falconer_tests::host::run(&mut once(&host)).ended_with(1).json();
    assert_eq!(status["condition"], "RolledBack", "{status:#}");
}
