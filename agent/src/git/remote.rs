//! A repository somewhere else, and a conversation with the server that has it.

use secrecy::SecretString;

use super::GitError;
use super::access::{Access, Credential};
use super::advertisement::{Advertisement, Capabilities};
use super::error::sanitised;
use super::http::Http;
use super::packet::{Decoder, Packet};
use super::ssh::{Session, Ssh};
use super::url::{Place, RemoteUrl};
use crate::transfer::Deadline;

/// The most bytes of a list of references: some 250,000 of them.
pub(super) const LIST_CAP: u64 = 16 << 20;

/// A repository that is polled, fetched from or reported to. It remembers what its server can do, so that a poll after
/// the first is a single request.
pub struct Remote {
    pub(super) carrier: Carrier,
    pub(super) access: Access,
    pub(super) shown: String,
    /// What an http server of protocol v2 can do, once it is known.
    pub(super) known: Option<Capabilities>,
}

/// How the repository is reached.
pub(super) enum Carrier {
    Http(Http),
    Ssh(Ssh),
    Local(std::path::PathBuf),
}

/// The programs on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }
}

impl Remote {
    /// The repository at `url`. `client` must not follow redirects by itself; TLS roots and proxies are its matter.
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// [`GitError::PlainHttp`] when the URL is plain http to another machine and `access` does not allow it.
    pub fn new(url: &RemoteUrl, mut access: Access, client: reqwest::Client) -> Result<Self, GitError> {
        let shown = url.to_string();
        if url.is_plain() && !access.allow_http {
            return Err(GitError::PlainHttp { remote: shown });
        }
        let carrier = match &url.place {
            Place::Http { url, userinfo } => {
                let credential = match (std::mem::take(&mut access.credential), userinfo) {
                    (Credential::None, Some((username, password))) => basic(username, password),
                    (credential, _) => credential,
                };
                Carrier::Http(Http { client, url: url.clone(), credential, shown: shown.clone() })
            }
            Place::Ssh { user, host, port, path } => Carrier::Ssh(Ssh {
                settings: access.ssh.clone(),
                user: user.clone(),
                host: host.clone(),
                port: *port,
                path: path.clone(),
                shown: shown.clone(),
            }),
            Place::Local(path) => Carrier::Local(path.clone()),
        };
        Ok(Self { carrier, access, shown, known: None })
    }

    /// The error for an answer that is not as it should be.
    pub(super) fn protocol(&self, problem: impl Into<String>) -> GitError {
        GitError::Protocol { remote: self.shown.clone(), problem: problem.into() }
    }

    pub(super) fn deadline(&self) -> Deadline {
        Deadline::after(self.access.limits.deadline)
    }
}

/// One exchange with one service, as packets.
pub(super) struct Conversation {
    link: Link,
    service: Service,
    shown: String,
    deadline: Deadline,
    decoder: Decoder,
    left: u64,
    cap: u64,
}

enum Link {
    Http(Box<Http>, Option<reqwest::Response>),
    Ssh(Box<Session>),
}

impl Conversation {
    /// Reaches `service`. What it offers is the second value; where it is known already, no question is asked.
    /// References other than `reference` are not kept.
    pub(super) async fn open(
        remote: &mut Remote,
        service: Service,
        reference: &str,
        deadline: Deadline,
    ) -> Result<(Self, Advertisement), GitError> {
        let known = remote.known.clone().filter(|_| service == Service::UploadPack);
        let link = match &mut remote.carrier {
            Carrier::Http(http) if known.is_some() => Link::Http(Box::new(http.clone()), None),
            Carrier::Http(http) => {
                let response = http.advertisement(service, deadline).await?;
                Link::Http(Box::new(http.clone()), Some(response))
            }
            Carrier::Ssh(ssh) => Link::Ssh(Box::new(ssh.open(service, deadline)?)),
            Carrier::Local(_) => return Err(remote.protocol("a directory has no server")),
        };
        let is_http = matches!(link, Link::Http(..));
        let shown = remote.shown.clone();
        let mut conversation =
            Self { link, service, shown, deadline, decoder: Decoder::default(), left: LIST_CAP, cap: LIST_CAP };
        let advertisement = match known.filter(|_| is_http) {
            Some(capabilities) => Advertisement::v2(capabilities),
            None => Advertisement::read(&mut conversation, reference).await?,
        };
        if let Some(format) = advertisement.capabilities.value("object-format").filter(|format| *format != "sha1") {
            return Err(GitError::ObjectFormat { remote: remote.shown.clone(), format: sanitised(format) });
        }
        if is_http && advertisement.is_v2 {
            remote.known = Some(advertisement.capabilities.clone());
        }
        Ok((conversation, advertisement))
    }

    /// Sends `request`; its answer may have at most `cap` bytes.
    pub(super) async fn ask(&mut self, request: Vec<u8>, cap: u64) -> Result<(), GitError> {
        (self.decoder, self.left, self.cap) = (Decoder::default(), cap, cap);
        match &mut self.link {
            Link::Http(http, response) => *response = Some(http.ask(self.service, request, self.deadline).await?),
            Link::Ssh(session) => {
                self.deadline.bound(session.send(&request)).await.map_err(|source| late(&self.shown, source))?;
            }
        }
        Ok(())
    }

    /// The next packet.
    pub(super) async fn packet(&mut self) -> Result<Packet, GitError> {
        loop {
            if let Some(packet) = self.decoder.next().map_err(|_| self.protocol("a packet has no length"))? {
                return self.checked(packet);
            }
            let piece = match &mut self.link {
                Link::Http(_, None) => Vec::new(),
                Link::Http(http, Some(response)) => {
                    let piece = self.deadline.bound(response.chunk()).await;
                    let piece = piece.map_err(|source| late(&self.shown, source))?;
                    piece.map_err(|error| http.broken(error))?.map(Vec::from).unwrap_or_default()
                }
                Link::Ssh(session) => {
                    let piece = self.deadline.bound(session.read()).await;
                    piece.map_err(|source| late(&self.shown, source))??
                }
            };
            if piece.is_empty() {
                return Err(self.ended().await);
            }
            self.left = self.left.checked_sub(piece.len() as u64).ok_or_else(|| self.too_long())?;
            self.decoder.feed(&piece);
        }
    }

    /// The error for an answer that is not as it should be.
    pub(super) fn protocol(&self, problem: impl Into<String>) -> GitError {
        GitError::Protocol { remote: self.shown.clone(), problem: problem.into() }
    }

    /// The error for what the server says in an error packet.
    pub(super) fn said(&self, message: &str) -> GitError {
        GitError::Said { remote: self.shown.clone(), message: sanitised(message) }
    }

    /// Servers put an `ERR` packet anywhere.
    fn checked(&self, packet: Packet) -> Result<Packet, GitError> {
        match &packet {
            Packet::Data(content) if content.starts_with(b"ERR ") => {
                Err(self.said(&String::from_utf8_lossy(content.get(4..).unwrap_or_default())))
            }
            _ => Ok(packet),
        }
    }

    fn too_long(&self) -> GitError {
        GitError::TooLarge { remote: self.shown.clone(), what: "an answer of too many bytes".into(), limit: self.cap }
    }

    async fn ended(&mut self) -> GitError {
        match &mut self.link {
            Link::Http(..) => GitError::BrokeOff { remote: self.shown.clone() },
            Link::Ssh(session) => match self.deadline.bound(session.failure()).await {
                Ok(error) => error,
                Err(source) => late(&self.shown, source),
            },
        }
    }
}

fn late(shown: &str, source: crate::transfer::DeadlinePassed) -> GitError {
    GitError::Late { remote: shown.to_owned(), source }
}

fn basic(username: &str, password: &SecretString) -> Credential {
    Credential::Basic { username: username.to_owned(), password: password.clone() }
}
