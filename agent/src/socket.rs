//! The local socket by which the command line asks the daemon for a pass.
//!
//! One line of JSON, a [`Question`], is answered by one line of JSON. Who may ask is a matter of the socket's permissions:
//! its owner alone.
#![expect(clippy::disallowed_methods, reason = "the room of the socket makes and removes it")]

mod error;

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

pub use error::SocketError;

/// The socket in the runtime directory.
const NAME: &str = "control.sock";
/// The longest question, in bytes.
const QUESTION_CAP: u64 = 4 << 10;
/// The longest answer, in bytes.
const ANSWER_CAP: u64 = 16 << 20;
/// How many may ask at a time.
const ASKERS: usize = 16;
/// How long a question may take to arrive, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the command line asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Whether to answer when the pass has ended, with its status, or at once.
    #[serde(default)]
    pub wait: bool,
    /// Whether windows are not to be waited for.
    #[serde(default)]
    pub now: bool,
    /// Whether indexes and registries are to be asked again.
    #[serde(default)]
    pub refresh: bool,
}

/// A question that waits for its pass.
#[derive(Debug)]
pub struct Ask {
    /// The question.
    pub question: Question,
    answer: oneshot::Sender<Value>,
}

impl Ask {
    /// Answers with how the pass ended.
    pub fn answer(self, answer: Value) {
        // Whoever has gone away does not want it any more.
        let _nobody_waits = self.answer.send(answer);
    }
}

/// The questions that come by the socket, which is gone when this is dropped.
#[derive(Debug)]
pub struct Asks {
    path: PathBuf,
    queue: mpsc::Receiver<Ask>,
}

impl Asks {
    /// The next question.
    pub async fn next(&mut self) -> Ask {
        match self.queue.recv().await {
            Some(ask) => ask,
            None => std::future::pending().await,
        }
    }

    /// A question that has come already.
    pub fn more(&mut self) -> Option<Ask> {
        self.queue.try_recv().ok()
    }
}

impl Drop for Asks {
    fn drop(&mut self) {
        // A daemon that starts later takes its place.
        let _removed = fs_err::remove_file(&self.path);
    }
}

/// Listens in `directory`. Whatever a daemon that was killed has left there is replaced.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(directory: &Path) -> Result<Asks, SocketError> {
    let path = directory.join(NAME);
    let failed = |source: io::Error| SocketError::Listen { path: path.clone(), source };
    let listener = bind(&path).map_err(failed)?;
    let (sender, queue) = mpsc::channel(ASKERS);
    tokio::spawn(accept(listener, sender));
    Ok(Asks { path, queue })
}

/// A listener at `path`, replacing what was there; only its owner may use it, from the first moment on.
pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // It becomes reachable by its rename, when its permissions are set.
    let private = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let _left_by_another = fs_err::remove_dir_all(&private);
    std::fs::DirBuilder::new().mode(0o700).create(&private)?;
    let new = private.join("s");
    let bound = UnixListener::bind(&new).and_then(|listener| {
        fs_err::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
        fs_err::rename(&new, path)?;
        Ok(listener)
    });
    let _emptied = fs_err::remove_dir_all(&private);
    bound
}

async fn accept(listener: UnixListener, sender: mpsc::Sender<Ask>) {
    let room = Arc::new(Semaphore::new(ASKERS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let sender = sender.clone();
                tokio::spawn(async move {
                    // Who breaks off is not told why.
                    let _ended = serve(stream, sender).await;
                    drop(place);
                });
            }
            // Out of descriptors, most likely: the pass needs the time more.
            Err(_) => tokio::time::sleep(PATIENCE).await,
        }
    }
}

async fn serve(mut stream: UnixStream, sender: mpsc::Sender<Ask>) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(QUESTION_CAP));
    timeout(PATIENCE, reader.read_line(&mut line)).await.map_err(io::Error::other)??;
    let answer = match serde_json::from_str::<Question>(&line) {
        Err(error) => json!({"error": {"message": format!("the question is not understood: {error}"), "remedy": "us"}}),
        Ok(question) => {
            let (answer, answered) = oneshot::channel();
            sender.send(Ask { question, answer }).await.map_err(io::Error::other)?;
            if question.wait {
                // Whoever goes away needs no answer.
                tokio::select! {
                    answer = answered => answer.map_err(io::Error::other)?,
                    _ = reader.read_line(&mut line) => return Ok(()),
                }
            } else {
                json!({"asked": true})
            }
        }
    };
    timeout(PATIENCE, writer.write_all(format!("{answer}\n").as_bytes())).await.map_err(io::Error::other)?
}

/// Asks the daemon that listens in `directory`.
///
/// # Errors
/// When none listens there, or it ends before it has answered.
pub async fn ask(directory: &Path, question: Question) -> Result<Value, SocketError> {
    let path = directory.join(NAME);
    let mut stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(source) if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(SocketError::Nobody { path });
        }
        Err(source) => return Err(SocketError::Connect { path, source }),
    };
    let failed = |source: io::Error| SocketError::Ended { source };
    let line = serde_json::to_string(&question).map_err(|error| failed(error.into()))?;
    stream.write_all(format!("{line}\n").as_bytes()).await.map_err(failed)?;
    let mut answer = String::new();
    BufReader::new(stream.take(ANSWER_CAP)).read_line(&mut answer).await.map_err(failed)?;
    serde_json::from_str(&answer).map_err(|error| failed(error.into()))
}
