//! A Git server: the real `git http-backend` behind an HTTP server of ours that counts, and that can go wrong.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub mod fixture;
mod http;
mod tls;

/// A server for all repositories below a directory. Dropping it ends it.
pub struct GitServer {
    address: SocketAddr,
    ca: Option<String>,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

/// One request and its answer, in bytes on the connection, above TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The request line's method and target.
    pub request: String,
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// Bytes from the client.
    pub received: u64,
    /// Bytes to the client.
    pub sent: u64,
}

/// What the server does wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It knows protocol v0 only.
    NoVersion2,
    /// It takes requests and never answers.
    Stall,
    /// It answers one byte per second.
    Drip,
    /// It takes a push, and closes the connection instead of answering.
    Unanswered,
    /// It closes the connection in the middle of a pack.
    Truncate,
    /// It changes one byte in the middle of a pack.
    Corrupt,
    /// Its answers do not end: it goes on with references.
    Endless,
    /// It answers with this status, these header lines and no Git.
    Status(u16, String),
    /// It answers 200 with an HTML page.
    Html,
}

#[derive(Default)]
struct Shared {
    root: PathBuf,
    password: Mutex<Option<String>>,
    fault: Mutex<Fault>,
    exchanges: Mutex<Vec<Exchange>>,
    connections: Mutex<u64>,
    is_over: AtomicBool,
}

impl GitServer {
    /// Serves the repositories below `root` over plain HTTP.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(root: &Path) -> io::Result<Self> {
        Self::serve(root, None)
    }

    /// Serves them over TLS with a certificate for 127.0.0.1 from a CA made for this server.
    ///
    /// # Errors
    /// When no port or no certificate can be had.
    pub fn start_tls(root: &Path) -> io::Result<Self> {
        let tls = tls::Tls::new().map_err(io::Error::other)?;
        Self::serve(root, Some(tls))
    }

    fn serve(root: &Path, tls: Option<tls::Tls>) -> io::Result<Self> {
        let socket = TcpListener::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        let shared = Arc::new(Shared { root: root.to_owned(), ..Shared::default() });
        let ca = tls.as_ref().map(|tls| tls.ca.clone());
        let server = Arc::clone(&shared);
        let listener = std::thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                if server.is_over.load(Ordering::SeqCst) {
                    return;
                }
                *locked(&server.connections) += 1;
                let (server, config) = (Arc::clone(&server), tls.as_ref().map(|tls| Arc::clone(&tls.config)));
                std::thread::spawn(move || {
                    // Clients hang up as they like.
                    let _ended = match config {
                        Some(config) => tls::accept(stream, config).and_then(|stream| http::serve(stream, &server)),
                        None => http::serve(stream, &server),
                    };
                });
            }
        });
        Ok(Self { address, ca, shared, listener: Some(listener) })
    }

    /// The URL of the repository `name`.
    #[must_use]
    pub fn url(&self, name: &str) -> String {
        let scheme = if self.ca.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{name}", self.address)
    }

    /// The certificate of the server's CA in PEM, when it speaks TLS.
    #[must_use]
    pub fn ca(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Lets in only who sends this `Authorization` header.
    pub fn demand(&self, authorization: &str) {
        *locked(&self.shared.password) = Some(authorization.to_owned());
    }

    /// Goes wrong from the next request on.
    pub fn set_fault(&self, fault: Fault) {
        *locked(&self.shared.fault) = fault;
    }

    /// The exchanges since the last time this was asked.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut *locked(&self.shared.exchanges))
    }

    /// The number of connections so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        *locked(&self.shared.connections)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the listener, which then sees that it is over.
        let _woken = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
