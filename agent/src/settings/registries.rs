//! `[registries."host:port"]`: how single registries, and indexes on the same hosts, are reached.

use std::collections::BTreeMap;
use std::path::PathBuf;

use falconer_manifests::finding::Malformed;
use falconer_manifests::reference::Source;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{Files, SettingsError};
use crate::registry::{ClientCredentials, Credentials, Mirror};
use crate::transfer::{Tls, TlsError};

/// What is special about a registry.
#[derive(Debug, Default)]
pub struct Registry {
    /// Whether it speaks HTTP without TLS.
    pub plain_http: bool,
    /// What TLS with its host needs.
    pub tls: Option<Tls>,
    /// Where its content is asked for first.
    pub mirror: Option<Mirror>,
    /// What shows it who we are; without it, docker's config decides.
    pub credentials: Option<Credentials>,
    /// Hosts besides the registry's own that may be sent its credentials for a token.
    pub token_realms: Vec<String>,
}

/// `[registries."host:port"]` as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Written {
    /// Whether it speaks HTTP without TLS.
    pub plain_http: bool,
    /// A bundle of authorities in PEM, to trust for this host besides the system's.
    pub ca_file: Option<PathBuf>,
    /// A certificate of ours in PEM, with those between it and its authority.
    pub client_certificate_file: Option<PathBuf>,
    /// Its key in PEM.
    pub client_key_file: Option<PathBuf>,
    /// `host[:port][/prefix]` of a registry that holds copies.
    pub mirror: Option<String>,
    /// Hosts besides the registry's own that may be sent its credentials for a token.
    pub token_realms: Vec<String>,
    /// How to get in.
    pub credentials: Login,
}

/// `[registries."host:port".credentials]`: one of a user name with a password, a token, or a client.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// The user name for a password.
    pub username: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The file that holds a bearer token.
    pub token_file: Option<PathBuf>,
    /// A client of an authorization server.
    pub oauth2: Option<OAuth2>,
}

/// `oauth2 = {…}`: the client credentials grant of RFC 6749, section 4.4.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2 {
    /// Where tokens are given.
    pub token_url: String,
    /// The client's name there.
    pub client_id: String,
    /// The file that holds the client's secret.
    pub client_secret_file: PathBuf,
    /// The rights to ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// Checks all tables, and reads the files that they name.
pub(super) fn check(
    files: &Files<'_>,
    written: BTreeMap<String, Written>,
) -> Result<BTreeMap<String, Registry>, SettingsError> {
    written.into_iter().map(|(name, written)| Ok((name.clone(), one(files, &name, written)?))).collect()
}

fn one(files: &Files<'_>, name: &str, written: Written) -> Result<Registry, SettingsError> {
    let key = |key: &str| format!("registries.\"{name}\"{key}");
    host(name).map_err(|malformed| files.refused(&key(""), &malformed.to_string(), malformed.hint))?;
    let mirror = written.mirror.as_deref().map(Mirror::parse).transpose();
    let mirror = mirror.map_err(|malformed| files.refused(&key(".mirror"), &malformed.to_string(), malformed.hint))?;
    let Written { plain_http, ca_file, client_certificate_file, client_key_file, token_realms, .. } = written;
    if plain_http && (ca_file.is_some() || client_certificate_file.is_some() || client_key_file.is_some()) {
        let problem = "names files for TLS, which plain_http switches off";
        return Err(files.refused(&key(""), problem, "take plain_http or the files out"));
    }
    let tls = tls(files, &key(""), ca_file, client_certificate_file, client_key_file)?;
    let credentials = login(files, &key(".credentials"), written.credentials)?;
    Ok(Registry { plain_http, tls, mirror, credentials, token_realms })
}

/// Checks that `name` is `host[:port]`.
pub(super) fn host(name: &str) -> Result<(), Malformed> {
    match Source::parse(&format!("{name}/repository")) {
        Ok(Source::Registry { registry, .. }) if registry == name => Ok(()),
        _ => Err(Malformed {
            what: "registry",
            value: name.to_owned(),
            problem: "is not host[:port]",
            hint: "write the host as references have it, without a scheme and a path, e.g. \"ghcr.io\"",
        }),
    }
}

fn tls(
    files: &Files<'_>,
    key: &str,
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    private_key: Option<PathBuf>,
) -> Result<Option<Tls>, SettingsError> {
    let read = |path: &Option<PathBuf>| path.as_deref().map(|path| files.text(path)).transpose();
    if certificate.is_some() != private_key.is_some() {
        let problem = "names one of client_certificate_file and client_key_file without the other";
        return Err(files.refused(key, problem, "name both, or neither"));
    }
    if ca.is_none() && certificate.is_none() {
        return Ok(None);
    }
    let (authorities, chain) = (read(&ca)?, read(&certificate)?);
    let secret = private_key.as_deref().map(|path| files.secret(path)).transpose()?;
    let made = Tls::new(authorities.as_deref(), chain.as_deref().zip(secret.as_ref()));
    made.map(Some).map_err(|error| {
        let (part, path) = match error {
            TlsError::Authorities => ("ca_file", ca),
            TlsError::Certificate => ("client_certificate_file", certificate),
            TlsError::Key | TlsError::Mismatch => ("client_key_file", private_key),
        };
        let path = path.unwrap_or_default();
        files.refused(
            &format!("{key}.{part}"),
            &format!("`{}` {error}", path.display()),
            "name a file in PEM, e.g. what openssl writes",
        )
    })
}

fn login(files: &Files<'_>, key: &str, written: Login) -> Result<Option<Credentials>, SettingsError> {
    let secret = |path: PathBuf| files.secret(&path);
    match written {
        Login { username: None, password_file: None, token_file: None, oauth2: None } => Ok(None),
        Login { username: Some(username), password_file: Some(password), token_file: None, oauth2: None } => {
            Ok(Some(Credentials::Basic { username, password: secret(password)? }))
        }
        Login { username: None, password_file: None, token_file: Some(token), oauth2: None } => {
            Ok(Some(Credentials::Token(secret(token)?)))
        }
        Login { username: None, password_file: None, token_file: None, oauth2: Some(client) } => {
            let refused = |problem, hint| files.refused(&format!("{key}.oauth2.token_url"), problem, hint);
            Ok(Some(Credentials::Client(ClientCredentials {
                token_url: token_url(&client.token_url).map_err(|(problem, hint)| refused(problem, hint))?,
                client_id: client.client_id,
                client_secret: secret(client.client_secret_file)?,
                scopes: client.scopes,
            })))
        }
        _ => {
            let hint = "give username and password_file, or token_file, or oauth2";
            Err(files.refused(key, "does not name one way to get in", hint))
        }
    }
}

/// Checks the address of an authorization server without repeating it, because it may hold a password.
pub(super) fn token_url(text: &str) -> Result<Url, (&'static str, &'static str)> {
    let hint = "write an https URL without a user, e.g. https://login.example/oauth2/token";
    let url = Url::parse(text).map_err(|_| ("is no URL", hint))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(("holds a user or a password", hint));
    }
    match url.scheme() {
        "https" | "http" if url.has_host() => Ok(url),
        _ => Err(("is no https URL", hint)),
    }
}

impl Registry {
    /// The same with other credentials.
    pub(super) fn with_credentials(self, credentials: Credentials) -> Self {
        Self { credentials: Some(credentials), ..self }
    }
}

impl Files<'_> {
    /// A file that holds one secret: a line end after it is not part of it.
    pub(super) fn secret(&self, path: &std::path::Path) -> Result<SecretString, SettingsError> {
        Ok(SecretString::from(self.text(path)?.trim_end_matches(['\n', '\r'])))
    }
}
