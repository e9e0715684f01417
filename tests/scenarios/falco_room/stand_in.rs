//! The stand-in itself behaves as the real program was measured to.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;

use falconer_manifests::falco_answers::catches_sighup;
use rustix::process::{Pid, Signal, kill_process};

use super::*;

fn send(stand_in: &FalcoStandIn, signal: Signal) {
    kill_process(Pid::from_raw(stand_in.pid().cast_signed()).unwrap(), signal).unwrap();
}

fn is_unsafe(stand_in: &FalcoStandIn) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stand_in.pid())).unwrap();
    catches_sighup(&status) == Some(false)
}

#[test]
fn sighup_kills_before_the_start_and_in_the_window_of_a_reload() {
    let host = Host::new(true);
    let mut stand_in = FalcoStandIn::start(&host.config_file(), &[]).unwrap();
    assert!(is_unsafe(&stand_in));
    send(&stand_in, Signal::HUP);
    assert_eq!(stand_in.wait_ended(SOON).unwrap().signal(), Some(1));

    let (mut stand_in, _settings) = host.start(&[], &[]);
    send(&stand_in, Signal::HUP);
    stand_in.wait_for(SOON, is_unsafe).unwrap();
    assert!(stand_in.page("/healthz").is_err(), "the web server is down in the window");
    send(&stand_in, Signal::HUP);
    assert_eq!(stand_in.wait_ended(SOON).unwrap().signal(), Some(1));
}

#[test]
fn signals_close_together_make_one_reload_in_the_same_process() {
    let host = Host::new(true);
    let (mut stand_in, settings) = host.start(&[], &[]);
    let before = found(&settings, &stand_in);
    for _ in 0..3 {
        send(&stand_in, Signal::HUP);
    }
    stand_in.wait_for(SOON, |stand_in| stand_in.output().matches("Falco version").count() == 2).unwrap();
    stand_in.wait_ready().unwrap();
    let after = found(&settings, &stand_in);
    assert_eq!((before.start_time_ticks, before.arguments), (after.start_time_ticks, after.arguments));
    assert_eq!(stand_in.output().matches("SIGHUP received").count(), 1);
    send(&stand_in, Signal::TERM);
    assert_eq!(stand_in.wait_ended(SOON).unwrap().code(), Some(0));
}

#[test]
fn a_start_that_fails_says_why() {
    let host = Host::new(true);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(binary().unwrap());
        let ended = command.args(["-c", host.config_file().to_str().unwrap()]).args(arguments).output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    };
    assert_eq!(run(&["--dry-run"]), (Some(0), String::new()));
    assert_eq!(run(&["-r", "/gone.yaml"]), (Some(1), "Error: Could not open file /gone.yaml for reading\n".into()));
    assert_eq!(run(&["--version", "--nonsense"]).0, Some(1));

    let (stand_in, _settings) = host.start(&[], &[]);
    let port = format!("webserver.listen_port={}", stand_in.port());
    let (code, said) = run(&["-o", &port]);
    assert_eq!(code, Some(1));
    assert!(said.ends_with("Error: Runtime error: an error occurred while starting webserver. Exiting.\n"), "{said}");

    host.write_rules("- rule: [\n", "10-a.yaml");
    assert!(run(&["--dry-run"]).1.contains("LOAD_ERR_YAML_PARSE"));
    std::fs::write(host.path("falconer.yaml"), "rules_files: [\n").unwrap();
    let (code, said) = run(&["--dry-run"]);
    assert_eq!(code, Some(1));
    assert!(said.starts_with("Cannot read config file (") && said.ends_with("Error: std::exception\n"), "{said}");
}

/// Puts a file in the place of another, as a careful writer does.
fn rename_over(host: &Host, name: &str, text: &str) {
    std::fs::write(host.path("new"), text).unwrap();
    std::fs::rename(host.path("new"), host.path(name)).unwrap();
}

fn reloads(stand_in: &FalcoStandIn) -> usize {
    stand_in.output().matches("SIGHUP received").count()
}

#[test]
fn a_watch_is_lost_with_the_file_that_a_failed_reload_was_about() {
    let host = Host::new(true);
    let (mut stand_in, _settings) = host.start(&[Fault::WatchFiles], &[]);
    rename_over(&host, "10-a.yaml", "- list: l\n  items: [1]\n");
    stand_in.wait_for(SOON, |stand_in| reloads(stand_in) == 1).unwrap();
    stand_in.wait_ready().unwrap();
    rename_over(&host, "10-a.yaml", "- rule: [\n");
    stand_in.wait_for(SOON, |stand_in| stand_in.output().contains("hot restart failure")).unwrap();
    rename_over(&host, "10-a.yaml", "- list: l\n  items: [2]\n");
    let unseen = stand_in.wait_for(Duration::from_millis(500), |stand_in| reloads(stand_in) > 1);
    assert!(unseen.is_err(), "{}", stand_in.output());
    send(&stand_in, Signal::HUP);
    stand_in.wait_for(SOON, |stand_in| reloads(stand_in) == 2).unwrap();
}

#[test]
fn a_file_that_comes_while_falco_reloads_is_not_loaded() {
    let host = Host::new(true);
    let (mut stand_in, _settings) = host.start(&[Fault::WatchFiles, Fault::SlowReload(Duration::from_secs(1))], &[]);
    let loads = |stand_in: &FalcoStandIn, text: &str| {
        let metrics = stand_in.page("/metrics").unwrap_or_default();
        metrics.contains(Digest::of(text.as_bytes()).hex())
    };
    let (early, late) = ("- list: l\n  items: [1]\n", "- list: l\n  items: [2]\n");
    rename_over(&host, "10-a.yaml", early);
    stand_in.wait_for(SOON, |stand_in| stand_in.output().matches("Falco version").count() == 2).unwrap();
    rename_over(&host, "10-a.yaml", late);
    stand_in.wait_ready().unwrap();
    assert!(loads(&stand_in, early), "its rules were read before");
    send(&stand_in, Signal::HUP);
    stand_in.wait_for(SOON, |stand_in| loads(stand_in, late)).unwrap();
}

#[test]
fn a_library_at_the_same_path_is_as_new_as_its_runtime_lets_it_be() {
    let host = Host::new(true);
    let plugin = |name: &str| format!("  - {{name: {name}, library_path: {}}}\n", host.path(name).display());
    let text = std::fs::read_to_string(host.config_file()).unwrap();
    std::fs::write(host.config_file(), format!("plugins:\n{}{}{text}", plugin("c"), plugin("go"))).unwrap();
    rename_over(&host, "c", "version: 1.0.0\n");
    rename_over(&host, "go", "version: 1.0.0\nruntime: go\n");
    let (mut stand_in, _settings) = host.start(&[], &[]);
    let versions = |stand_in: &FalcoStandIn| {
        let said: serde_json::Value = serde_json::from_str(&stand_in.page("/versions").unwrap()).unwrap();
        said["plugin_versions"].clone()
    };
    assert_eq!(versions(&stand_in), json!({"c": "1.0.0", "go": "1.0.0"}));
    rename_over(&host, "c", "version: 2.0.0\n");
    rename_over(&host, "go", "version: 2.0.0\nruntime: go\n");
    send(&stand_in, Signal::HUP);
    stand_in.wait_for(SOON, |stand_in| reloads(stand_in) == 1).unwrap();
    stand_in.wait_ready().unwrap();
    assert_eq!(versions(&stand_in), json!({"c": "2.0.0", "go": "1.0.0"}));

    // Rules that need another version are refused beside the running engine; garbage at the same path is not, and kills.
    let needs = "- required_plugin_versions:\n  - {name: c, version: 9.0.0}\n";
    rename_over(&host, "10-a.yaml", needs);
    send(&stand_in, Signal::HUP);
    let refused = "Plugin 'c' version '2.0.0' is not compatible with required plugin version '9.0.0'";
    stand_in.wait_for(SOON, |stand_in| stand_in.output().contains(refused)).unwrap();
    rename_over(&host, "10-a.yaml", "");
    rename_over(&host, "c", "garbage");
    send(&stand_in, Signal::HUP);
    assert_eq!(stand_in.wait_ended(SOON).unwrap().code(), Some(1));
    assert!(stand_in.output().contains("cannot load plugin"), "{}", stand_in.output());
}
