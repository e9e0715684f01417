//! Where a repository is.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::{Host, Url};

use super::GitError;

/// The place of a repository. Its `Display` never shows user names or passwords.
#[derive(Debug, Clone)]
pub struct RemoteUrl {
    pub(super) place: Place,
    shown: String,
}

/// The carriers and what each needs to find a repository.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// `https` or `http`; the URL holds no userinfo, and its path does not end in `/`.
    Http { url: Url, userinfo: Option<(String, SecretString)> },
    /// `ssh`.
    Ssh { user: Option<String>, host: String, port: Option<u16>, path: String },
    /// A directory of this machine.
    Local(PathBuf),
}

const FORMS: &str = "use https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH, file:///PATH or a path";

impl RemoteUrl {
    /// Reads a URL or a path in the forms that `git clone` takes: `https://`, `http://`, `ssh://`, `user@host:path`,
    /// `file://`, or a path, relative ones being relative to `base_directory`.
    ///
    /// # Errors
    /// [`GitError::Url`] when it has none of these forms or could be mistaken for an option of `ssh` or `git`.
    pub fn parse(text: &str, base_directory: &Path) -> Result<Self, GitError> {
        if text.is_empty() {
            return Err(refuse("", "is empty", FORMS));
        }
        if text.contains(char::is_control) {
            return Err(refuse("", "has a control character", FORMS));
        }
        if text.starts_with('-') {
            return Err(refuse("", "starts with `-`", FORMS));
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return match scheme {
                "https" | "http" => http(text),
                "ssh" | "git+ssh" | "ssh+git" => ssh(text),
                "file" => file(text),
                _ => Err(refuse("", "has a scheme that is not supported", FORMS)),
            };
        }
        match text.split_once(':') {
            Some((host, _)) if host.contains('/') => Ok(local(base_directory.join(text))),
            Some(_) => scp(text),
            None => Ok(local(base_directory.join(text))),
        }
    }

    /// Whether what is sent to it can be read on the way: plain http to another machine.
    pub(super) fn is_plain(&self) -> bool {
        match &self.place {
            Place::Http { url, .. } => url.scheme() == "http" && !is_loopback(url),
            Place::Ssh { .. } | Place::Local(_) => false,
        }
    }
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

fn http(text: &str) -> Result<RemoteUrl, GitError> {
    let mut url = Url::parse(text).map_err(|_| refuse("", "is not a well-formed URL", FORMS))?;
    let userinfo = match (url.username(), url.password()) {
        ("", None) => None,
        (user, password) => Some((decoded(user)?, SecretString::from(decoded(password.unwrap_or_default())?))),
    };
    // These fail only for URLs that cannot have userinfo, which http URLs can.
    let _cannot_fail = (url.set_username(""), url.set_password(None));
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse(url.host_str().unwrap_or_default(), "has a query or a fragment", FORMS));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    let shown = url.to_string();
    Ok(RemoteUrl { place: Place::Http { url, userinfo }, shown })
}

fn ssh(text: &str) -> Result<RemoteUrl, GitError> {
    let url = Url::parse(text).map_err(|_| refuse("", "is not a well-formed URL", FORMS))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    if url.password().is_some() {
        return Err(refuse(host, "has a password, which ssh does not take from a URL", "use a key (identity_file)"));
    }
    let user = Some(decoded(url.username())?).filter(|user| !user.is_empty());
    let path = decoded(url.path())?;
    // `ssh://host/~user/path` is relative to a home directory, as git has it.
    let path = if path.starts_with("/~") { path.trim_start_matches('/').to_owned() } else { path };
    ssh_place(user, host, url.port(), path)
}

fn scp(text: &str) -> Result<RemoteUrl, GitError> {
    let (user, rest) = match text.rsplit_once('@').filter(|(user, _)| !user.contains([':', '/'])) {
        Some((user, rest)) => (Some(user.to_owned()), rest),
        None => (None, text),
    };
    let (host, path) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => rest.split_once(':'),
    }
    .ok_or_else(|| refuse("", "is neither a URL nor USER@HOST:PATH", FORMS))?;
    if path.starts_with(':') {
        return Err(refuse("", "names a remote helper, which is not supported", FORMS));
    }
    ssh_place(user, host, None, path.to_owned())
}

fn ssh_place(user: Option<String>, host: &str, port: Option<u16>, path: String) -> Result<RemoteUrl, GitError> {
    let name = |text: &str, extra: &str| {
        !text.starts_with('-') && text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    if host.is_empty() || !name(host, ".-_:") {
        return Err(refuse("", "has a host name that ssh must not be given", FORMS));
    }
    if user.as_deref().is_some_and(|user| user.is_empty() || !name(user, ".-_+@")) {
        return Err(refuse(host, "has a user name that ssh must not be given", FORMS));
    }
    if path.trim_matches('/').is_empty() || path.starts_with('-') || path.contains(char::is_control) {
        return Err(refuse(host, "has no path, or one that starts with `-`", FORMS));
    }
    let shown_port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let shown_host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let shown = format!("ssh://{shown_host}{shown_port}/{}", path.trim_start_matches('/'));
    Ok(RemoteUrl { place: Place::Ssh { user, host: host.to_owned(), port, path }, shown })
}

fn file(text: &str) -> Result<RemoteUrl, GitError> {
    let url = Url::parse(text).map_err(|_| refuse("", "is not a well-formed URL", FORMS))?;
    let path = url.to_file_path().map_err(|()| refuse("", "names another machine's file", "use file:///PATH"))?;
    Ok(local(path))
}

fn local(path: PathBuf) -> RemoteUrl {
    RemoteUrl { shown: path.display().to_string(), place: Place::Local(path) }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Undoes percent-encoding (RFC 3986, section 2.1).
fn decoded(text: &str) -> Result<String, GitError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(refuse("", "has a `%` that is not followed by two hex digits", "write `%` itself as %25"));
        };
        bytes.push((high * 16 + low).to_le_bytes()[0]);
    }
    String::from_utf8(bytes).map_err(|_| refuse("", "is not UTF-8 when decoded", FORMS))
}

/// Never holds the text as given: it may have a password in it.
fn refuse(host: &str, problem: &'static str, hint: &'static str) -> GitError {
    let about = if host.is_empty() { String::new() } else { format!(" at {host}") };
    GitError::Url { about, problem, hint }
}

#[cfg(test)]
mod tests;
