//! The webhook: a hint of GitHub, GitLab or Gitea that there may be something to fetch.
//!
//! A hint means "ask Git now" and no more. The body is not parsed; it only goes through the HMAC, piece by piece, so that
//! its size costs no memory. However many hints come, they lead to one pass in ten seconds at most.

mod proof;

use std::convert::Infallible;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

pub use proof::Kind;
use proof::Proof;

/// The longest body, in bytes: twice what GitHub sends for the largest push.
const BODY_CAP: usize = 8 << 20;
/// How many connections there may be at a time; more wait in the system's queue.
const CONNECTIONS: usize = 32;
/// How long the head of a request may take to arrive.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// How long a connection may last as a whole.
const DEADLINE: Duration = Duration::from_secs(15);
/// The longest head, in bytes.
const HEAD_CAP: usize = 16 << 10;
/// Hints that come within this time after one that was taken are taken together, at its end.
pub const PACE: Duration = Duration::from_secs(10);
/// How long nobody is accepted after the system could not give a connection.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_secs(1);

/// Where to listen.
#[derive(Debug, Clone)]
pub enum Place {
    /// On an address.
    Address(std::net::SocketAddr),
    /// On a local socket.
    Socket(PathBuf),
}

/// The webhook cannot be listened for.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for webhooks at {place}")]
pub struct WebhookError {
    place: String,
    source: io::Error,
}

impl WebhookError {
    /// The next act.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there: choose another port under `[webhook]` in agent.toml"
            }
            _ => "correct `listen` under `[webhook]` in agent.toml",
        }
    }
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Webhook {
    hints: Arc<Notify>,
    last: Option<Instant>,
    server: JoinHandle<()>,
    socket: Option<PathBuf>,
}

impl Webhook {
    /// Listens at `place` for hints of this `kind` from who knows `secret`.
    ///
    /// # Errors
    /// [`WebhookError`]
    pub async fn listen(place: &Place, kind: Kind, secret: &SecretString) -> Result<Self, WebhookError> {
        let hints = Arc::new(Notify::new());
        let service = Arc::new(Service { proof: Proof::new(kind, secret), hints: Arc::clone(&hints) });
        let (server, socket) = match place {
            Place::Address(address) => {
                let failed = |source| WebhookError { place: address.to_string(), source };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                (tokio::spawn(serve(Listener::Tcp(listener), service)), None)
            }
            Place::Socket(path) => {
                let failed = |source| WebhookError { place: path.display().to_string(), source };
                let listener = bind(path).map_err(failed)?;
                (tokio::spawn(serve(Listener::Unix(listener), service)), Some(path.clone()))
            }
        };
        Ok(Self { hints, last: None, server, socket })
    }

    /// Waits for a hint, and until the last one that was taken is [`PACE`] ago. Loses none when it is dropped while waiting
    /// for the first of the two.
    pub async fn hint(&mut self) {
        if let Some(last) = self.last {
            sleep_until(last + PACE).await;
        }
        self.hints.notified().await;
        self.last = Some(Instant::now());
    }
}

impl Webhook {
    /// Stops listening, and comes back when the place is free for another. Dropping it frees the place only a little later.
    pub async fn close(mut self) {
        self.server.abort();
        // It ends by being aborted.
        let _aborted = (&mut self.server).await;
    }
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
        if let Some(socket) = &self.socket {
            // Whoever listens there next replaces it.
            let _removed = fs_err::remove_file(socket);
        }
    }
}

/// A socket that everybody may use who may enter its directory: the secret decides. What another daemon has left there is
/// replaced, and nothing else.
fn bind(path: &Path) -> io::Result<UnixListener> {
    if fs_err::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs_err::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs_err::set_permissions(path, Permissions::from_mode(0o666))?;
    Ok(listener)
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

async fn serve(listener: Listener, service: Arc<Service>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let service = Arc::clone(&service);
        let accepted = match &listener {
            Listener::Tcp(listener) => {
                listener.accept().await.map(|(stream, _)| drop(tokio::spawn(connection(stream, service, place))))
            }
            Listener::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| drop(tokio::spawn(connection(stream, service, place))))
            }
        };
        if accepted.is_err() {
            sleep(OUT_OF_DESCRIPTORS).await;
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, service: Arc<Service>, _place: OwnedSemaphorePermit) {
    let answer = service_fn(move |request| {
        let service = Arc::clone(&service);
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_DEADLINE)
        .max_buf_size(HEAD_CAP)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    // Whoever is slow or wrong is cut off, and told nothing.
    let _ended = timeout(DEADLINE, connection).await;
}

struct Service {
    proof: Proof,
    hints: Arc<Notify>,
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Empty<Bytes>> {
        let status = match self.judge(request).await {
            Ok(()) => {
                self.hints.notify_one();
                StatusCode::ACCEPTED
            }
            Err(status) => status,
        };
        let mut response = Response::new(Empty::new());
        *response.status_mut() = status;
        response
    }

    /// Whether the request proves that it comes from somebody who knows the secret.
    async fn judge(&self, request: Request<Incoming>) -> Result<(), StatusCode> {
        if request.method() != Method::POST {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        let (head, mut body) = request.into_parts();
        // Without a proof there is no reason to take the body.
        let mut check = self.proof.begin(&head.headers).ok_or(StatusCode::UNAUTHORIZED)?;
        let mut size = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
            let Some(piece) = frame.data_ref() else { continue };
            size += piece.len();
            if size > BODY_CAP {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            check.update(piece);
        }
        if check.proves() { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
    }
}
