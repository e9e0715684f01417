//! Questions to a program and to a running process.

use falconer::falco::{DryRun, FalcoError, NoAnswer, Presence, dry_run, loaded, loaded_versions, running, version};
use falconer_manifests::falco_config::with_include_replaced;

use super::*;

#[tokio::test]
async fn no_falco_is_a_normal_state() {
    let host = Host::new(true);
    let mut settings = settings(&host.config_file(), None);
    settings.binary = host.path("falco");
    assert_eq!(version(&settings).await.unwrap(), Presence::Absent);
    assert_eq!(running(&settings).unwrap(), None);
    assert!(matches!(loaded(&settings).await, Err(NoAnswer::NotConfigured)));
    assert!(matches!(dry_run(&settings, "", host.directory.path(), &[]).await, DryRun::CannotRun(_)));
}

#[tokio::test]
async fn the_release_of_the_program_and_of_the_process() {
    let host = Host::new(true);
    let (_stand_in, settings) = host.start(&[], &[]);
    let Presence::Present(versions) = version(&settings).await.unwrap() else { panic!("absent") };
    assert_eq!((versions.falco.to_string().as_str(), versions.engine.unwrap().minor), ("0.44.1", 62));
    assert_eq!(loaded_versions(&settings).await.unwrap().falco.to_string(), "0.44.1");

    let mut other = settings.clone();
    other.config_file = host.path("gone.yaml");
    assert!(matches!(version(&other).await, Ok(Presence::Present(_))), "a missing falco.yaml hides the release");
    other.binary = "/bin/true".into();
    assert!(matches!(version(&other).await, Err(FalcoError::NoVersion { .. })));
}

#[tokio::test]
async fn the_right_one_of_two_processes_is_found() {
    let (one, two) = (Host::new(true), Host::new(true));
    let (first, first_settings) = one.start(&[], &[]);
    let (second, second_settings) = two.start(&[], &["-o", "priority=debug"]);
    assert_eq!(found(&first_settings, &first).pid, first.pid());
    let falco = found(&second_settings, &second);
    assert!(falco.arguments.ends_with(&["-o".into(), "priority=debug".into()]), "{:?}", falco.arguments);
    assert!(falco.catches_sighup);
}

/// A process that ends with the test.
struct Ends(std::process::Child);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_script_is_found_and_a_process_for_one_answer_is_not() {
    let host = Host::new(true);
    let mut settings = settings(&host.config_file(), None);
    settings.binary = host.path("falco");
    std::fs::write(&settings.binary, "read line\n").unwrap();
    let start = |arguments: &[&str]| {
        let mut command = std::process::Command::new("/bin/sh");
        Ends(command.arg(&settings.binary).args(arguments).stdin(std::process::Stdio::piped()).spawn().unwrap())
    };
    let asked = start(&["--dry-run", "-c", host.config_file().to_str().unwrap()]);
    // A process has its arguments a moment after it was started.
    let give_up = std::time::Instant::now() + SOON;
    let arguments = format!("/proc/{}/cmdline", asked.0.id());
    while !std::fs::read_to_string(&arguments).unwrap().contains("--dry-run") {
        assert!(std::time::Instant::now() < give_up);
    }
    assert_eq!(running(&settings).unwrap(), None);
    let _other = start(&["-c", "/some/other/falco.yaml"]);
    let script = start(&["-c", host.config_file().to_str().unwrap(), "-o", "x=1"]);
    let falco = loop {
        assert!(std::time::Instant::now() < give_up);
        if let Some(falco) = running(&settings).unwrap() {
            break falco;
        }
    };
    assert_eq!(falco.pid, script.0.id());
    assert!(falco.arguments.ends_with(&["-o".into(), "x=1".into()]), "{:?}", falco.arguments);
}

#[tokio::test]
async fn a_dry_run_that_does_not_end_is_ended() {
    let host = Host::new(true);
    let mut settings = settings(&host.config_file(), None);
    settings.deadlines.dry_run = Duration::from_millis(300);
    let scratch = host.path("scratch");
    std::fs::create_dir(&scratch).unwrap();
    let live = std::fs::read_to_string(host.config_file()).unwrap();
    let slow = [Fault::SlowDryRun(Duration::from_secs(600)).argument()];
    let DryRun::CannotRun(why) = dry_run(&settings, &live, &scratch, &slow).await else { panic!("an answer") };
    assert!(why.starts_with("no answer within"), "{why}");
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_loaded_and_why_it_is_not_known() {
    let host = Host::new(true);
    let expected = host.write("a", "10-a.yaml");
    let (stand_in, settings) = host.start(&[], &[]);
    let known = loaded(&settings).await.unwrap();
    assert_eq!(known.rules_digests("10-a.yaml"), [expected.rules_files["10-a.yaml"].clone()]);
    assert_eq!(known.config_digests("falconer.yaml").len(), 1);
    assert!(known.reload_timestamp.is_some() && known.start_timestamp < known.reload_timestamp);
    drop(stand_in);
    assert!(matches!(loaded(&settings).await, Err(NoAnswer::Unreachable(_))));

    let host = Host::new(false);
    let (_stand_in, settings) = host.start(&[], &[]);
    assert!(matches!(loaded(&settings).await, Err(NoAnswer::Off { page: "metrics" })));
}

#[tokio::test]
async fn a_candidate_is_tried_beside_what_is_live() {
    let host = Host::new(true);
    let settings = settings(&host.config_file(), None);
    let live = std::fs::read_to_string(host.config_file()).unwrap();
    let (current, next) = (host.name("falconer.yaml"), host.name("next/falconer.yaml"));
    let candidate = with_include_replaced(&live, &current, &next, None).unwrap();
    std::fs::create_dir(host.path("next")).unwrap();
    let rules = host.path("next/10-a.yaml");
    std::fs::write(host.path("next/falconer.yaml"), format!("rules_files: [{}]\n", rules.display())).unwrap();
    let scratch = host.path("scratch");
    std::fs::create_dir(&scratch).unwrap();

    std::fs::write(&rules, "- rule: A\n  desc: d\n  condition: c\n").unwrap();
    let DryRun::Rejected(said) = dry_run(&settings, &candidate, &scratch, &[]).await else { panic!("accepted") };
    assert_eq!(
        said.findings[0].to_string(),
        format!("{}:1:3: Item has no mapping for key 'output' (LOAD_ERR_YAML_VALIDATE)", rules.display())
    );
    std::fs::write(&rules, "- list: l\n  items: []\n").unwrap();
    let carried = ["-c".into(), "/gone.yaml".into(), "-o".into(), "priority=debug".into()];
    assert_eq!(dry_run(&settings, &candidate, &scratch, &carried).await, DryRun::Accepted);
    assert_eq!(dry_run(&settings, &live, &scratch, &[]).await, DryRun::Accepted);

    // The unit's own options count, and an error in falco.yaml is shown under its own name.
    let carried = ["--no-such-option".to_owned()];
    let DryRun::Rejected(said) = dry_run(&settings, &candidate, &scratch, &carried).await else { panic!("accepted") };
    assert_eq!(said.tail, "Error: Option '--no-such-option' does not exist");
    let DryRun::Rejected(said) = dry_run(&settings, "a: [\n", &scratch, &[]).await else { panic!("accepted") };
    assert_eq!(said.findings[0].file, host.config_file().display().to_string());
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
}
