//! The http room: answers short questions of monitoring, on loopback or on a unix socket.
//!
//! Whoever asks can do little harm: so many connections at once, so long and so large a question, one answer for each
//! connection, and nothing that is asked changes anything. Bodies are not read.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use falconer_manifests::remedy::Remedy;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;

/// How many connections are served at once; the others wait for their turn.
const CONNECTIONS: usize = 16;
/// How long the head of a question may take.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// How long a connection may take as a whole.
const TIME: Duration = Duration::from_secs(10);
/// How long the head of a question may be, in bytes; 8 KiB is the least that hyper takes.
const HEAD_CAP: usize = 8 << 10;
/// How many headers a question may have.
const HEADERS: usize = 64;
/// The wait after a connection could not be taken, e.g. for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Where a server of ours listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port.
    Address(SocketAddr),
    /// A socket in the file system.
    Socket(PathBuf),
}

impl Listen {
    /// Whether other machines may reach it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Address(address) => !address.ip().is_loopback(),
            Self::Socket(_) => false,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Nobody can be listened to.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen}")]
pub struct ListenError {
    /// Where.
    pub listen: Listen,
    /// Why not.
    source: io::Error,
}

impl ListenError {
    /// Who can end it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        Remedy::Operator
    }

    /// The next act.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => "something listens there already; name another port or socket in agent.toml",
            io::ErrorKind::NotFound => "make the directory of the socket",
            _ => "name an address of this host, or a socket in a directory that falconer may write",
        }
    }
}

/// A question.
#[derive(Debug)]
pub struct Question<'a> {
    /// The path, e.g. `/metrics`.
    pub path: &'a str,
    /// The value of `Accept`; empty without one.
    pub accept: &'a str,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status, e.g. 200.
    pub status: u16,
    /// The type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A line of text.
    #[must_use]
    pub fn text(status: u16, line: impl fmt::Display) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{line}\n") }
    }
}

/// Who answers; it must not wait for anything.
pub type Responder = Arc<dyn Fn(&Question<'_>) -> Answer + Send + Sync>;

/// A socket that is listened on.
#[derive(Debug)]
pub enum Listener {
    /// An address and a port.
    Tcp(TcpListener),
    /// A socket in the file system; everybody on this host may connect.
    Unix(UnixListener),
}

/// Begins to listen. A socket that a dead process has left is replaced.
///
/// # Errors
/// [`ListenError`].
pub async fn bind(listen: &Listen) -> Result<Listener, ListenError> {
    let bound = match listen {
        Listen::Address(address) => TcpListener::bind(address).await.map(Listener::Tcp),
        Listen::Socket(path) => bind_socket(path).await.map(Listener::Unix),
    };
    bound.map_err(|source| ListenError { listen: listen.clone(), source })
}

async fn bind_socket(path: &Path) -> io::Result<UnixListener> {
    let is_socket = fs_err::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && tokio::net::UnixStream::connect(path).await.is_err() {
        fs_err::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

impl Listener {
    /// The address, where there is one: a port 0 in the settings has become a real one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Answers for as long as it is polled.
    pub async fn serve(self, responder: Responder) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let responder = Arc::clone(&responder);
            let accepted = match &self {
                Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
                Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Stream::Unix(stream)),
            };
            match accepted {
                Ok(stream) => drop(tokio::spawn(async move {
                    match stream {
                        Stream::Tcp(stream) => converse(stream, responder).await,
                        Stream::Unix(stream) => converse(stream, responder).await,
                    }
                    drop(place);
                })),
                Err(error) => {
                    tracing::debug!("a connection cannot be taken: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

enum Stream {
    Tcp(tokio::net::TcpStream),
    Unix(tokio::net::UnixStream),
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, responder: Responder) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(&request, &responder);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_CAP)
        .max_headers(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(TIME, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!("a question was not understood: {error}"),
        Err(_) => tracing::debug!("a question took too long"),
    }
}

fn respond(request: &Request<Incoming>, responder: &Responder) -> Response<Full<Bytes>> {
    let is_question = matches!(*request.method(), Method::GET | Method::HEAD);
    let answer = if is_question {
        let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        responder(&Question { path: request.uri().path(), accept })
    } else {
        Answer::text(405, "only GET and HEAD are answered")
    };
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !is_question {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
