//! Who starts Falco, where it is found, and as whom it is asked.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command};
use std::time::Instant;

use falconer::falco::{Account, Asked, DryRun, FalcoError, confirm, dry_run, restart, restarter, unit_arguments};
use falconer_manifests::observed::Restarter;
use falconer_manifests::outcome::Evidence;

use super::*;

fn script(host: &Host, name: &str, text: &str) -> PathBuf {
    let path = host.path(name);
    // Written by a program of its own: a file that this process has open for writing cannot be executed.
    let mut shell = Command::new("sh");
    let written = shell.args(["-c", "printf '%s' \"$1\" >\"$2\" && chmod 755 \"$2\"", "sh", text]).arg(&path).status();
    assert!(written.unwrap().success());
    path
}

/// What systemd's own program does for a unit: it shows its command, and starts it anew.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$*" in
"show --property=ExecStart --value -- falco-custom.service")
    echo '{ path=/usr/bin/falco ; argv[]=/usr/bin/falco -o priority=debug -U ; ignore_errors=no ; pid=0 }' ;;
"restart -- falco-custom.service")
    pid=$(cat pid) && cp "/proc/$pid/cmdline" cmdline && kill "$pid" || exit 1
    while grep -q '^State:.[RSD]' "/proc/$pid/status" 2>/dev/null; do sleep 0.01; done
    xargs -0 sh -c '"$@" >>log 2>&1 & echo $! >pid' sh <cmdline ;;
*) echo "Unit $4 not found." >&2; exit 5 ;;
esac
"#;

/// Kills what a script has started.
struct Started(PathBuf);

impl Drop for Started {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(&self.0).unwrap();
        let _gone = Command::new("kill").args(["-KILL", pid.trim()]).status();
    }
}

#[tokio::test]
async fn systemd_restarts_the_unit_and_tells_how_it_would_start() {
    let host = Host::new(true);
    let (stand_in, mut settings) = host.start(&[], &[]);
    settings.supervision.systemctl = script(&host, "systemctl", SYSTEMCTL);
    assert_eq!(unit_arguments(&settings).await, None, "no unit is known");
    let before = found(&settings, &stand_in);
    assert_eq!(restarter(&settings, &before), None, "a process of no unit");
    settings.supervision.unit = Some("falco-custom.service".into());
    assert_eq!(unit_arguments(&settings).await.unwrap(), ["-o", "priority=debug", "-U"]);
    let by = restarter(&settings, &before).unwrap();
    assert_eq!(by, Restarter::Unit("falco-custom.service".into()));

    std::fs::write(host.path("pid"), stand_in.pid().to_string()).unwrap();
    let started = Started(host.path("pid"));
    let expected = host.write_rules("- list: l\n  items: [2]\n", "10-a.yaml");
    let restarted = restart(&settings, &by, &before).await.unwrap();
    assert_eq!(restarted.asked, Asked::Restart);
    assert_ne!(restarted.falco.pid, before.pid);
    let confirmed = confirm(&settings, restarted, &expected, SETTLE, SOON, &tokio::sync::Notify::new()).await.unwrap();
    assert_eq!(confirmed.evidence, Evidence::Sha256, "{}", confirmed.reason);

    // What systemd refuses leaves the process alone.
    let now = running(&settings).unwrap().unwrap();
    let refused = restart(&settings, &Restarter::Unit("other.service".into()), &now).await.unwrap_err();
    assert_eq!(refused.to_string(), "Falco is not restarted by other.service: Unit  not found.");
    assert_eq!(running(&settings).unwrap().unwrap().pid, now.pid);

    // A command that does nothing is found out, and one that only ends Falco too.
    settings.deadlines.back = Duration::from_millis(200);
    let command = |words: &[&str]| Restarter::Command(words.iter().map(ToString::to_string).collect());
    let nothing = restart(&settings, &command(&["true"]), &now).await.unwrap_err();
    assert!(matches!(nothing, FalcoError::Restart { said, .. } if said == "the same process still runs"));
    let ended = restart(&settings, &command(&["kill", "{pid}"]), &now).await.unwrap_err();
    assert!(matches!(ended, FalcoError::NotBack { pid, .. } if pid == now.pid), "{ended}");
    settings.supervision.may_restart = false;
    assert_eq!(restarter(&settings, &before), None);
    drop(started);
}

#[test]
fn a_pid_file_names_falco_and_nothing_else() {
    let host = Host::new(true);
    let (stand_in, mut settings) = host.start(&[], &[]);
    settings.supervision.pid_file = Some(host.path("falco.pid"));
    assert_eq!(running(&settings).unwrap(), None, "there is no such file");
    std::fs::write(host.path("falco.pid"), format!("{}\n", stand_in.pid())).unwrap();
    assert!(found(&settings, &stand_in).catches_sighup);
    // Its file and its falco.yaml may be out of our sight: the name of its program is enough.
    settings.binary = Path::new("/elsewhere").join(settings.binary.file_name().unwrap());
    settings.config_file = "/elsewhere/falco.yaml".into();
    assert_eq!(found(&settings, &stand_in).pid, stand_in.pid());
    std::fs::write(host.path("falco.pid"), std::process::id().to_string()).unwrap();
    assert_eq!(running(&settings).unwrap(), None, "the number belongs to another program now");
    std::fs::write(host.path("falco.pid"), "no number").unwrap();
    assert_eq!(running(&settings).unwrap(), None);
}

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// As in a pod with a shared process namespace: Falco sees its configuration under a name that is another one here.
#[test]
fn a_falco_with_another_root_is_told_by_what_it_reads() {
    let alone = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c"]).args(arguments);
        command
    };
    if !alone(&["true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("this system lets nobody make a mount namespace; nothing was tried");
        return;
    }
    let (host, other) = (Host::new(true), Host::new(true));
    let run = "mount --bind \"$1\" /mnt && exec \"$2\" -o webserver.enabled=false -c /mnt/falco.yaml";
    let start = |host: &Host| {
        let mut command = alone(&[run, "sh"]);
        Ends(command.arg(host.directory.path()).arg(binary().unwrap()).spawn().unwrap())
    };
    let (_theirs, ours) = (start(&other), start(&host));
    let settings = settings(&host.config_file(), None);
    let give_up = Instant::now() + SOON;
    let falco = loop {
        assert!(Instant::now() < give_up, "not found");
        if let Some(falco) = running(&settings).unwrap() {
            break falco;
        }
    };
    assert_eq!(falco.pid, ours.0.id());
}

/// A Falco that finds fault with the rules and says who it is.
const SAYS_WHO: &str = "#!/bin/sh\nprintf 'In rules content: (a:0:0)\\n------\\nLOAD_ERR_VALIDATE (x): user %s\\n' \"$(id -u)\" >&2\nexit 1\n";
/// A Falco that needs more rights than nobody has.
const NEEDS_RIGHTS: &str = "#!/bin/sh\n[ \"$(id -u)\" = 0 ] && exit 0\necho 'Error: Permission denied' >&2\nexit 1\n";

#[tokio::test]
async fn root_has_a_candidate_tried_by_somebody_without_rights() {
    let host = Host::new(true);
    let mode = |mode| std::fs::set_permissions(host.directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    let mut settings = settings(&host.config_file(), None);
    settings.validate_as = Account::named("12345:12345");
    settings.binary = script(&host, "falco", SAYS_WHO);
    std::fs::set_permissions(host.config_file(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let us = rustix::process::geteuid().as_raw();
    let user = async |settings: &FalcoSettings| match dry_run(settings, "a: 1\n", host.directory.path(), &[]).await {
        DryRun::Rejected(said) => said.findings[0].message.clone(),
        other => panic!("{other:?}"),
    };
    mode(0o755);
    assert_eq!(user(&settings).await, format!("user {}", if us == 0 { 12345 } else { us }));
    mode(0o700);
    assert_eq!(user(&settings).await, format!("user {us}"), "nobody could read it");
    mode(0o755);
    if us == 0 {
        settings.binary = script(&host, "falco", NEEDS_RIGHTS);
        assert_eq!(dry_run(&settings, "a: 1\n", host.directory.path(), &[]).await, DryRun::Accepted);
    }
    settings.validate_as = None;
    settings.binary = script(&host, "falco", SAYS_WHO);
    assert_eq!(user(&settings).await, format!("user {us}"));
    let left = std::fs::read_dir(host.directory.path()).unwrap();
    assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().starts_with("falconer-dry-run")));
}
