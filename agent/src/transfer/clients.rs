//! One HTTP client for each setup of TLS that some host needs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use falconer_manifests::digest::{Digest, Hasher};
use reqwest::{Certificate, Client, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::install_tls_provider;
use super::roots::trusting;

/// What TLS with a host needs besides the system's roots: authorities that vouch for it, and a certificate of ours.
#[derive(Clone)]
pub struct Tls {
    roots: Vec<Certificate>,
    identity: Option<Identity>,
    /// Of all that it was made from: two setups with the same print share a client.
    print: Digest,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let roots = self.roots.len();
        f.debug_struct("Tls").field("roots", &roots).field("identity", &self.identity.is_some()).finish()
    }
}

/// Why files do not make a setup of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The bundle of authorities has no certificate, or a damaged one.
    #[error("holds no certificate in PEM, or a damaged one")]
    Authorities,
    /// The file of our certificate has none, or a damaged one.
    #[error("holds no certificate in PEM, or a damaged one")]
    Certificate,
    /// The file of our key has none, or one of a kind that is not supported.
    #[error("holds no private key in PEM that can be used")]
    Key,
    /// The key is another certificate's.
    #[error("is not the key of the certificate")]
    Mismatch,
}

impl Tls {
    /// A setup from PEM: a bundle of `authorities` to trust besides the system's, and `identity`, a certificate of ours
    /// with those between it and its authority, and its key.
    ///
    /// # Errors
    /// [`TlsError`], which says whose file cannot be used.
    pub fn new(authorities: Option<&str>, identity: Option<(&str, &SecretString)>) -> Result<Self, TlsError> {
        install_tls_provider();
        let roots = match authorities {
            Some(pem) => Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| TlsError::Authorities)?,
            None => Vec::new(),
        };
        if authorities.is_some() && roots.is_empty() {
            return Err(TlsError::Authorities);
        }
        let mut print = Hasher::new();
        for part in [authorities, identity.map(|(certificate, _)| certificate)] {
            let part = part.unwrap_or_default();
            print.update(&part.len().to_be_bytes());
            print.update(part.as_bytes());
        }
        let identity = match identity {
            Some((certificate, key)) => {
                print.update(key.expose_secret().as_bytes());
                Some(checked_identity(certificate, key)?)
            }
            None => None,
        };
        Ok(Self { roots, identity, print: print.finish() })
    }
}

fn checked_identity(certificate: &str, key: &SecretString) -> Result<Identity, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or(TlsError::Certificate)?;
    let der = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).map_err(|_| TlsError::Key)?;
    let provider = rustls::crypto::ring::default_provider();
    CertifiedKey::from_der(chain, der, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => TlsError::Mismatch,
        rustls::Error::InvalidCertificate(_) => TlsError::Certificate,
        _ => TlsError::Key,
    })?;
    let both = SecretString::from(format!("{certificate}\n{}", key.expose_secret()));
    Identity::from_pem(both.expose_secret().as_bytes()).map_err(|_| TlsError::Key)
}

/// The clients of a process: one for all hosts, and one for each distinct [`Tls`] that some of them need.
#[derive(Debug, Clone)]
pub struct Clients {
    common: Client,
    special: BTreeMap<String, Client>,
}

impl From<Client> for Clients {
    fn from(common: Client) -> Self {
        Self { common, special: BTreeMap::new() }
    }
}

impl Clients {
    /// `common`, and the clients for hosts, each `host[:port]` as a registry reference writes it, with the TLS that they need.
    ///
    /// # Errors
    /// When TLS cannot be set up, e.g. because the system has no roots.
    pub fn new<'a>(
        common: Client,
        special: impl IntoIterator<Item = (&'a str, &'a Tls)>,
    ) -> Result<Self, reqwest::Error> {
        let mut made: Vec<(&Digest, Client)> = Vec::new();
        let mut clients = BTreeMap::new();
        for (host, tls) in special {
            let client = match made.iter().find(|(print, _)| *print == &tls.print) {
                Some((_, client)) => client.clone(),
                None => {
                    let client = client_with(&tls.roots, tls.identity.clone())?;
                    made.push((&tls.print, client.clone()));
                    client
                }
            };
            clients.insert(known_as(host), client);
        }
        Ok(Self { common, special: clients })
    }

    /// The client for `url`: that of its host and port; else of its host on another port, since certificates speak for
    /// names without ports; else the common one.
    #[must_use]
    pub fn of(&self, url: &Url) -> &Client {
        if self.special.is_empty() || url.scheme() != "https" {
            return &self.common;
        }
        let same_name = || {
            let host = url.host_str().unwrap_or_default();
            let of_host =
                |name: &str| name.strip_prefix(host).is_some_and(|port| port.is_empty() || port.starts_with(':'));
            self.special.iter().find(|(name, _)| of_host(name)).map(|(_, client)| client)
        };
        self.special.get(&authority(url)).or_else(same_name).unwrap_or(&self.common)
    }

    /// The client for hosts that need nothing special.
    #[must_use]
    pub const fn common(&self) -> &Client {
        &self.common
    }
}

/// Host, and port where it is not the scheme's own.
#[must_use]
pub fn authority(url: &Url) -> String {
    match (url.host_str().unwrap_or_default(), url.port()) {
        (host, Some(port)) => format!("{host}:{port}"),
        (host, None) => host.to_owned(),
    }
}

/// `host[:port]` as [`authority`] gives it for https.
fn known_as(host: &str) -> String {
    Url::parse(&format!("https://{host}/")).map_or_else(|_| host.to_owned(), |url| authority(&url))
}

/// The client behind all our HTTP: rustls with the system's roots, proxies from the environment, no redirect followed by itself.
/// The roots are read when a server first shows a certificate: a host that needs no TLS need not have any.
///
/// # Errors
/// When TLS cannot be set up.
pub fn client() -> Result<Client, reqwest::Error> {
    install_tls_provider();
    builder().tls_backend_preconfigured(trusting(Vec::new())).build()
}

/// As [`client`]; it trusts `roots` besides the system's, and shows `identity` to servers that ask who we are.
///
/// # Errors
/// When TLS cannot be set up, e.g. because a root is no certificate.
pub fn client_with(roots: &[Certificate], identity: Option<Identity>) -> Result<Client, reqwest::Error> {
    install_tls_provider();
    let builder = builder().tls_certs_merge(roots.iter().cloned());
    match identity {
        Some(identity) => builder.identity(identity).build(),
        None => builder.build(),
    }
}

/// A client for plain HTTP that never uses a proxy: for servers beside this machine. It trusts no authority, which spares
/// reading the system's roots.
///
/// # Errors
/// When the client cannot be set up.
pub fn direct_client() -> Result<Client, reqwest::Error> {
    install_tls_provider();
    builder().tls_certs_only([]).no_proxy().build()
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .user_agent(concat!("falconer/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .pool_idle_timeout(Duration::from_secs(600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, SecretString) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem().into())
    }

    #[test]
    fn files_that_make_no_setup() {
        let ((certificate, key), (_, other_key)) = (pair("a.example"), pair("b.example"));
        let good = Tls::new(Some(&certificate), Some((&certificate, &key))).unwrap();
        assert!(!format!("{good:?}").contains("PRIVATE"));
        let none = "nothing".to_owned().into();
        assert_eq!(Tls::new(Some("nothing"), None).unwrap_err(), TlsError::Authorities);
        assert_eq!(Tls::new(Some(""), None).unwrap_err(), TlsError::Authorities);
        assert_eq!(Tls::new(None, Some(("nothing", &key))).unwrap_err(), TlsError::Certificate);
        assert_eq!(Tls::new(None, Some((&certificate, &none))).unwrap_err(), TlsError::Key);
        assert_eq!(Tls::new(None, Some((&certificate, &other_key))).unwrap_err(), TlsError::Mismatch);
    }

    #[test]
    fn hosts_share_a_client_only_where_their_setups_are_the_same() {
        let ((one, one_key), (other, _)) = (pair("a.example"), pair("b.example"));
        let same = [Tls::new(Some(&one), None).unwrap(), Tls::new(Some(&one), None).unwrap()];
        let with_key = Tls::new(Some(&one), Some((&one, &one_key))).unwrap();
        let another = Tls::new(Some(&other), None).unwrap();
        assert_eq!(same[0].print, same[1].print);
        assert_ne!(same[0].print, with_key.print);
        assert_ne!(same[0].print, another.print);
    }

    #[test]
    fn the_client_of_a_url() {
        let (certificate, _) = pair("r.example");
        let tls = Tls::new(Some(&certificate), None).unwrap();
        let clients = Clients::new(client().unwrap(), [("r.example:443", &tls), ("s.example:5000", &tls)]).unwrap();
        let is_special = |url: &str| !std::ptr::eq(clients.of(&Url::parse(url).unwrap()), clients.common());
        for special in
            ["https://r.example/v2/", "https://R.example/", "https://s.example:5000/", "https://s.example/token"]
        {
            assert!(is_special(special), "{special}");
        }
        for common in
            ["https://example/", "https://r.example.evil.example/", "http://r.example/", "https://xr.example/"]
        {
            assert!(!is_special(common), "{common}");
        }
    }
}
