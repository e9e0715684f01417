//! `falconer collect`: a fleet by its reports.

use super::*;

/// Puts a report of a host into the repository, sent `age` seconds ago.
fn put(host: &Host, reports: &Fixture, name: &str, change: &dyn Fn(&mut HostLock), age: u64) {
    let mut lock = host.host_lock();
    lock.host = falconer_manifests::name::HostName::parse(name).unwrap();
    let sent = falconer::daemon::now() - age;
    lock.chain =
        Some(Chain { number: 1, previous: None, instance: "a".to_string(), sent, heartbeat: 86_400, displaced: None });
    change(&mut lock);
    let blob = reports.git_with(&["hash-object", "-w", "--stdin"], lock.render().unwrap().as_bytes()).unwrap();
    let tree = reports.git_with(&["mktree"], format!("100644 blob {blob}\thost.lock\n").as_bytes()).unwrap();
    let text = format!("tree {tree}\nauthor a <a@b> {sent} +0000\ncommitter a <a@b> {sent} +0000\n\nx\n");
    let commit = reports.git_with(&["hash-object", "-t", "commit", "-w", "--stdin"], text.as_bytes()).unwrap();
    let reference = format!("refs/falconer/hosts/{}/{name}", &Digest::of(name.as_bytes()).hex()[..2]);
    reports.git(&["update-ref", &reference, &commit]).unwrap();
}

#[test]
fn a_fleet_is_shown_with_what_needs_a_look() {
    let (host, reports) = reporting("srv/reports.git", "");
    let _status = host.once().ended_with(0);
    let server = GitServer::start(&host.path("srv")).unwrap();
    let url = server.url("reports.git");
    let collect = |more: &[&str]| {
        let mut arguments = vec!["collect", &url];
        arguments.extend(more);
        host.falconer(arguments)
    };
    let answer = collect(&[]).ended_with(0).stdout;
    assert!(answer.contains("web-1") && answer.contains("InSync") && answer.contains("1 host, 0 need"), "{answer}");
    assert!(collect(&["--drifted"]).ended_with(0).stdout.contains("0 match"));
    let _asked = server.exchanges();

    let drift = falconer_manifests::drift::Drift {
        kind: falconer_manifests::drift::DriftKind::Modified,
        path: "/x".to_string(),
        expected: String::new(),
        observed: String::new(),
    };
    let drifted = |lock: &mut HostLock| {
        lock.condition = Condition::Drifted;
        lock.drift = vec![drift.clone(), drift.clone()];
    };
    put(&host, &reports, "web-2", &drifted, 0);
    put(&host, &reports, "web-3", &|_| {}, 50 * 3600);
    put(&host, &reports, "web-4", &|lock| lock.host = host.host_lock().host, 0);
    put(&host, &reports, "web-5", &|lock| lock.condition = Condition::Failed, 0);
    put(&host, &reports, "web-6", &|_| {}, 40 * 3600);
    let broken = reports.commit_file("main", "host.lock", b"condition = 1\n").unwrap();
    reports.git(&["update-ref", "refs/falconer/hosts/00/web-7", &broken]).unwrap();

    let answer = collect(&["--output", "json"]).ended_with(2).json();
    let exchanges = server.exchanges();
    assert!(exchanges.len() <= 3, "{exchanges:#?}");
    let rows = answer["hosts"].as_array().unwrap();
    let of = |name: &str| rows.iter().find(|row| row["host"] == name).unwrap();
    assert_eq!((rows.len(), &answer["wrong"]), (7, &json!(5)), "{answer:#}");
    assert_eq!((&of("web-2")["drift"], &of("web-2")["condition"]), (&json!(2), &json!("Drifted")));
    assert_eq!((&of("web-3")["overdue"], &of("web-6")["overdue"]), (&json!(true), &json!(false)));
    assert!(of("web-4")["problems"][0].as_str().unwrap().contains("is about web-1"), "{answer:#}");
    assert!(of("web-7")["problems"][0].as_str().unwrap().contains("cannot be read"), "{answer:#}");
    let names = |more: &[&str]| {
        let mut arguments = vec!["--output", "json"];
        arguments.extend(more);
        let answer = collect(&arguments).ended_with(2).json();
        let rows = answer["hosts"].as_array().unwrap();
        rows.iter().map(|row| row["host"].as_str().unwrap().to_string()).collect::<Vec<_>>().join(" ")
    };
    // What is wrong with a report itself is never filtered away.
    assert_eq!(names(&["--drifted"]), "web-2 web-4 web-7");
    assert_eq!(names(&["--older-than", "48h"]), "web-3 web-4 web-7");
    assert_eq!(names(&["--drifted", "--older-than", "39h"]), "web-2 web-3 web-4 web-6 web-7");
    let here = host.falconer(["collect", "srv/reports.git", &url]).ended_with(2).stdout;
    assert!(here.contains("14 hosts, 10 need a look"), "{here}");
    assert!(here.contains("2days 2h"), "{here}");
}

#[test]
fn nothing_to_collect_is_said_and_no_repository_is_an_error() {
    let (host, _reports) = reporting("srv/reports.git", "");
    let server = GitServer::start(&host.path("srv")).unwrap();
    for url in [server.url("reports.git"), "srv/reports.git".to_string()] {
        assert!(host.falconer(["collect", &url]).ended_with(0).stdout.contains("0 hosts"));
    }
    for url in [server.url("none.git"), "srv/none.git".to_string()] {
        let run = host.falconer(["collect", &url]).ended_with(1);
        assert!(run.stderr.contains("error:"), "{}", run.stderr);
    }
    let _usage = host.falconer(["collect"]).ended_with(64);
    server.demand(AUTHORIZATION);
    host.write("password", PASSWORD);
    let url = server.url("reports.git");
    let run = host.falconer(["collect", &url, "--username", "reporter", "--password-file", "password"]).ended_with(0);
    assert!(!run.stderr.contains(PASSWORD));
    assert!(host.falconer(["collect", &url]).ended_with(1).stderr.contains("401"));
}
