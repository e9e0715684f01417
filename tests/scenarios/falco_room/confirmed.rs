//! Reloads and what is known of them afterwards.

use falconer::falco::{FalcoError, NotConfirmed, confirm, reload};
use falconer_manifests::outcome::Evidence;

use super::*;

/// Changes the rules, reloads and confirms.
async fn change(
    host: &Host,
    stand_in: &FalcoStandIn,
    settings: &FalcoSettings,
    rules: &str,
    deadline: Duration,
) -> Result<falconer::falco::Confirmation, NotConfirmed> {
    let expected = host.write_rules(rules, "10-a.yaml");
    let reloading = reload(settings, &found(settings, stand_in)).await.unwrap();
    confirm(settings, reloading, &expected, SETTLE, deadline, &tokio::sync::Notify::new()).await
}

const GOOD: &str = "- list: l\n  items: [1]\n";

#[tokio::test]
async fn metrics_prove_every_file() {
    let host = Host::new(true);
    let (stand_in, settings) = host.start(&[], &[]);
    let confirmed = change(&host, &stand_in, &settings, GOOD, SOON).await.unwrap();
    assert_eq!(confirmed.evidence, Evidence::Sha256);
    assert_eq!(stand_in.output().matches("SIGHUP received").count(), 1);

    // The same files again: only the time of the reload can tell.
    let confirmed = change(&host, &stand_in, &settings, GOOD, SOON).await.unwrap();
    assert_eq!(confirmed.evidence, Evidence::Sha256);
    assert_eq!(stand_in.output().matches("SIGHUP received").count(), 2);
}

#[tokio::test]
async fn releases_name_their_metrics_otherwise() {
    for release in ["--stand-in-version=0.38.0", "--stand-in-version=0.40.0"] {
        let host = Host::new(true);
        let text = std::fs::read_to_string(host.config_file()).unwrap();
        let old = text.replace("  - path: ", "  - ").replace("    strategy: override\n", "");
        std::fs::write(host.config_file(), old).unwrap();
        let (stand_in, settings) = host.start(&[], &[release]);
        let confirmed = change(&host, &stand_in, &settings, GOOD, SOON).await.unwrap();
        assert_eq!(confirmed.evidence, Evidence::Sha256, "{release}");
    }
}

#[tokio::test]
async fn without_metrics_the_restart_is_seen() {
    let host = Host::new(false);
    let (stand_in, settings) = host.start(&[], &[]);
    let confirmed = change(&host, &stand_in, &settings, GOOD, SOON).await.unwrap();
    assert_eq!(confirmed.evidence, Evidence::Restarted, "{}", confirmed.reason);
}

#[tokio::test]
async fn a_refused_reload_is_not_confirmed() {
    let host = Host::new(true);
    let (stand_in, settings) = host.start(&[], &[]);
    let refused = change(&host, &stand_in, &settings, "- rule: [\n", Duration::from_secs(1)).await.unwrap_err();
    let NotConfirmed::NotLoaded { missing, observed, .. } = &refused else { panic!("{refused}") };
    assert_eq!(missing, &["10-a.yaml"]);
    assert_eq!(observed.rules_digests("10-a.yaml").len(), 1);
    assert!(stand_in.output().contains("hot restart failure: "));
    assert!(stand_in.page("/healthz").is_ok());

    let host = Host::new(false);
    let (stand_in, settings) = host.start(&[], &[]);
    let confirmed = change(&host, &stand_in, &settings, "- rule: [\n", Duration::from_secs(1)).await.unwrap();
    assert_eq!(confirmed.evidence, Evidence::None, "{}", confirmed.reason);
}

#[tokio::test]
async fn a_signal_that_does_nothing_is_not_confirmed() {
    for (fault, extra) in [(vec![Fault::IgnoreSighup], vec![]), (vec![], vec!["-o", "watch_config_files=false"])] {
        let host = Host::new(true);
        let (stand_in, settings) = host.start(&fault, &extra);
        let unconfirmed = change(&host, &stand_in, &settings, GOOD, Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(unconfirmed.to_string(), "Falco has not loaded 10-a.yaml");
    }
    // Where the right files are loaded already, it is the time of the reload that does not move.
    let host = Host::new(true);
    host.write_rules(GOOD, "10-a.yaml");
    let (stand_in, settings) = host.start(&[Fault::IgnoreSighup], &[]);
    let unconfirmed = change(&host, &stand_in, &settings, GOOD, Duration::from_secs(1)).await.unwrap_err();
    assert!(unconfirmed.to_string().ends_with("was asked to reload and did not"), "{unconfirmed}");
}

#[tokio::test]
async fn an_include_that_falco_does_not_have_is_missed() {
    let host = Host::new(true);
    let (stand_in, settings) = host.start(&[], &[]);
    let mut expected = host.write_rules(GOOD, "10-a.yaml");
    expected.config_files.insert("falconer.yaml".into(), Digest::of(b"another"));
    let reloading = reload(&settings, &found(&settings, &stand_in)).await.unwrap();
    let unconfirmed =
        confirm(&settings, reloading, &expected, SETTLE, Duration::from_secs(2), &tokio::sync::Notify::new())
            .await
            .unwrap_err();
    assert_eq!(unconfirmed.to_string(), "Falco has not loaded falconer.yaml");
}

#[tokio::test]
async fn a_death_in_or_after_the_reload_is_noticed() {
    for fault in [Fault::DieAtReload, Fault::CrashAfterReload(Duration::from_millis(50))] {
        for metrics in [true, false] {
            let host = Host::new(metrics);
            let (stand_in, settings) = host.start(&[fault], &[]);
            let died = change(&host, &stand_in, &settings, GOOD, SOON).await.unwrap_err();
            assert!(matches!(died, NotConfirmed::Died { pid } if pid == stand_in.pid()), "{fault:?} {died}");
        }
    }
}

#[tokio::test]
async fn a_second_reload_waits_until_it_cannot_kill() {
    let host = Host::new(true);
    let (mut stand_in, settings) = host.start(&[Fault::SlowReload(Duration::from_secs(1))], &[]);
    let falco = found(&settings, &stand_in);
    let _first = reload(&settings, &falco).await.unwrap();
    stand_in.wait_for(SOON, |stand_in| !found(&settings, stand_in).catches_sighup).unwrap();
    let expected = host.write_rules(GOOD, "10-a.yaml");
    let second = reload(&settings, &falco).await.unwrap();
    let confirmed = confirm(&settings, second, &expected, SETTLE, SOON, &tokio::sync::Notify::new()).await.unwrap();
    assert_eq!(confirmed.evidence, Evidence::Sha256);
    assert_eq!(stand_in.output().matches("SIGHUP received").count(), 2);

    // With less patience there is no signal at all.
    let mut hasty = settings.clone();
    hasty.deadlines.safe = Duration::from_millis(100);
    let _third = reload(&settings, &falco).await.unwrap();
    stand_in.wait_for(SOON, |stand_in| !found(&settings, stand_in).catches_sighup).unwrap();
    assert!(matches!(reload(&hasty, &falco).await, Err(FalcoError::NotSafe { .. })));
    stand_in.wait_ready().unwrap();
}

#[tokio::test]
async fn a_process_that_ended_is_not_signalled() {
    let host = Host::new(true);
    let (stand_in, settings) = host.start(&[], &[]);
    let falco = found(&settings, &stand_in);
    drop(stand_in);
    assert!(matches!(reload(&settings, &falco).await, Err(FalcoError::Gone { .. })));
    let (stand_in, settings) = host.start(&[], &[]);
    let mut other = found(&settings, &stand_in);
    other.start_time_ticks -= 1;
    assert!(matches!(reload(&settings, &other).await, Err(FalcoError::Gone { .. })));
    assert!(!stand_in.output().contains("SIGHUP received"));
}
