//! Secrets are in no output, at any level of the log, and in no file that falconer writes.

use std::path::Path;

use falconer_tests::host::run;

use super::*;

/// A registry that takes what `fleet` with the secret gets from its token server, and that puts what it was shown into
/// everything that it can say.
fn parrot() -> ScriptedRegistry {
    ScriptedRegistry::start(|seen| {
        let shown = seen.authorization.clone().unwrap_or_default();
        let form = String::from_utf8_lossy(&seen.body).into_owned();
        let realm = format!("Bearer realm=\"http://{}/token?echo={SECRET}\"", seen.host);
        match seen.target.starts_with("/token") || seen.target.starts_with("/oauth2") {
            true => Reply::ok("application/json", format!(r#"{{"access_token":"{SECRET}-token","expires_in":300}}"#)),
            false if shown.is_empty() => Reply::challenge(&realm),
            false => Reply::new(403, format!(r#"{{"errors":[{{"code":"DENIED","message":"{shown} {form}"}}]}}"#))
                .header("X-Echo", &shown),
        }
    })
    .unwrap()
}

/// A name, tables of agent.toml, docker's config, and variables of the environment.
type Case = (&'static str, String, String, Vec<(&'static str, String)>);

/// The files below `directory` that hold the secret.
fn holding(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains(SECRET) {
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn secrets_stay_where_they_are() {
    let registry = parrot();
    let server = registry.host();
    let login = |keys: &str| format!("[registries.\"{server}\"]\nplain_http = true\n{keys}\n");
    let docker = |entry: serde_json::Value| serde_json::json!({"auths": {(server.as_str()): entry}}).to_string();
    let oauth = format!("{server},id,{SECRET},http://{server}/oauth2");
    let cases: [Case; 7] = [
        ("password", login("credentials = {username = \"fleet\", password_file = \"secret\"}"), String::new(), vec![]),
        ("token", login("credentials = {token_file = \"secret\"}"), String::new(), vec![]),
        (
            "client",
            login(&format!(
                "credentials.oauth2 = {{token_url = \"http://{server}/oauth2\", client_id = \"id\", client_secret_file = \"secret\"}}"
            )),
            String::new(),
            vec![],
        ),
        ("docker", login(""), docker(serde_json::json!({"username": "fleet", "password": SECRET})), vec![]),
        ("identity", login(""), docker(serde_json::json!({"identitytoken": SECRET})), vec![]),
        ("basic", login(""), String::new(), vec![("FALCOCTL_REGISTRY_AUTH_BASIC", format!("{server},fleet,{SECRET}"))]),
        ("oauth", login(""), String::new(), vec![("FALCONER_REGISTRY_AUTH_OAUTH", oauth)]),
    ];
    for (name, tables, config, variables) in cases {
        let host = host_with(&tables);
        host.write("secret", SECRET);
        if !config.is_empty() {
            host.write(".docker/config.json", &config);
        }
        host.commit(&[("fleet.yaml", &fleet(&format!("{server}/acme/rules:1.0.0")))]);
        let before = holding(&host.path("."));
        let reference = format!("{server}/acme/rules:1.0.0");
        let shown = registry.seen().len();
        for arguments in
            [&push(&reference)[..], &["lock", "fleet"], &["once"], &["plan"], &["status"], &["status", "-o", "json"]]
        {
            for format in ["text", "json"] {
                let mut command = host.command();
                command.args(arguments).args(["--log", "trace", "--log-format", format]).envs(variables.clone());
                let done = run(&mut command);
                let said = format!("{}{}", done.stdout, done.stderr);
                assert!(!said.contains(SECRET), "{name}: {arguments:?}\n{said}");
                assert!(!said.contains("Y2FuYXJ5"), "{name}: in base64: {arguments:?}\n{said}");
            }
        }
        assert_eq!(holding(&host.path(".")), before, "{name}");
        let seen = registry.seen().split_off(shown);
        assert!(seen.iter().any(|seen| seen.authorization.is_some()), "{name}: nothing was shown");
    }
}

/// Whatever the registry of one host says, its credentials reach no other host.
#[tokio::test]
async fn credentials_of_one_host_never_reach_another() {
    let thief = ScriptedRegistry::start(|_| Reply::ok("application/json", r#"{"token":"t"}"#)).unwrap();
    let there = format!("http://{}/", thief.host());
    let lures = [
        Reply::redirect(&there),
        Reply::challenge(&format!("Bearer realm=\"{there}token\"")),
        Reply::challenge(&format!("Basic realm=\"{there}\"")).header("Location", &there),
        Reply::new(202, "").header("Location", &there),
        Reply::ok("application/json", r#"{"tags":["1"]}"#).header("Link", &format!("<{there}>; rel=\"next\"")),
    ];
    for lure in lures {
        let registry = ScriptedRegistry::start(move |seen| match &seen.authorization {
            None => Reply::challenge("Basic realm=\"x\""),
            Some(_) => lure.clone(),
        })
        .unwrap();
        let host = registry.host();
        let registries = registries([(&host, basic("fleet"))]);
        let there = repository(&host, "acme/rules");
        let _whatever = registries.manifest(&there, &tag("1")).await;
        let _whatever = registries.head(&there, &tag("1")).await;
        let _whatever = registries.tags(&there).await;
        let _whatever = registries.blob(&there, &Digest::of(b"x"), 1, 9, &mut Vec::new()).await;
        assert!(registry.seen().iter().any(|seen| seen.authorization.is_some()));
    }
    let seen = thief.seen();
    assert!(
        seen.iter().all(|seen| seen.authorization.is_none() && !format!("{seen:?}").contains("canary")),
        "{seen:?}"
    );
    assert!(!seen.is_empty(), "a redirect is followed, without credentials");
}
