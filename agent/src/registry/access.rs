//! Credentials for registries, and where they come from.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use secrecy::SecretString;

/// The longest docker config file that is read, in bytes.
const CONFIG_CAP: u64 = 1024 * 1024;

/// How one registry is reached.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Speak HTTP without TLS. Credentials then travel in the clear.
    pub plain_http: bool,
    /// What we show when the registry asks for it. Without it, the docker config decides.
    pub credentials: Option<Credentials>,
    /// Hosts, with the port where it is not the scheme's own, that may be sent the credentials when the registry names one
    /// as its token realm. It need not list the registry's own host, `auth.docker.io` for Docker Hub, or `gitlab.com` for
    /// registry.gitlab.com.
    pub token_realms: Vec<String>,
}

/// What shows who we are.
#[derive(Clone)]
pub enum Credentials {
    /// A name and a password, for the registry or for its token server.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A bearer token, sent to the registry as it is.
    Token(SecretString),
    /// An OAuth2 refresh token, which the token server changes into a bearer token; docker calls it an identity token.
    IdentityToken(SecretString),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Token(_) => "Token",
            Self::IdentityToken(_) => "IdentityToken",
        })
    }
}

/// Why docker's config gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read docker's config")]
    Read(#[source] io::Error),
    /// The file, or what it says of the registry, is malformed.
    #[error("docker's config is malformed: {0}")]
    Malformed(&'static str),
    /// The credential helper failed. What it said may hold secrets, so it is not repeated.
    #[error("the credential helper {0} failed")]
    Helper(String),
    /// The look-up was ended.
    #[error("the look-up in docker's config was ended")]
    Ended,
}

impl CredentialsError {
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) => "check the permissions of docker's config.json",
            Self::Malformed(_) => "log in again with docker or podman, or give the credentials in agent.toml",
            Self::Helper(_) => {
                "run the helper by hand as the user of falconer, with `get` and the registry on its input"
            }
            Self::Ended => "try again",
        }
    }
}

/// What the docker config file at `path` has for `registry`; `None` when it, or its helper, has nothing. May run a
/// credential helper, and waits for it.
pub(super) fn from_docker(path: &Path, registry: &str) -> Result<Option<Credentials>, CredentialsError> {
    let config = match fs_err::File::open(path) {
        Ok(file) => read(file)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CredentialsError::Read(error)),
    };
    // Docker Hub's entry has kept the address of its first API.
    let names: &[&str] =
        if registry == "docker.io" { &["https://index.docker.io/v1/", "docker.io"] } else { &[registry] };
    for name in names {
        let found = match docker_credential::get_credential_from_reader(config.as_slice(), name) {
            Ok(found) => found,
            Err(error) if is_nothing(&error) => continue,
            Err(error) => return Err(refused(error)),
        };
        return Ok(Some(match found {
            DockerCredential::IdentityToken(token) => Credentials::IdentityToken(token.into()),
            DockerCredential::UsernamePassword(username, password) => {
                Credentials::Basic { username, password: password.into() }
            }
        }));
    }
    Ok(None)
}

fn read(file: fs_err::File) -> Result<Vec<u8>, CredentialsError> {
    let mut config = Vec::new();
    file.take(CONFIG_CAP + 1).read_to_end(&mut config).map_err(CredentialsError::Read)?;
    if config.len() as u64 > CONFIG_CAP {
        return Err(CredentialsError::Malformed("it is longer than 1 MiB"));
    }
    Ok(config)
}

/// "Nothing found" comes as an error, from a helper as its output (docker-credential-helpers, `credentials/error.go`).
fn is_nothing(error: &CredentialRetrievalError) -> bool {
    match error {
        CredentialRetrievalError::NoCredentialConfigured | CredentialRetrievalError::ConfigNotFound => true,
        CredentialRetrievalError::HelperFailure { stdout, stderr, .. } => {
            stdout.contains("credentials not found") || stderr.contains("credentials not found")
        }
        _ => false,
    }
}

fn refused(error: CredentialRetrievalError) -> CredentialsError {
    match error {
        CredentialRetrievalError::HelperFailure { helper, .. } => CredentialsError::Helper(helper),
        CredentialRetrievalError::HelperCommunicationError | CredentialRetrievalError::MalformedHelperResponse => {
            CredentialsError::Helper("that it names".to_owned())
        }
        CredentialRetrievalError::CredentialDecodingError => {
            CredentialsError::Malformed("the entry of the registry cannot be decoded")
        }
        CredentialRetrievalError::CredentialMismatchError => {
            CredentialsError::Malformed("the entry of the registry holds two different logins")
        }
        _ => CredentialsError::Malformed("it is not JSON of docker's form"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look_up(config: &str, registry: &str) -> Result<Option<String>, CredentialsError> {
        use secrecy::ExposeSecret;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs_err::File::create(&path).and_then(|mut file| io::Write::write_all(&mut file, config.as_bytes())).unwrap();
        Ok(from_docker(&path, registry)?.map(|found| match found {
            Credentials::Basic { username, password } => format!("{username}:{}", password.expose_secret()),
            Credentials::Token(token) | Credentials::IdentityToken(token) => token.expose_secret().to_owned(),
        }))
    }

    #[test]
    fn entries_of_a_docker_config() {
        let config = r#"{"auths": {
            "a.example": {"auth": "YTpiOmM="},
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "b.example": {"identitytoken": "refresh", "auth": "MDA6"},
            "c.example": {"auth": "%%%"}
        }}"#;
        assert_eq!(look_up(config, "a.example").unwrap().unwrap(), "a:b:c");
        assert_eq!(look_up(config, "docker.io").unwrap().unwrap(), "hub:pw");
        assert_eq!(look_up(config, "b.example").unwrap().unwrap(), "refresh");
        assert_eq!(look_up(config, "other.example").unwrap(), None);
        assert!(matches!(look_up(config, "c.example"), Err(CredentialsError::Malformed(_))));
        assert!(matches!(look_up("{", "a.example"), Err(CredentialsError::Malformed(_))));
        let helper = r#"{"credHelpers": {"a.example": "falconer-has-no-such-helper"}}"#;
        assert!(matches!(look_up(helper, "a.example"), Err(CredentialsError::Helper(_))));
    }

    #[test]
    fn no_file_is_no_credentials() {
        assert!(from_docker(Path::new("/nonexistent/config.json"), "a.example").unwrap().is_none());
    }

    #[test]
    fn secrets_are_not_shown() {
        let access = Access {
            credentials: Some(Credentials::Basic { username: "u".into(), password: "hunter2".into() }),
            ..Access::default()
        };
        assert!(!format!("{access:?}").contains("hunter2"));
    }
}
