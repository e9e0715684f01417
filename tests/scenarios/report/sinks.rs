//! The other places: a branch that hosts share, a resource by HTTP, and one of several repositories.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use falconer_manifests::name::HostName;
use falconer_tests::scripted_registry::{Reply, ScriptedRegistry, Seen};

use super::*;

#[test]
fn hosts_share_a_branch_and_none_is_lost() {
    const HOSTS: usize = 6;
    let (first, reports) = reporting("to be known", "");
    let server = GitServer::start(&first.path("srv")).unwrap();
    let hosts: Vec<_> = (1..HOSTS).map(|_| Host::adopted()).chain([first]).collect();
    for (number, host) in hosts.iter().enumerate() {
        let report = format!("[report]\nurl = \"{}\"\nsink = \"git-branch\"\n", server.url("reports.git"));
        host.write(
            "agent.toml",
            &format!("{}{report}", agent_toml("fleet").replace("web-1", &format!("web-{number}"))),
        );
    }
    let runs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = hosts.iter().map(|host| scope.spawn(|| host.once())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // Who lost eight times in a row says so, and is there after its next pass.
    for (host, run) in hosts.iter().zip(runs) {
        let run = run.ended_with(0);
        assert!(run.stderr.is_empty() || run.stderr.contains("changed by others"), "{}", run.stderr);
        let _again = host.once().ended_with(0);
    }
    let files = reports.git(&["ls-tree", "-r", "--name-only", "main"]).unwrap();
    assert_eq!(files.lines().count(), HOSTS, "{files}");
    for (number, host) in hosts.iter().enumerate() {
        let text = reports.git(&["show", &format!("main:hosts/web-{number}.lock")]).unwrap();
        assert_eq!(chained(&text).0, host.host_lock());
    }
    let count = || reports.git(&["rev-list", "--count", "main"]).unwrap();
    assert_eq!(count(), HOSTS.to_string());
    reports.git(&["fsck", "--strict"]).unwrap();
    let _unchanged = hosts[0].once().ended_with(0);
    assert_eq!(count(), HOSTS.to_string());
    // A stranger in our file.
    reports.commit_file("main", "hosts/web-0.lock", b"x").unwrap();
    std::fs::write(hosts[0].live("acme-rules.yaml"), "").unwrap();
    assert!(hosts[0].once().stderr.contains("another host reports under this host's name"));
}

#[test]
fn a_branch_in_a_directory_keeps_the_files_of_others() {
    let (host, reports) = reporting("srv/reports.git", "sink = \"git-branch\"\nbranch = \"hosts/prod\"\n");
    reports.commit_file("hosts/prod", "README", b"reports\n").unwrap();
    let _status = host.once().ended_with(0);
    assert_eq!(reports.git(&["ls-tree", "-r", "--name-only", "hosts/prod"]).unwrap(), "README\nhosts/web-1.lock");
    assert_eq!(reports.git(&["rev-list", "--count", "hosts/prod"]).unwrap(), "2");
}

/// What was put there, by path, with its version.
pub(super) type Kept = BTreeMap<String, (u32, Vec<u8>)>;

/// A server that keeps what is put there.
pub(super) fn store() -> (ScriptedRegistry, Arc<Mutex<Kept>>) {
    let kept = Arc::new(Mutex::new(Kept::new()));
    let shared = Arc::clone(&kept);
    let server = ScriptedRegistry::start(move |seen: &Seen| {
        let mut kept = shared.lock().unwrap();
        if seen.header("authorization") != Some(&format!("Bearer {PASSWORD}")) {
            return Reply::new(401, "");
        }
        let version = kept.get(&seen.target).map(|(version, _)| *version);
        let tag = |version: u32| format!("\"v{version}\"");
        match seen.method.as_str() {
            "PUT" => {
                let met = match (seen.header("if-match"), seen.header("if-none-match")) {
                    (Some(wanted), _) => version.map(tag).as_deref() == Some(wanted),
                    (None, Some("*")) => version.is_none(),
                    _ => false,
                };
                if !met {
                    return Reply::new(412, "");
                }
                let next = version.unwrap_or_default() + 1;
                kept.insert(seen.target.clone(), (next, seen.body.clone()));
                Reply::new(201, "").header("ETag", &tag(next))
            }
            _ => match kept.get(&seen.target) {
                Some((version, body)) => Reply::new(200, body.clone()).header("ETag", &tag(*version)),
                None => Reply::new(404, ""),
            },
        }
    });
    (server.unwrap(), kept)
}

#[test]
fn a_resource_is_put_with_its_entity_tag_and_a_stranger_is_seen() {
    let (host, _) = reporting("unused", "");
    let (server, kept) = store();
    let report = format!("[report]\nurl = \"http://{}/hosts/{{host}}\"\nsink = \"http\"\n", server.host());
    host.configure(&format!("{report}[report.credentials]\ntoken_file = \"password\"\n"));
    host.write("password", "wrong\n");
    is_not_reported(&host, "401");
    host.write("password", &format!("{PASSWORD}\n"));
    assert_eq!(once_aloud(&host).ended_with(0).code, Some(0));
    let text = |kept: &Kept| String::from_utf8(kept["/hosts/web-1"].1.clone()).unwrap();
    let (lock, chain) = chained(&text(&kept.lock().unwrap()));
    assert_eq!((lock, chain.number), (host.host_lock(), 1));
    let _unchanged = host.once().ended_with(0);
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    assert_eq!(host.once().ended_with(0).stderr, "");
    assert_eq!(kept.lock().unwrap()["/hosts/web-1"].0, 2);

    kept.lock().unwrap().insert("/hosts/web-1".to_string(), (9, b"somebody".to_vec()));
    std::fs::write(host.live("acme-rules.yaml"), "").unwrap();
    assert!(host.once().stderr.contains("another host reports under this host's name"));
    assert_eq!(kept.lock().unwrap()["/hosts/web-1"].0, 10);
}

#[test]
fn only_an_answer_that_says_so_is_success() {
    let (host, _) = reporting("unused", "");
    for (reply, words) in [
        (Reply::new(202, ""), "202"),
        (Reply::redirect("https://elsewhere.example/"), "307"),
        (Reply::new(429, "").header("Retry-After", "1"), "429"),
        (Reply::hangup(), "127.0.0.1"),
    ] {
        let server = ScriptedRegistry::start(move |_: &Seen| reply.clone()).unwrap();
        host.configure(&format!("[report]\nurl = \"http://{}/{{host}}\"\nsink = \"http\"\n", server.host()));
        is_not_reported(&host, words);
    }
}

#[test]
fn a_shard_follows_from_the_name() {
    let (host, _) = reporting("srv/reports-{shard}.git", "shards = 4\n");
    let name = HostName::parse("web-1").unwrap();
    let repository = falconer_manifests::report::url("srv/reports-{shard}.git", &name, 4);
    let reports = Fixture::create(&host.path(repository)).unwrap();
    let _status = host.once().ended_with(0);
    assert_eq!(reported(&reports).1, host.host_lock());
}

#[test]
fn settings_that_do_not_fit_are_refused() {
    let (host, _) = reporting("unused", "");
    for (table, words) in [
        ("url = \"r\"\nshards = 4\n", "report.shards"),
        ("url = \"r\"\npushes_per_minute = 4\n", "needs fleet_size"),
        ("url = \"r\"\nfleet_size = 0\n", "budget of nothing"),
        ("url = \"r\"\nbranch = \"x\"\n", "for another sink"),
        ("url = \"https://r.example/\"\nsink = \"http\"\n", "the same for all hosts"),
        ("url = \"http://r.example/{host}\"\nsink = \"http\"\n", "no https URL"),
        ("url = \"r\"\nsink = \"ftp\"\n", "unknown variant"),
        ("url = \"r\"\nheartbeat = \"1ms\"\n", "shorter than a second"),
    ] {
        host.configure(&format!("[report]\n{table}"));
        let run = host.once().ended_with(1);
        assert!(run.stderr.contains(words), "{words}: {}", run.stderr);
    }
}
