//! The CNCF distribution registry (Debian's `docker-registry`) on a free port of loopback.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;

/// How long the server may take to answer for the first time.
const START: Duration = Duration::from_secs(20);

/// Where the server notes each request that it has answered.
const ACCESS_LOG: &str = "access.log";

/// What the server asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// HTTP, open to all.
    Plain,
    /// HTTP, with [`USER`] and [`PASSWORD`].
    Htpasswd,
    /// HTTPS with a certificate for `localhost`, signed by an authority of its own.
    Tls,
    /// As [`Mode::Tls`], and clients must show a certificate of the same authority.
    MutualTls,
}

/// The user of [`Mode::Htpasswd`].
pub const USER: &str = "fleet";
/// The password of [`USER`].
pub const PASSWORD: &str = "canary-secret-7f3a";

/// A running registry with an empty store. It ends, and the store goes, when dropped.
pub struct RegistryServer {
    process: Child,
    mode: Mode,
    port: u16,
    authority: Option<String>,
    directory: tempfile::TempDir,
}

impl RegistryServer {
    /// Starts a registry and waits until it answers.
    ///
    /// # Errors
    /// When `docker-registry` or `htpasswd` is not installed, or the registry does not answer in time.
    pub fn start(mode: Mode) -> io::Result<Self> {
        // Another process may take the port between our choice and the server's start.
        let mut attempt = 0;
        loop {
            attempt += 1;
            match Self::start_once(mode) {
                Err(error) if attempt < 3 && error.kind() == io::ErrorKind::BrokenPipe => {}
                other => return other,
            }
        }
    }

    fn start_once(mode: Mode) -> io::Result<Self> {
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut settings = format!(
            "version: 0.1\nlog: {{level: error}}\n\
             storage: {{filesystem: {{rootdirectory: '{}'}}}}\n",
            directory.path().join("store").display()
        );
        let mut authority = None;
        let mut tls = String::new();
        match mode {
            Mode::Plain => {}
            Mode::Htpasswd => {
                let file = directory.path().join("htpasswd");
                fs::write(&file, htpasswd()?)?;
                settings.push_str(&format!("auth: {{htpasswd: {{realm: test, path: '{}'}}}}\n", file.display()));
            }
            Mode::Tls | Mode::MutualTls => {
                authority = Some(certificates(directory.path())?);
                let file = |name: &str| directory.path().join(name).display().to_string();
                let clients = match mode {
                    Mode::MutualTls => format!(", clientcas: ['{}']", file("authority.pem")),
                    _ => String::new(),
                };
                let (certificate, key) = (file("leaf.pem"), file("leaf.key"));
                tls = format!(", tls: {{certificate: '{certificate}', key: '{key}'{clients}}}");
            }
        }
        settings.push_str(&format!("http: {{addr: '127.0.0.1:{port}', secret: test{tls}}}\n"));
        let file = directory.path().join("config.yml");
        fs::write(&file, settings)?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(fs::File::create(directory.path().join(ACCESS_LOG))?)
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { process, mode, port, authority, directory };
        server.wait()?;
        Ok(server)
    }

    /// Host and port, as references write them.
    #[must_use]
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The certificate of the authority that signed the server's, in PEM; `None` without TLS.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The certificate, in PEM, and its key that the server takes of clients; `None` without [`Mode::MutualTls`].
    #[must_use]
    pub fn client(&self) -> Option<(String, String)> {
        let read = |name| fs::read_to_string(self.directory.path().join(name)).ok();
        (self.mode == Mode::MutualTls).then(|| Some((read("client.pem")?, read("client.key")?))).flatten()
    }

    /// The directory that the server stores everything in.
    #[must_use]
    pub fn store(&self) -> std::path::PathBuf {
        self.directory.path().join("store")
    }

    /// The requests so far, as `GET /v2/…`, in the order in which they were answered.
    ///
    /// # Errors
    /// When the server's log cannot be read.
    pub fn requests(&self) -> io::Result<Vec<String>> {
        let log = fs::read_to_string(self.directory.path().join(ACCESS_LOG))?;
        let quoted = log.lines().filter_map(|line| line.split('"').nth(1)?.strip_suffix(" HTTP/1.1"));
        Ok(quoted.map(str::to_string).collect())
    }

    fn wait(&mut self) -> io::Result<()> {
        let end = Instant::now() + START;
        loop {
            if let Some(status) = self.process.try_wait()? {
                return Err(io::Error::new(io::ErrorKind::BrokenPipe, format!("docker-registry ended: {status}")));
            }
            match self.ping() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > end => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// One `GET /v2/`; any status will do.
    fn ping(&self) -> io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        match &self.authority {
            None => http_ping(&mut stream),
            Some(authority) => {
                let mut roots = rustls::RootCertStore::empty();
                let root = rustls::pki_types::CertificateDer::from_pem_slice(authority.as_bytes());
                roots.add(root.map_err(io::Error::other)?).map_err(io::Error::other)?;
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let config = rustls::ClientConfig::builder_with_provider(provider)
                    .with_safe_default_protocol_versions()
                    .map_err(io::Error::other)?
                    .with_root_certificates(roots);
                let config = match self.client() {
                    None => config.with_no_client_auth(),
                    Some((certificate, key)) => {
                        let certificate = rustls::pki_types::CertificateDer::from_pem_slice(certificate.as_bytes());
                        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.as_bytes());
                        let chain = vec![certificate.map_err(io::Error::other)?];
                        let key = key.map_err(io::Error::other)?;
                        config.with_client_auth_cert(chain, key).map_err(io::Error::other)?
                    }
                };
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                let client = rustls::ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
                http_ping(&mut rustls::StreamOwned::new(client, stream))
            }
        }
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _killed = self.process.kill();
        let _reaped = self.process.wait();
    }
}

fn http_ping(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut begin = [0; 8];
    stream.read_exact(&mut begin)?;
    if begin == *b"HTTP/1.1" { Ok(()) } else { Err(io::Error::other("no HTTP answer")) }
}

/// The line for [`USER`], by `htpasswd` with bcrypt, the only kind that the registry takes.
fn htpasswd() -> io::Result<Vec<u8>> {
    let mut process = Command::new("htpasswd")
        .args(["-n", "-i", "-B", USER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let input = process.stdin.take();
    input.ok_or_else(|| io::Error::other("htpasswd has no input"))?.write_all(PASSWORD.as_bytes())?;
    let output = process.wait_with_output()?;
    if output.status.success() { Ok(output.stdout) } else { Err(io::Error::other("htpasswd failed")) }
}

/// Writes a key and a certificate for `localhost` into `directory`, the same for a client, and the authority's certificate,
/// which it also gives, in PEM.
fn certificates(directory: &Path) -> io::Result<String> {
    let authority_key = KeyPair::generate().map_err(io::Error::other)?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).map_err(io::Error::other)?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let leaf = CertificateParams::new(["localhost".to_owned()]).map_err(io::Error::other)?;
    let leaf = leaf.signed_by(&key, &issuer).map_err(io::Error::other)?;
    fs::write(directory.join("leaf.pem"), leaf.pem())?;
    fs::write(directory.join("leaf.key"), key.serialize_pem())?;
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let mut client = CertificateParams::new(["fleet".to_owned()]).map_err(io::Error::other)?;
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = client.signed_by(&key, &issuer).map_err(io::Error::other)?;
    fs::write(directory.join("client.pem"), client.pem())?;
    fs::write(directory.join("client.key"), key.serialize_pem())?;
    fs::write(directory.join("authority.pem"), authority_certificate.pem())?;
    Ok(authority_certificate.pem())
}
