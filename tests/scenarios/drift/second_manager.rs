//! A falcoctl on the same host that writes what Falco loads.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use super::*;

/// A process with the command line of a follower, which waits for ever; killed when this is dropped.
struct Follower(Child);

impl Follower {
    fn start(host: &Host, arguments: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        // The shell reads its commands from a pipe on which none ever come.
        shell.arg0("/usr/bin/falcoctl").args(["-s", "artifact", "follow"]).args(arguments);
        Self(shell.current_dir(host.path("")).stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A host that keeps a rules file of its own in `own`.
fn with_own_rules() -> Host {
    let host = Host::adopted();
    host.write("own/rules.yaml", RULES);
    host.configure("falcoctl_config = \"falcoctl.yaml\"\n");
    let fleet = format!("{}  - host: {}\n", fleet_yaml("1.0.0"), host.path("own/rules.yaml").display());
    let _commit = host.commit(&[("fleet.yaml", &fleet)]);
    let _placed = host.once().ended_with(0);
    host
}

fn notes(answer: &Value) -> Vec<(&str, &str)> {
    let text = |note: &'_ Value, key: &str| note[key].as_str().map(str::to_string).unwrap();
    // What nobody could check without a Falco is told of too.
    let notes = answer["notes"].as_array().unwrap().iter().filter(|note| note["kind"] != "unchecked");
    let of_managers = notes.clone().all(|note| note["kind"] == "second-manager" && !text(note, "hint").is_empty());
    assert!(of_managers, "{answer:#}");
    notes.map(|note| (note["message"].as_str().unwrap(), note["hint"].as_str().unwrap())).collect()
}

#[test]
fn a_follower_that_runs_is_named_while_it_does() {
    let host = with_own_rules();
    let elsewhere = Follower::start(&host, &["--rulesfiles-dir=elsewhere"]);
    std::fs::create_dir(host.path("elsewhere")).unwrap();
    assert_eq!(notes(&host.once().ended_with(0).json()), [], "it writes nothing that matters here");
    drop(elsewhere);

    host.write("follower.yaml", "artifact:\n  follow:\n    rulesFilesDir: own\n");
    for arguments in [&["--rulesfiles-dir", "own"][..], &["--plugins-dir=own"], &["--config=follower.yaml"]] {
        let follower = Follower::start(&host, arguments);
        for ask in [Host::status as fn(&Host) -> _, Host::plan, Host::once] {
            let answer = ask(&host).ended_with(0).json();
            let [(message, hint)] = notes(&answer)[..] else { panic!("{arguments:?}: {answer:#}") };
            assert!(message.contains(&format!("(process {})", follower.0.id())), "{message}");
            assert!(message.ends_with(&format!("writes into {}", host.path("own").display())), "{message}");
            assert!(hint.contains("systemctl mask --now falcoctl-artifact-follow"), "{hint}");
        }
        let before = host.snapshot("state");
        let text = host.falconer(["status"]).ended_with(0).stdout;
        assert!(text.contains("note        `falcoctl artifact follow`"), "{text}");
        let _again = host.once().ended_with(0);
        assert_eq!(before.differences(&host.snapshot("state")), Vec::<&Path>::new());
    }
    assert_eq!(notes(&host.once().ended_with(0).json()), [], "it has ended");
}

#[test]
fn a_configuration_that_names_a_directory_of_ours() {
    let host = with_own_rules();
    let own = host.path("own");
    host.write("falcoctl.yaml", "artifact:\n  follow:\n    refs: [falco-rules:5]\n");
    assert_eq!(notes(&host.once().ended_with(0).json()), [], "it names no directory");
    host.write("falcoctl.yaml", &format!("artifact:\n  install:\n    rulesfilesDir: {}\n", own.display()));
    let answer = host.once().ended_with(0).json();
    let [(message, hint)] = notes(&answer)[..] else { panic!("{answer:#}") };
    assert!(message.contains("falcoctl.yaml tells falcoctl to write into") && message.contains("own"), "{message}");
    assert!(hint.contains("take that directory out"), "{hint}");
}
