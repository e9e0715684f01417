//! A daemon whose Git server does not answer: what is live is kept up.

use super::*;

#[test]
fn drift_is_healed_while_git_is_away_and_a_pass_that_hangs_ends_the_process() {
    let host = Host::adopted();
    let server = GitServer::start(&host.path("")).unwrap();
    let toml = falconer_tests::host::agent_toml(&server.url("fleet/.git"));
    host.write("agent.toml", &format!("{toml}[schedule]\nevery = \"1h\"\n"));
    let mut daemon = Daemon::start(&host, "daemon");
    daemon.wait_for(SOON, |daemon| daemon.rests() == 1);
    let tamper = |daemon: &mut Daemon| {
        std::fs::write(host.live("acme-rules.yaml"), "- list: evil\n  items: []\n").unwrap();
        daemon.wait_for(SOON, |_| live(&host).as_deref() == Some(RULES));
    };

    // It refuses: the host says so, and goes on saying so after a look at the host alone.
    let _until_now = server.exchanges();
    server.set_fault(Fault::Status(503, String::new()));
    let failed = host.falconer(["sync", "--wait", "--output", "json"]).ended_with(1).json();
    assert_eq!(failed["condition"], "Failed");
    let asked = server.exchanges().len();
    tamper(&mut daemon);
    daemon.wait_for(SOON, |daemon| daemon.rests() == 3);
    let status = host.status().ended_with(1).json();
    assert_eq!(status["error"]["message"], failed["error"]["message"]);
    assert_eq!((asked > 0, server.exchanges().len()), (true, 0), "whoever only looks at the host asks nobody");

    // It takes the question and never answers: the host is looked at before the answer comes.
    server.set_fault(Fault::Stall);
    let _asked = host.falconer(["sync"]).ended_with(0);
    daemon.wait_for(SOON, |daemon| daemon.log().matches("somebody asks for a pass").count() == 2);
    tamper(&mut daemon);

    server.set_fault(Fault::None);
    assert_eq!(daemon.stop(STOP).code(), Some(0));
    host.write("agent.toml", &format!("{toml}[schedule]\nevery = \"1h\"\ndeadline = \"500ms\"\n"));
    server.set_fault(Fault::Stall);
    let stuck = Daemon::start(&host, "stuck");
    assert_eq!(stuck.wait_ended(SOON).code(), Some(1));
    assert!(host.read("stuck.log").contains("has not ended within its deadline"));
    server.set_fault(Fault::None);
    let _status = host.once().ended_with(0);
}
