//! Logins for registries from the environment, in falcoctl's format.
//!
//! falcoctl (`internal/config/config.go`) reads them from `FALCOCTL_REGISTRY_AUTH_BASIC` (`registry,user,password;…`),
//! `FALCOCTL_REGISTRY_AUTH_OAUTH` (`registry,client-id,client-secret,token-url;…`) and `FALCOCTL_REGISTRY_AUTH_GCP`
//! (`registry;…`), and the path of docker's config from `FALCOCTL_REGISTRY_CREDS_CONFIG`. The same names with `FALCONER_`
//! mean the same here and win over those. Empty variables count as absent, as in falcoctl. No value is ever repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::SettingsError;
use super::registries::{host, token_url};
use crate::registry::{ClientCredentials, Credentials};

/// Whose variables, in the order in which they win.
const PREFIXES: [&str; 2] = ["FALCONER", "FALCOCTL"];
/// The metadata server of Google Cloud, unless `GCE_METADATA_HOST` names another.
const METADATA_SERVER: &str = "metadata.google.internal";

/// A way to read the environment.
pub(super) type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The logins that the environment has, by registry. Where one has several, a password comes before a client, and that before Google, as
/// in falcoctl.
pub(super) fn logins(environment: &Environment<'_>) -> Result<BTreeMap<String, Credentials>, SettingsError> {
    let mut logins = BTreeMap::new();
    for prefix in PREFIXES {
        for (kind, read) in [("BASIC", basic as Read), ("OAUTH", client), ("GCP", google)] {
            let name = format!("{prefix}_REGISTRY_AUTH_{kind}");
            let Some(value) = given(environment, &name) else { continue };
            for (number, item) in value.split(';').enumerate().filter(|(_, item)| !item.trim().is_empty()) {
                let refused = |(problem, hint): Refusal| {
                    let place =
                        if value.contains(';') { format!("entry {} of {name}", number + 1) } else { name.clone() };
                    SettingsError::Refused { place, problem: problem.to_owned(), hint: hint.to_owned() }
                };
                let (registry, credentials) = read(item, environment).map_err(refused)?;
                logins.entry(registry).or_insert(credentials);
            }
        }
    }
    Ok(logins)
}

/// Where docker's config is, when the environment says so in falcoctl's way.
pub(super) fn docker_config(environment: &Environment<'_>) -> Option<PathBuf> {
    PREFIXES.iter().find_map(|prefix| given(environment, &format!("{prefix}_REGISTRY_CREDS_CONFIG"))).map(PathBuf::from)
}

/// What is wrong, and the next act.
type Refusal = (&'static str, &'static str);
type Read = fn(&str, &Environment<'_>) -> Result<(String, Credentials), Refusal>;

fn given(environment: &Environment<'_>, name: &str) -> Option<String> {
    environment(name).filter(|value| !value.is_empty())
}

fn basic(item: &str, _: &Environment<'_>) -> Result<(String, Credentials), Refusal> {
    let hint = "write registry,user,password and `;` between several";
    let mut fields = item.splitn(3, ',');
    let (Some(registry), Some(username), Some(password)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(("does not have three fields", hint));
    };
    // falcoctl takes a repository for its registry here.
    let registry = registry.split('/').next().unwrap_or_default();
    let registry = checked(registry)?;
    if username.is_empty() || password.is_empty() {
        return Err(("has an empty field", hint));
    }
    Ok((registry, Credentials::Basic { username: username.to_owned(), password: password.into() }))
}

fn client(item: &str, _: &Environment<'_>) -> Result<(String, Credentials), Refusal> {
    let hint = "write registry,client-id,client-secret,token-url and `;` between several";
    let fields: Vec<_> = item.split(',').collect();
    let [registry, client_id, client_secret, url] = fields.as_slice() else {
        return Err(("does not have four fields", hint));
    };
    if client_id.is_empty() || client_secret.is_empty() {
        return Err(("has an empty field", hint));
    }
    let credentials = ClientCredentials {
        token_url: token_url(url.trim()).map_err(|_| ("has a token URL that is no https URL", hint))?,
        client_id: (*client_id).to_owned(),
        client_secret: (*client_secret).into(),
        scopes: Vec::new(),
    };
    Ok((checked(registry)?, Credentials::Client(credentials)))
}

fn google(item: &str, environment: &Environment<'_>) -> Result<(String, Credentials), Refusal> {
    if given(environment, "GOOGLE_APPLICATION_CREDENTIALS").is_some() {
        return Err((
            "needs the key file of GOOGLE_APPLICATION_CREDENTIALS, which falconer does not read",
            "name docker-credential-gcr or docker-credential-gcloud in docker's config.json, or give the key file as the password of _json_key",
        ));
    }
    let metadata_server = given(environment, "GCE_METADATA_HOST").unwrap_or_else(|| METADATA_SERVER.to_owned());
    Ok((checked(item)?, Credentials::Google { metadata_server }))
}

fn checked(registry: &str) -> Result<String, Refusal> {
    let registry = registry.trim();
    host(registry).map_err(|malformed| ("has a registry that is not host[:port]", malformed.hint))?;
    Ok(registry.to_owned())
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Vec<String>, SettingsError> {
        let environment =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let shown = logins(&environment)?.into_iter().map(|(registry, credentials)| match credentials {
            Credentials::Basic { username, password } => format!("{registry} {username}:{}", password.expose_secret()),
            Credentials::Client(client) => {
                format!("{registry} {} {} {}", client.client_id, client.client_secret.expose_secret(), client.token_url)
            }
            Credentials::Google { metadata_server } => format!("{registry} {metadata_server}"),
            other => panic!("{other:?}"),
        });
        Ok(shown.collect())
    }

    #[test]
    fn falcoctl_s_variables() {
        let basic = read(&[("FALCOCTL_REGISTRY_AUTH_BASIC", "ghcr.io,u,p;localhost:5000/acme/rules,v,q,r;")]);
        assert_eq!(basic.unwrap(), ["ghcr.io u:p", "localhost:5000 v:q,r"]);
        let client = read(&[("FALCOCTL_REGISTRY_AUTH_OAUTH", "r.example,id,secret,https://auth.example/token")]);
        assert_eq!(client.unwrap(), ["r.example id secret https://auth.example/token"]);
        let google = read(&[("FALCOCTL_REGISTRY_AUTH_GCP", "gcr.io;europe-docker.pkg.dev")]);
        assert_eq!(
            google.unwrap(),
            ["europe-docker.pkg.dev metadata.google.internal", "gcr.io metadata.google.internal"]
        );
        assert!(read(&[("FALCOCTL_REGISTRY_AUTH_BASIC", "")]).unwrap().is_empty());
    }

    #[test]
    fn ours_win() {
        let variables = [
            ("FALCOCTL_REGISTRY_AUTH_BASIC", "a.example,theirs,p;b.example,theirs,p"),
            ("FALCONER_REGISTRY_AUTH_OAUTH", "a.example,ours,s,https://auth.example/"),
            ("FALCOCTL_REGISTRY_AUTH_GCP", "b.example;c.example"),
        ];
        let found = read(&variables).unwrap();
        assert_eq!(
            found,
            ["a.example ours s https://auth.example/", "b.example theirs:p", "c.example metadata.google.internal"]
        );
    }

    #[test]
    fn malformed_values_are_not_repeated() {
        for (name, value) in [
            ("FALCONER_REGISTRY_AUTH_BASIC", "canary"),
            ("FALCOCTL_REGISTRY_AUTH_BASIC", "r.example,canary"),
            ("FALCOCTL_REGISTRY_AUTH_BASIC", "r.example,u,p;https://canary,u,canary"),
            ("FALCOCTL_REGISTRY_AUTH_BASIC", "r.example,canary,"),
            ("FALCOCTL_REGISTRY_AUTH_OAUTH", "r.example,id,canary"),
            ("FALCOCTL_REGISTRY_AUTH_OAUTH", "r.example,id,canary,ftp://canary/"),
            ("FALCOCTL_REGISTRY_AUTH_OAUTH", "r.example,id,canary,https://u:canary@auth.example/"),
            ("FALCOCTL_REGISTRY_AUTH_GCP", "canary canary"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            let said = format!("{error} {error:?} {}", error.hint());
            assert!(said.contains(name) && !said.contains("canary"), "{said}");
        }
        let both = [("FALCOCTL_REGISTRY_AUTH_GCP", "gcr.io"), ("GOOGLE_APPLICATION_CREDENTIALS", "/key.json")];
        assert!(read(&both).unwrap_err().hint().contains("docker-credential-gcr"));
    }
}
