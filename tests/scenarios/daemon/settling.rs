//! Somebody changes what is live while Falco settles with it.

use falconer_tests::host::HostWithFalco;

use super::*;

#[test]
fn what_is_changed_while_falco_settles_is_healed_at_once_and_the_commit_is_not_blamed() {
    let mut host = HostWithFalco::in_sync(true, &[]);
    let agent = host.read("agent.toml").replace("settle = \"100ms\"", "settle = \"2s\"");
    host.write("agent.toml", &format!("{agent}[schedule]\nevery = \"1h\"\n"));
    let rules = format!("{RULES}# 1.1.0\n");
    host.publish(&rules, "1.1.0");
    let commit = host.commit(&[("fleet.yaml", &fleet_yaml("1.1.0"))]);
    let loads = |host: &mut HostWithFalco| host.falco().output().matches("Starting health webserver").count();
    let before = loads(&mut host);
    let mut daemon = Daemon::start(&host, "daemon");
    for (round, evil) in ["- list: evil\n  items: []\n", ""].into_iter().enumerate() {
        // Falco has loaded it, so whatever happens now happens while it settles.
        let give_up = std::time::Instant::now() + SOON;
        while loads(&mut host) == before + round {
            assert!(std::time::Instant::now() < give_up, "{}", daemon.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(live(&host).as_deref(), Some(&*rules));
        let generation = std::fs::read_link(host.path("state/current")).unwrap();
        std::fs::write(host.live("acme-rules.yaml"), evil).unwrap();
        daemon.wait_for(SOON, |_| std::fs::read_link(host.path("state/current")).is_ok_and(|now| now != generation));
        assert_eq!(live(&host).as_deref(), Some(&*rules), "{}", daemon.log());
        if round == 0 {
            assert_eq!(daemon.passes(), 0, "{}", daemon.log());
        }
    }
    daemon.wait_for(SOON, |daemon| daemon.log().contains("condition=\"InSync\"") && daemon.rests() == 1);
    let status = host.status().ended_with(0).json();
    assert_eq!((&status["revision"], &status["evidence"]), (&json!(commit), &json!("sha256")), "{status:#}");
    assert_eq!(host.sighups(), 3 + 1, "{}", daemon.log());
    assert_eq!(daemon.stop(STOP).code(), Some(0));
}
