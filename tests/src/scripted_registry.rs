//! A registry that lies: a server on a raw socket that answers what its script says, and counts what it sees and sends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often a connection that waits looks whether the server has ended.
const LOOK: Duration = Duration::from_millis(50);

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method, e.g. `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The Host header.
    pub host: String,
    /// The Authorization header.
    pub authorization: Option<String>,
    /// All headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Seen {
    /// The value of a header, whose name is given in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    /// As it should be.
    Whole(Vec<u8>),
    /// The announced length, and fewer or more bytes; then the connection is closed.
    Announced(u64, Vec<u8>),
    /// Bytes without end, with an announced length or chunked.
    Endless(Option<u64>),
    /// One byte after the other, so many milliseconds apart.
    Drip(Vec<u8>, u64),
    /// The announced length and the first bytes, then silence.
    Stall(u64, Vec<u8>),
    /// Not even a status line.
    Silence,
    /// The connection is closed without an answer.
    Hangup,
}

impl Reply {
    /// An answer with a whole body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(body.into()) }
    }

    /// 200 with bytes of a media type.
    #[must_use]
    pub fn ok(media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body).header("Content-Type", media_type)
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::new(307, "").header("Location", location)
    }

    /// 401 with a challenge.
    #[must_use]
    pub fn challenge(challenge: &str) -> Self {
        Self::new(401, "{}").header("WWW-Authenticate", challenge)
    }

    /// 200 whose announced length is not the body's.
    #[must_use]
    pub fn announcing(length: u64, body: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Announced(length, body.into()), ..Self::new(200, "") }
    }

    /// 200 and zeros without end; chunked when no length is announced.
    #[must_use]
    pub fn endless(announced: Option<u64>) -> Self {
        Self { body: Body::Endless(announced), ..Self::new(200, "") }
    }

    /// 200 and one byte every `pause` milliseconds.
    #[must_use]
    pub fn drip(body: impl Into<Vec<u8>>, pause: u64) -> Self {
        Self { body: Body::Drip(body.into(), pause), ..Self::new(200, "") }
    }

    /// 200, the first bytes, then silence.
    #[must_use]
    pub fn stall(announced: u64, begin: impl Into<Vec<u8>>) -> Self {
        Self { body: Body::Stall(announced, begin.into()), ..Self::new(200, "") }
    }

    /// No answer, and the connection stays open.
    #[must_use]
    pub fn silence() -> Self {
        Self { body: Body::Silence, ..Self::new(200, "") }
    }

    /// No answer, and the connection is closed.
    #[must_use]
    pub fn hangup() -> Self {
        Self { body: Body::Hangup, ..Self::new(200, "") }
    }

    /// The same with another status.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Scripted\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match &self.body {
            Body::Whole(body) | Body::Drip(body, _) => head.push_str(&format!("Content-Length: {}\r\n", body.len())),
            Body::Announced(length, _) | Body::Stall(length, _) | Body::Endless(Some(length)) => {
                head.push_str(&format!("Content-Length: {length}\r\n"));
            }
            Body::Endless(None) => head.push_str("Transfer-Encoding: chunked\r\n"),
            Body::Silence | Body::Hangup => {}
        }
        head.push_str("\r\n");
        head
    }
}

type Script = dyn Fn(&Seen) -> Reply + Send + Sync;

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    sent: AtomicU64,
    ended: AtomicBool,
}

/// The server. It ends when dropped.
pub struct ScriptedRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl ScriptedRegistry {
    /// Starts a server that answers every request with what `script` gives for it. Each connection gets one answer.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let (script, state): (Arc<Script>, _) = (Arc::new(script), Arc::clone(&shared));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if state.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (script, state) = (Arc::clone(&script), Arc::clone(&state));
                // A client that hangs up is what many of the scripts are for.
                thread::spawn(move || converse(stream, script.as_ref(), &state).is_ok());
            }
        });
        Ok(Self { address, shared, accepting: Some(accepting) })
    }

    /// Host and port.
    #[must_use]
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// The address it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// All requests so far, in the order in which they came.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The bytes of bodies that clients, or the kernel for them, have taken so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Drop for ScriptedRegistry {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The connection wakes the thread that accepts; if it fails, that thread has ended already.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accepting) = self.accepting.take()
        {
            let _ended = accepting.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn converse(stream: TcpStream, script: &Script, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(Duration::from_secs(30)))?;
    let seen = read_request(&stream)?;
    let reply = script(&seen);
    let is_head = seen.method == "HEAD";
    lock(&shared.seen).push(seen);
    match &reply.body {
        Body::Silence => return wait_for_hangup(&stream, shared),
        Body::Hangup => return Ok(()),
        _ => {}
    }
    let mut out = &stream;
    out.write_all(reply.head().as_bytes())?;
    if is_head {
        return Ok(());
    }
    let mut send = |bytes: &[u8]| {
        out.write_all(bytes)?;
        shared.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        Ok::<(), io::Error>(())
    };
    match &reply.body {
        Body::Whole(body) | Body::Announced(_, body) => send(body)?,
        Body::Endless(announced) => {
            let zeros = vec![0; 64 * 1024];
            let chunk = [format!("{:x}\r\n", zeros.len()).into_bytes(), zeros.clone(), b"\r\n".to_vec()].concat();
            while !shared.ended.load(Ordering::SeqCst) {
                send(if announced.is_some() { &zeros } else { &chunk })?;
            }
        }
        Body::Drip(body, pause) => {
            for byte in body {
                send(&[*byte])?;
                thread::sleep(Duration::from_millis(*pause));
            }
        }
        Body::Stall(_, begin) => {
            send(begin)?;
            wait_for_hangup(&stream, shared)?;
        }
        Body::Silence | Body::Hangup => {}
    }
    // Closing a socket with unread bytes resets the connection and may lose the answer: half of it is closed first.
    stream.shutdown(std::net::Shutdown::Write)?;
    wait_for_hangup(&stream, shared)
}

fn read_request(stream: &TcpStream) -> io::Result<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let header =
        |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value): &(_, String)| value.clone());
    let (host, authorization) = (header("host").unwrap_or_default(), header("authorization"));
    let length = header("content-length").map_or(Ok(0), |length| length.parse()).map_err(io::Error::other)?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Seen { method, target, host, authorization, headers, body })
}

/// Waits until the client closes the connection or the server ends.
fn wait_for_hangup(mut stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(LOOK))?;
    let mut ignored = [0; 1024];
    while !shared.ended.load(Ordering::SeqCst) {
        match stream.read(&mut ignored) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
