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

    // A falco.yaml that is not there does not hide the release of a program that answers without one.
    let mut other = settings.clone();
    other.binary = "/bin/true".into();
    assert!(matches!(version(&other).await, Err(FalcoError::NoVersion { .. })));
}

#[tokio::test]
async fn the_right_one_of_two_processes_is_found_and_dry_runs_are_not() {
    let (one, two) = (Host::new(true), Host::new(true));
    let (first, first_settings) = one.start(&[], &[]);
    let (second, second_settings) = two.start(&[], &["-o", "priority=debug"]);
    assert_eq!(found(&first_settings, &first).pid, first.pid());
    let falco = found(&second_settings, &second);
    assert!(falco.arguments.ends_with(&["-o".into(), "priority=debug".into()]), "{:?}", falco.arguments);
    assert!(falco.catches_sighup);
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
