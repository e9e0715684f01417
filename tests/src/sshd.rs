//! The real OpenSSH server, for the user who runs the tests, with keys made for it alone.

use std::io::{self, Read as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Debian's place for it; it insists on being started by its whole path.
const PROGRAM: &str = "/usr/sbin/sshd";

/// A server on loopback. Dropping it ends it.
pub struct Sshd {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Sshd {
    /// Starts a server whose keys are in `directory`. Only with `version2` it takes `GIT_PROTOCOL` from clients.
    ///
    /// # Errors
    /// When keys cannot be made or the server does not come up.
    pub fn start(directory: &Path, version2: bool) -> io::Result<Self> {
        for key in ["host_key", "client_key", "stranger_key"] {
            let path = directory.join(key);
            if !path.exists() {
                let made =
                    Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&path).status()?;
                if !made.success() {
                    return Err(io::Error::other("ssh-keygen failed"));
                }
            }
        }
        // As root, sshd wants its directory for privilege separation; the distribution makes it at boot.
        if rustix::process::getuid().is_root() {
            std::fs::create_dir_all("/run/sshd")?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let place = directory.display();
        let mut settings = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {place}/host_key\nAuthorizedKeysFile {place}/client_key.pub\n\
             PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\n"
        );
        if version2 {
            settings.push_str("AcceptEnv GIT_PROTOCOL\n");
        }
        let config = directory.join("sshd_config");
        std::fs::write(&config, settings)?;
        let log = std::fs::File::create(directory.join("sshd.log"))?;
        let child =
            Command::new(PROGRAM).args(["-D", "-e", "-f"]).arg(&config).stdin(Stdio::null()).stderr(log).spawn()?;
        let sshd = Self { child, port, directory: directory.to_owned() };
        sshd.await_banner()?;
        let public = std::fs::read_to_string(directory.join("host_key.pub"))?;
        std::fs::write(sshd.known_hosts(), format!("[127.0.0.1]:{port} {public}"))?;
        let stranger = std::fs::read_to_string(directory.join("stranger_key.pub"))?;
        std::fs::write(sshd.wrong_known_hosts(), format!("[127.0.0.1]:{port} {stranger}"))?;
        std::fs::write(directory.join("empty"), "")?;
        Ok(sshd)
    }

    /// The URL of the repository in `path`.
    #[must_use]
    pub fn url(&self, path: &Path) -> String {
        format!("ssh://127.0.0.1:{}{}", self.port, path.display())
    }

    /// A private key that is let in.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.directory.join("client_key")
    }

    /// A private key that is not.
    #[must_use]
    pub fn stranger_key(&self) -> PathBuf {
        self.directory.join("stranger_key")
    }

    /// A known_hosts file with the server's key.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    /// One with another key for the server.
    #[must_use]
    pub fn wrong_known_hosts(&self) -> PathBuf {
        self.directory.join("wrong_known_hosts")
    }

    /// One without any key.
    #[must_use]
    pub fn empty_known_hosts(&self) -> PathBuf {
        self.directory.join("empty")
    }

    fn await_banner(&self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let mut banner = [0; 4];
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port))
                && stream.read_exact(&mut banner).is_ok()
                && banner == *b"SSH-"
            {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(self.directory.join("sshd.log")).unwrap_or_default();
        Err(io::Error::other(format!("sshd did not come up: {log}")))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
