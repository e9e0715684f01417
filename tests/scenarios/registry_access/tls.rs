//! A registry with an authority of its own, and one that wants to see a certificate of ours, by the real program.

use falconer_tests::registry_server::{Mode, RegistryServer};

use super::*;

fn host_for(server: &RegistryServer, keys: &str) -> Host {
    let host = host_with(&format!("[registries.\"{}\"]\n{keys}", server.host()));
    host.write("ca.pem", server.authority().unwrap());
    let (certificate, key) = server.client().unwrap_or_default();
    host.write("client.pem", &certificate);
    host.write("client.key", &key);
    host
}

fn push_to(host: &Host, server: &RegistryServer) -> Run {
    host.falconer(push(&format!("{}/acme/rules:1.0.0", server.host())))
}

#[test]
fn an_authority_of_its_own() {
    let server = RegistryServer::start(Mode::Tls).unwrap();
    let host = host_for(&server, "ca_file = \"ca.pem\"\n");
    let _pushed = push_to(&host, &server).ended_with(0);
    host.commit(&[("fleet.yaml", &fleet(&format!("{}/acme/rules:1.0.0", server.host())))]);
    let host = adopted(host);
    let _live = host.falconer(["once"]).ended_with(0);
    assert_eq!(std::fs::read_to_string(host.live("rules.yaml")).unwrap(), host.read("rules.yaml"));

    let stranger = host_for(&server, "");
    let refused = push_to(&stranger, &server).ended_with(1);
    let hint = format!("with ca_file of {} in agent.toml", server.host());
    assert!(refused.stderr.contains(&hint), "{}", refused.stderr);
    // The authority vouches for its own host only.
    let other = RegistryServer::start(Mode::Tls).unwrap();
    let _refused = push_to(&host, &other).ended_with(1);
}

#[test]
fn a_certificate_of_ours() {
    let server = RegistryServer::start(Mode::MutualTls).unwrap();
    let keys = "ca_file = \"ca.pem\"\nclient_certificate_file = \"client.pem\"\nclient_key_file = \"client.key\"\n";
    let host = host_for(&server, keys);
    let _pushed = push_to(&host, &server).ended_with(0);

    let nameless = host_for(&server, "ca_file = \"ca.pem\"\n");
    let refused = push_to(&nameless, &server).ended_with(1);
    assert!(refused.stderr.contains("client_certificate_file"), "{}", refused.stderr);

    host.write("client.key", &RegistryServer::start(Mode::MutualTls).unwrap().client().unwrap().1);
    let refused = push_to(&host, &server).ended_with(1);
    assert!(refused.stderr.contains("`client.key` is not the key of the certificate"), "{}", refused.stderr);
}
