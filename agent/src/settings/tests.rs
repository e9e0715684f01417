//! What agent.toml may say of registries, and what it may not.

use secrecy::ExposeSecret;

use super::*;
use crate::registry::Credentials as RegistryCredentials;

/// The settings of an agent.toml with these tables, beside files with these contents.
fn settings(tables: &str, files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        fs_err::File::create(directory.path().join(name))
            .and_then(|mut file| std::io::Write::write_all(&mut file, content.as_bytes()))
            .unwrap();
    }
    let document = parse("agent.toml", &format!("[repository]\nurl = \".\"\n{tables}"))?;
    let base = directory.path().to_path_buf();
    let here = base.display().to_string();
    let environment = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.replace("HERE", &here))
    };
    check("agent.toml", document, base, &environment)
}

fn shown(settings: &Settings, registry: &str) -> String {
    match &settings.registries[registry].credentials {
        None => "none".to_string(),
        Some(RegistryCredentials::Basic { username, password }) => format!("{username}:{}", password.expose_secret()),
        Some(RegistryCredentials::Token(token)) => format!("token {}", token.expose_secret()),
        Some(RegistryCredentials::Client(client)) => {
            format!("{} {} {}", client.client_id, client.client_secret.expose_secret(), client.scopes.join(" "))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn ways_to_get_in() {
    let tables = r#"
        [registries."a.example"]
        mirror = "harbor.example/proxy"
        credentials = {username = "u", password_file = "pw"}
        [registries."b.example:5000"]
        plain_http = true
        credentials = {token_file = "credential:token"}
        [registries."c.example".credentials]
        oauth2 = {token_url = "https://auth.example/t", client_id = "id", client_secret_file = "pw", scopes = ["x", "y"]}
        [registries."d.example".credentials]
        username = "file"
        password_file = "pw"
        [docker]
        config = "docker.json"
    "#;
    let files = [("pw", "secret \n"), ("token", "t\r\n")];
    let variables =
        [("CREDENTIALS_DIRECTORY", "HERE"), ("FALCOCTL_REGISTRY_AUTH_BASIC", "d.example,env,p;e.example,env,p")];
    let settings = settings(tables, &files, &variables).unwrap();
    assert_eq!(shown(&settings, "a.example"), "u:secret ");
    assert!(settings.registries["a.example"].mirror.is_some());
    assert_eq!(shown(&settings, "b.example:5000"), "token t");
    assert_eq!(shown(&settings, "c.example"), "id secret  x y");
    assert_eq!(shown(&settings, "d.example"), "env:p");
    assert_eq!(shown(&settings, "e.example"), "env:p");
    assert!(settings.docker_config.unwrap().ends_with("docker.json"));
}

#[test]
fn where_docker_s_config_is() {
    let config = |variables: &[(&str, &str)]| settings("", &[], variables).unwrap().docker_config;
    let here = |path: &str| Some(PathBuf::from(path));
    assert_eq!(config(&[("HOME", "/h")]), here("/h/.docker/config.json"));
    assert_eq!(config(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")]), here("/d/config.json"));
    assert_eq!(config(&[("DOCKER_CONFIG", "/d"), ("FALCOCTL_REGISTRY_CREDS_CONFIG", "/f.json")]), here("/f.json"));
    assert_eq!(config(&[]), None);
}

#[test]
fn what_is_refused_is_named() {
    for (tables, said) in [
        ("[registries.\"https://a.example\"]", "registry `https://a.example` is not host[:port]"),
        ("[registries.\"a.example/repository\"]", "is not host[:port]"),
        ("[registries.a]\nmirror = \"https://b\"", "names no registry"),
        ("[registries.a]\nca_file = \"garbage\"", "`garbage` holds no certificate"),
        ("[registries.a]\nca_file = \"absent\"", "cannot be read"),
        ("[registries.a]\nclient_key_file = \"garbage\"", "one of client_certificate_file and client_key_file"),
        ("[registries.a]\nplain_http = true\nca_file = \"garbage\"", "plain_http switches off"),
        ("[registries.a.credentials]\nusername = \"u\"", "one way to get in"),
        ("[registries.a.credentials]\ntoken_file = \"garbage\"\nusername = \"u\"", "one way to get in"),
        ("[registries.a.credentials]\ntoken_file = \"credential:x\"", "there are none"),
        ("[registries.a.credentials]\npassword = \"canary\"", "unknown field"),
        ("[registries.a]\nca = \"x\"", "unknown field"),
    ] {
        let error = settings(tables, &[("garbage", "canary")], &[]).unwrap_err();
        let text = format!("{} {}", crate::error::chain(&error), error.hint());
        assert!(text.contains(said) && !text.contains("canary"), "{tables}\n{text}");
    }
    let outside = "[registries.a.credentials]\ntoken_file = \"credential:../x\"";
    let error = settings(outside, &[], &[("CREDENTIALS_DIRECTORY", "/run")]).unwrap_err();
    assert!(error.to_string().contains("not the name of a credential"), "{error}");
}
