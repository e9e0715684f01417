//! falco.yaml with our keys in it, and what others do to it, to `current` and to Falco.

use std::time::{Duration, Instant};

use falconer_tests::falco_stand_in::Fault;

use super::*;

/// A host in edit mode on which the first generation is live and loaded.
fn in_sync() -> HostWithFalco {
    let host = edited("0.44.1");
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let status = host.once().ended_with(0).json();
    assert_eq!((condition(&status), &status["evidence"]), (("InSync", &json!(1)), &json!("sha256")));
    host
}

/// Commits the artifact's second version.
fn wish_for_two(host: &HostWithFalco) {
    host.publish(&format!("{RULES}# two\n"), "2.0.0");
    let _commit = host.commit(&[("fleet.yaml", &fleet_yaml("2.0.0"))]);
}

fn is_at_rest(host: &HostWithFalco, code: i32) {
    let (state, etc, asked) = (host.snapshot("state"), host.snapshot("etc"), host.sighups());
    let _nothing = host.once().ended_with(code);
    assert_eq!(state.differences(&host.snapshot("state")), Vec::<&Path>::new());
    assert_eq!((etc.differences(&host.snapshot("etc")), host.sighups()), (Vec::<&Path>::new(), asked));
}

#[test]
fn a_commit_is_not_blamed_for_what_the_owner_writes_meanwhile() {
    let host = in_sync();
    wish_for_two(&host);
    let falco_yaml = host.path("etc/falco.yaml");
    let owner = std::thread::spawn(move || {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = std::fs::read_to_string(&falco_yaml).unwrap();
            if text.contains("/generations/2/") {
                return std::fs::write(&falco_yaml, text + "\nlog_level: info\n").unwrap();
            }
            assert!(Instant::now() < deadline, "generation 2 never came");
            std::thread::yield_now();
        }
    });
    let status = host.once().ended_with(0).json();
    owner.join().unwrap();
    assert_eq!((condition(&status), &status["evidence"]), (("InSync", &json!(2)), &json!("sha256")));
    assert!(host.read("etc/falco.yaml").ends_with("\nlog_level: info\n"), "the owner's line stays");
    is_at_rest(&host, 0);
}

#[test]
fn falco_is_not_asked_when_somebody_moves_the_pointer() {
    let host = in_sync();
    let (asked, falco_yaml) = (host.sighups(), host.read("etc/falco.yaml"));
    std::fs::remove_file(host.path("state/current")).unwrap();
    let plan = host.plan().ended_with(2).json();
    let kinds: Vec<_> = plan["drift"].as_array().unwrap().iter().map(|drift| drift["kind"].clone()).collect();
    assert_eq!(kinds, ["missing"], "falco.yaml is as it must be: {plan:#}");
    let status = host.once().ended_with(0).json();
    assert_eq!((condition(&status), &status["evidence"]), (("InSync", &json!(1)), &json!("sha256")));
    assert_eq!((host.sighups(), host.read("etc/falco.yaml")), (asked, falco_yaml.clone()));
    // Nor does an adoption or an ejection go by it.
    std::fs::remove_file(host.path("state/current")).unwrap();
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    assert_eq!(host.read("etc/falco.yaml"), falco_yaml);
    let _ejected = host.falconer(["eject"]).ended_with(0);
    assert!(host.read("etc/falco.yaml").contains("/etc/falconer-ejected/rules/10-acme-rules.yaml"));
}

/// What cannot be edited: the plan says what the pass then says, and both tell where.
#[test]
fn a_falco_yaml_that_cannot_be_edited_is_said_the_same_way_before_and_after() {
    let mut host = in_sync();
    let good = host.read("etc/falco.yaml");
    let included = host.path("etc/more.yaml");
    let begins = "# >>> falconer: rules_files\n";
    let torn = [
        ("a block of falconer", good.replace("# <<< falconer: rules_files\n", "")),
        ("a block of falconer", good.replace(begins, "")),
        ("a block of falconer", good.replace(begins, &format!("{begins}{begins}"))),
        ("falco.yaml", format!("{good}\nrules_files: [/b]\n")),
        ("more.yaml", format!("{good}\nconfig_files: [{}]\n", included.display())),
    ];
    host.write("etc/more.yaml", "rules_files: [/somebody/elses.yaml]\n");
    host.stop_falco();
    for (words, text) in torn {
        host.write("etc/falco.yaml", &text);
        let plan = host.plan().ended_with(1).json();
        assert_eq!(plan["steps"], json!([]), "{text}\n{plan:#}");
        let status = host.once().ended_with(1).json();
        assert_eq!((condition(&status), &status["error"]), (("Failed", &json!(1)), &plan["error"]), "{text}");
        let message = plan["error"]["message"].as_str().unwrap_or_else(|| panic!("{text}\n{plan:#}"));
        assert!(message.contains(words), "{message}");
        assert!(!plan["error"]["hint"].as_str().unwrap().is_empty(), "{plan:#}");
        assert_eq!((plan["drift"][0]["kind"].clone(), host.read("etc/falco.yaml")), (json!("config"), text));
    }
    host.write("etc/falco.yaml", &good);
    assert_eq!(condition(&host.once().ended_with(0).json()), ("InSync", &json!(1)));
}

#[test]
fn a_falco_that_ignores_the_signal_keeps_what_it_has() {
    let mut host = in_sync();
    host.start_falco(&[Fault::IgnoreSighup]);
    let good = host.read("etc/falco.yaml");
    wish_for_two(&host);
    let status = host.once().ended_with(1).json();
    assert_eq!((condition(&status), &status["evidence"]), (("RolledBack", &json!(1)), &json!("sha256")), "{status:#}");
    assert!(status["reason"].as_str().unwrap().contains("has not loaded 10-acme-rules.yaml"), "{status:#}");
    assert_eq!((host.read("etc/falco.yaml"), host.sighups()), (good, 1), "it has the good one still");
    let _settles = host.once().ended_with(1);
    is_at_rest(&host, 1);

    // Healing is no fault of a commit: the good one is on disk, and Falco goes on with what it has read before.
    host.start_falco(&[Fault::IgnoreSighup]);
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    let status = host.once().ended_with(1).json();
    let reason = status["reason"].as_str().unwrap();
    assert!(reason.starts_with("falco_unhealthy: generation 3 is complete on disk"), "{reason}");
    assert!(reason.contains("has not loaded falco.yaml") && !reason.contains("the reload itself"), "{reason}");
    assert_eq!(status["next"]["who"], json!("operator"));
    let _settles = host.once().ended_with(1);
    is_at_rest(&host, 1);
    assert_eq!(host.sighups(), 1);
    host.start_falco(&[]);
    let status = host.once().ended_with(1).json();
    assert_eq!((condition(&status), &status["evidence"]), (("RolledBack", &json!(3)), &json!("sha256")), "{status:#}");
    assert!(!status["reason"].as_str().unwrap().contains("falco_unhealthy"), "{status:#}");
}
