//! Logins from docker's config, credential helpers, the environment and systemd, by the real program.

use std::os::unix::fs::PermissionsExt;

use falconer_tests::host::run;
use falconer_tests::registry_server::{Mode, PASSWORD, RegistryServer, USER};

use super::*;

/// A docker-credential-test that knows the registry's login, and says of everything else that it has none.
pub(super) fn helper(host: &Host, server: &str, username: &str, secret: &str) -> String {
    let script = format!(
        "#!/bin/sh\nread -r server\necho \"$1 $server\" >> '{log}'\nif [ \"$1 $server\" = 'get {server}' ]; then\n\
         echo '{{\"ServerURL\":\"{server}\",\"Username\":\"{username}\",\"Secret\":\"{secret}\"}}'\nelse\n\
         echo 'credentials not found in native keychain'; exit 1\nfi\n",
        log = host.path("helper.log").display()
    );
    host.write("bin/docker-credential-test", &script);
    let path = host.path("bin/docker-credential-test");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    format!("{}:{}", host.path("bin").display(), std::env::var("PATH").unwrap())
}

struct Setting {
    server: RegistryServer,
    host: Host,
}

impl Setting {
    fn new(tables: &str) -> Self {
        let server = RegistryServer::start(Mode::Htpasswd).unwrap();
        let registry = format!("[registries.\"{}\"]\nplain_http = true\n{tables}", server.host());
        Self { host: host_with(&registry), server }
    }

    fn push(&self, variables: &[(&str, &str)]) -> Run {
        let reference = format!("{}/acme/rules:1.0.0", self.server.host());
        let mut command = self.host.command();
        let done = run(command.args(push(&reference)).envs(variables.iter().copied()).env("FALCONER_LOG", "trace"));
        assert!(!done.stderr.contains(PASSWORD) && !done.stdout.contains(PASSWORD), "{done:?}");
        done
    }
}

#[test]
fn docker_s_config() {
    let setting = Setting::new("");
    let server = setting.server.host();
    let refused = setting.push(&[]).ended_with(1);
    assert!(refused.stderr.contains("the registry asks for credentials"), "{}", refused.stderr);

    let login = serde_json::json!({"auths": {(server.as_str()): {"username": USER, "password": PASSWORD}}}).to_string();
    setting.host.write(".docker/config.json", &login);
    let _at_home = setting.push(&[]).ended_with(0);
    let nowhere = setting.host.path("nowhere").display().to_string();
    let _elsewhere = setting.push(&[("DOCKER_CONFIG", &nowhere)]).ended_with(1);
    setting.host.write("login.json", &login);
    let path = setting.host.path("login.json").display().to_string();
    let _as_with_falcoctl =
        setting.push(&[("DOCKER_CONFIG", &nowhere), ("FALCOCTL_REGISTRY_CREDS_CONFIG", &path)]).ended_with(0);
    assert_eq!(setting.host.read(".docker/config.json"), login);
}

#[test]
fn credential_helpers() {
    let setting = Setting::new("");
    let server = setting.server.host();
    let path = helper(&setting.host, &server, USER, PASSWORD);
    for config in [
        serde_json::json!({"credHelpers": {(server.as_str()): "test"}}),
        serde_json::json!({"credsStore": "test", "auths": {(server.as_str()): {}}}),
        serde_json::json!({"credsStore": "test"}),
    ] {
        setting.host.write(".docker/config.json", &config.to_string());
        let _pushed = setting.push(&[("PATH", &path)]).ended_with(0);
        assert_eq!(setting.host.read("helper.log"), format!("get {server}\n"), "once for all requests");
        setting.host.write("helper.log", "");
    }

    // Neither a helper that is missing nor one that fails is passed over, and what it says is not repeated.
    let missing = setting.push(&[]).ended_with(1);
    assert!(missing.stderr.contains("cannot run the credential helper docker-credential-test"), "{}", missing.stderr);
    setting
        .host
        .write("bin/docker-credential-test", &format!("#!/bin/sh\necho {PASSWORD}; echo {PASSWORD} >&2; exit 1\n"));
    let failing = setting.push(&[("PATH", &path)]).ended_with(1);
    assert!(failing.stderr.contains("docker-credential-test failed"), "{}", failing.stderr);
}

#[test]
fn the_environment() {
    let setting = Setting::new("credentials = {username = \"nobody\", password_file = \"agent.toml\"}\n");
    let server = setting.server.host();
    let good = format!("other.example,u,p;{server}/acme/rules,{USER},{PASSWORD}");
    let bad = format!("{server},{USER},wrong");
    let _refused = setting.push(&[]).ended_with(1);
    let _as_with_falcoctl = setting.push(&[("FALCOCTL_REGISTRY_AUTH_BASIC", &good)]).ended_with(0);
    let both = [("FALCOCTL_REGISTRY_AUTH_BASIC", bad.as_str()), ("FALCONER_REGISTRY_AUTH_BASIC", good.as_str())];
    let _ours_win = setting.push(&both).ended_with(0);
    let swapped = [("FALCOCTL_REGISTRY_AUTH_BASIC", good.as_str()), ("FALCONER_REGISTRY_AUTH_BASIC", bad.as_str())];
    let refused = setting.push(&swapped).ended_with(1);
    assert!(refused.stderr.contains("the registry refuses our credentials"), "{}", refused.stderr);

    let malformed = setting.push(&[("FALCOCTL_REGISTRY_AUTH_BASIC", &format!("{server},{PASSWORD}"))]).ended_with(1);
    let said = "FALCOCTL_REGISTRY_AUTH_BASIC does not have three fields";
    assert!(malformed.stderr.contains(said), "{}", malformed.stderr);
}

#[test]
fn a_credential_of_systemd_s() {
    let setting =
        Setting::new(&format!("credentials = {{username = \"{USER}\", password_file = \"credential:registry\"}}\n"));
    setting.host.write("run/credentials/registry", &format!("{PASSWORD}\n"));
    let directory = setting.host.path("run/credentials").display().to_string();
    let _pushed = setting.push(&[("CREDENTIALS_DIRECTORY", &directory)]).ended_with(0);
    let refused = setting.push(&[]).ended_with(1);
    assert!(refused.stderr.contains("LoadCredential="), "{}", refused.stderr);
}
