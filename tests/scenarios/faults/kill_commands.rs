//! kill -9 in commands other than a plain pass, and in a pass that edits falco.yaml.

use falconer_tests::host::run;

use super::kill::{Killed, kill_at_every_call};
use super::*;

/// As a command line, answered in JSON.
fn command(host: &Host, arguments: &[&str]) -> Command {
    let mut command = host.command();
    command.args(arguments).args(["--output", "json"]);
    command
}

/// The rules of the artifact that are live.
fn live(host: &Host) -> String {
    Live::on(host).map(|live| live.rules("acme-rules.yaml")).unwrap_or_default()
}

/// The names in the directory of falco.yaml.
fn beside_falco_yaml(host: &Host) -> Vec<String> {
    let names = std::fs::read_dir(host.path("etc")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The generation that falco.yaml names, which must be whole.
fn named(host: &Host) -> Result<u64, String> {
    let text = host.read("etc/falco.yaml");
    let mut numbers = text.split("/generations/").skip(1).map(|rest| rest.split('/').next().unwrap_or_default());
    let first = numbers.next().unwrap_or_default();
    let is_one = numbers.all(|number| number == first);
    let is_whole = host.path(format!("state/generations/{first}/MANIFEST")).exists();
    first.parse().ok().filter(|_| is_one && is_whole).ok_or(text)
}

/// The generation that is live: a number whose directory was begun is not used again.
fn number(host: &Host) -> Result<u64, String> {
    let target = Live::on(host).map(|live| live.target).unwrap_or_default();
    let number = target.file_name().and_then(|name| name.to_str()?.parse().ok());
    number.ok_or_else(|| target.display().to_string())
}

#[test]
fn an_update_in_edit_mode_is_killed() {
    let host = super::crash::stories::named_by_falco_yaml();
    assert_eq!(named(&host), Ok(1));
    let settles = || {
        // A Falco that starts now finds what it is told to load.
        if let Err(text) = named(&host) {
            return Some(format!("falco.yaml names what is not whole: {text}"));
        }
        let after = run(&mut once(&host));
        let is_well = after.code == Some(0) && live(&host) == rules(2) && named(&host) == number(&host);
        (!is_well || beside_falco_yaml(&host) != ["falco.yaml"]).then(|| format!("{after:?}"))
    };
    let command = once(&host);
    kill_at_every_call(&Killed {
        name: "update falco.yaml",
        host: &host,
        command: &command,
        code: 0,
        settles: &settles,
    });
}

/// The wish is kept or it is not; in the second case it can be uttered again.
#[test]
fn a_rollback_by_hand_is_killed() {
    let host = installed();
    commit(&host, 2);
    converges(&host, 2);
    let rollback = command(&host, &["rollback"]);
    let settles = || {
        let mut after = run(&mut once(&host));
        if after.code == Some(0) && live(&host) == rules(2) {
            after = run(&mut command(&host, &["rollback"])).ended_with(0);
            assert_eq!(after.json()["condition"], "RolledBack");
            after = run(&mut once(&host));
        }
        let is_well = after.code == Some(1) && after.json()["condition"] == "RolledBack" && live(&host) == rules(1);
        (!is_well).then(|| format!("{after:?}"))
    };
    kill_at_every_call(&Killed {
        name: "rollback by hand",
        host: &host,
        command: &rollback,
        code: 0,
        settles: &settles,
    });
}

/// What was begun is taken up again, and nothing half-made stays beside falco.yaml.
#[test]
fn an_ejection_is_killed() {
    let host = installed();
    let eject = command(&host, &["eject"]);
    let settles = || {
        let after = run(&mut command(&host, &["eject"]));
        let is_out = !host.read("etc/falco.yaml").contains("/state/")
            && host.read("etc/falconer-ejected/rules/10-acme-rules.yaml") == rules(1)
            && beside_falco_yaml(&host) == ["falco.yaml", "falconer-ejected"];
        let refused = run(&mut once(&host));
        (after.code != Some(0) || !is_out || !refused.stderr.contains("ejected"))
            .then(|| format!("{:?} {after:?} {refused:?}", beside_falco_yaml(&host)))
    };
    kill_at_every_call(&Killed { name: "eject", host: &host, command: &eject, code: 0, settles: &settles });
}

/// The host is suspended or it is not; either way it can be resumed, and goes on.
#[test]
fn a_suspension_is_killed() {
    let host = installed();
    commit(&host, 2);
    let suspend = command(&host, &["suspend", "--reason", "audit"]);
    let settles = || {
        let after = run(&mut once(&host));
        let is_either = match after.code {
            Some(0) => live(&host) == rules(2),
            Some(2) => live(&host) == rules(1) && after.stdout.contains("audit"),
            _ => false,
        };
        let resumed = run(&mut command(&host, &["resume"]));
        let last = run(&mut once(&host));
        let goes_on = resumed.code == Some(0) && last.code == Some(0) && live(&host) == rules(2);
        (!is_either || !goes_on).then(|| format!("{after:?} {resumed:?} {last:?}"))
    };
    kill_at_every_call(&Killed { name: "suspend", host: &host, command: &suspend, code: 0, settles: &settles });
}
