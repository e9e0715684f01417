//! A host that trusts no authority, as a bare container: what needs no TLS works, and what does says what is missing.

use falconer_tests::git_server::GitServer;
use falconer_tests::git_server::fixture::Fixture;
use falconer_tests::host::{Host, Run, agent_toml, run};
use serde_json::json;

fn without_roots(host: &Host, argument: &str) -> Run {
    let nothing = host.path("no-roots");
    let mut command = host.command();
    command.env("SSL_CERT_DIR", &nothing).env("SSL_CERT_FILE", nothing.join("none.pem"));
    run(command.args([argument, "--output", "json"]))
}

#[test]
fn a_host_that_speaks_no_tls_needs_no_roots() {
    let host = Host::adopted();
    for argument in ["once", "status"] {
        let status = without_roots(&host, argument).ended_with(0).json();
        assert_eq!(status["condition"], "InSync", "{argument}: {status:#}");
    }
}

#[test]
fn tls_without_roots_is_refused_and_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let repository = Fixture::create(&directory.path().join("fleet.git")).unwrap();
    let _commit = repository.commit_file("main", "fleet.yaml", b"version: 1\n").unwrap();
    let server = GitServer::start_tls(directory.path()).unwrap();
    let host = Host::new();
    host.write("agent.toml", &agent_toml(&server.url("fleet.git")));
    let status = without_roots(&host, "once").ended_with(1).json();
    let message = status["error"]["message"].as_str().unwrap();
    assert!(message.contains("No CA certificates were loaded"), "{message}");
    assert_eq!(status["error"]["remedy"], json!("operator"), "{status:#}");
    assert!(server.exchanges().is_empty(), "nothing was asked of a server that nobody vouches for");
}
