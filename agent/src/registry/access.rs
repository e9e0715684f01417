//! How single registries are reached, and what we show them.

use std::fmt;

use falconer_manifests::finding::Malformed;
use falconer_manifests::reference::Source;
use secrecy::SecretString;
use url::Url;

use super::Repository;

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
    /// Where its content is asked for first.
    pub mirror: Option<Mirror>,
}

/// A registry that holds copies of another's repositories, below a prefix; e.g. a proxy project of Harbor's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    registry: String,
    prefix: Option<String>,
}

impl Mirror {
    /// Parses `host[:port]` or `host[:port]/prefix`.
    ///
    /// # Errors
    /// [`Malformed`] when the text is of neither form.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = |problem| Malformed {
            what: "mirror",
            value: text.to_owned(),
            problem,
            hint: "write host[:port] or host[:port]/prefix, e.g. harbor.example/ghcr",
        };
        match Source::parse(&format!("{text}/repository")) {
            Ok(Source::Registry { registry, repository }) => {
                let prefix = repository.strip_suffix("/repository").map(str::to_owned);
                Ok(Self { registry, prefix })
            }
            _ => Err(malformed("names no registry, or a prefix that is not well-formed")),
        }
    }

    /// Where the mirror has its copy of `repository`.
    pub(super) fn of(&self, repository: &Repository) -> Repository {
        let name = match &self.prefix {
            Some(prefix) => format!("{prefix}/{}", repository.name),
            None => repository.name.clone(),
        };
        Repository { registry: self.registry.clone(), name }
    }
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
    /// A client that an authorization server gives bearer tokens to.
    Client(ClientCredentials),
    /// The service account of the Google Cloud machine that this is.
    Google {
        /// Host and optional port of the metadata server.
        metadata_server: String,
    },
}

/// A client of an authorization server (RFC 6749, section 4.4).
#[derive(Clone)]
pub struct ClientCredentials {
    /// Where tokens are given.
    pub token_url: Url,
    /// The client's name there.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretString,
    /// The rights to ask for; none for the server's default.
    pub scopes: Vec<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Basic",
            Self::Token(_) => "Token",
            Self::IdentityToken(_) => "IdentityToken",
            Self::Client(_) => "Client",
            Self::Google { .. } => "Google",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let access = Access {
            credentials: Some(Credentials::Basic { username: "u".into(), password: "hunter2".into() }),
            ..Access::default()
        };
        assert!(!format!("{access:?}").contains("hunter2"));
    }

    #[test]
    fn mirrors() {
        let of = |mirror: &str| {
            let repository = Repository { registry: "ghcr.io".into(), name: "acme/rules".into() };
            Mirror::parse(mirror).map(|mirror| mirror.of(&repository).to_string())
        };
        assert_eq!(of("harbor.example/ghcr").unwrap(), "harbor.example/ghcr/acme/rules");
        assert_eq!(of("localhost:5000").unwrap(), "localhost:5000/acme/rules");
        assert_eq!(of("localhost:5000/a/b").unwrap(), "localhost:5000/a/b/acme/rules");
        for bad in ["", "https://harbor.example", "harbor.example/", "harbor.example/A", "oci:layout", "/x", "h:1/x:2"]
        {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
