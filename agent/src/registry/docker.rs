//! Docker's config.json: logins, credential stores and credential helpers.
//!
//! The file is that of docker's command line (`docker login`), which podman and oras write too; helpers speak the protocol
//! of docker-credential-helpers: `docker-credential-NAME get` reads the server on its input and answers with JSON. They are
//! run with a deadline and are ended when it passes.
#![expect(clippy::disallowed_methods, reason = "credential helpers are programs")]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::Credentials;
use crate::transfer::{Deadline, DeadlinePassed};

/// The longest config file that is read, in bytes.
const CONFIG_CAP: u64 = 1024 * 1024;
/// The longest answer of a helper, in bytes.
const ANSWER_CAP: u64 = 64 * 1024;
/// The user name with which a helper says that its secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// Why docker's config gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read docker's config")]
    Read(#[source] io::Error),
    /// The file, or what it says of the registry, is malformed.
    #[error("docker's config is malformed: {0}")]
    Malformed(&'static str),
    /// The credential helper cannot be run.
    #[error("cannot run the credential helper docker-credential-{name}")]
    NoHelper {
        /// The helper's name, without its prefix.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The credential helper failed. What it said may hold secrets, so it is not repeated.
    #[error("the credential helper docker-credential-{0} failed")]
    Helper(String),
    /// The credential helper did not come to an end.
    #[error("the credential helper docker-credential-{name} is late")]
    HelperLate {
        /// The helper's name, without its prefix.
        name: String,
        /// The deadline.
        source: DeadlinePassed,
    },
    /// What we would send cannot stand in a header.
    #[error("the credentials cannot stand in a header")]
    NoHeader,
}

impl CredentialsError {
    pub(super) const fn hint(&self) -> &'static str {
        match self {
            Self::Read(_) => "check the permissions of docker's config.json",
            Self::Malformed(_) => "log in again with docker or podman, or give the credentials in agent.toml",
            Self::NoHelper { .. } => {
                "install it where the PATH of falconer has it, or give the credentials in agent.toml"
            }
            Self::Helper(_) | Self::HelperLate { .. } => {
                "run the helper by hand as the user of falconer, with `get` and the registry on its input"
            }
            Self::NoHeader => "check the files of the credentials: a secret is one line of text",
        }
    }
}

/// The parts of the file that we look at. No `Debug`: it is secret.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

/// A login. Stores leave it empty, or out.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// The answer of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// What the config at `path` has for `registry`; `None` when it, or its helper, has nothing, or when there is no file.
pub(super) async fn look_up(
    path: &Path,
    registry: &str,
    deadline: Deadline,
) -> Result<Option<Credentials>, CredentialsError> {
    let Some(config) = read(path)? else { return Ok(None) };
    // Docker Hub's entry has kept the address of its first API.
    let names: &[&str] =
        if registry == "docker.io" { &["https://index.docker.io/v1/", "docker.io"] } else { &[registry] };
    for name in names {
        if let Some(helper) = of_server(&config.cred_helpers, name) {
            return ask_helper(helper, name, deadline).await;
        }
    }
    for name in names {
        if let Some(found) = of_server(&config.auths, name).map(credentials).transpose()?.flatten() {
            return Ok(Some(found));
        }
    }
    let Some(store) = &config.creds_store else { return Ok(None) };
    for name in names {
        if let Some(found) = ask_helper(store, name, deadline).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Result<Option<Config>, CredentialsError> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(CredentialsError::Read(error)),
    };
    let mut bytes = Vec::new();
    file.take(CONFIG_CAP + 1).read_to_end(&mut bytes).map_err(CredentialsError::Read)?;
    if bytes.len() as u64 > CONFIG_CAP {
        return Err(CredentialsError::Malformed("it is longer than 1 MiB"));
    }
    // The parser's own words may repeat a part of the file.
    let config = serde_json::from_slice(&bytes);
    config.map(Some).map_err(|_| CredentialsError::Malformed("it is not JSON of docker's form"))
}

/// The entry of `server`: that of its name, else one whose key is an address of it.
fn of_server<'a, T>(entries: &'a BTreeMap<String, T>, server: &str) -> Option<&'a T> {
    let host = |key: &str| {
        let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        bare.split('/').next() == Some(server)
    };
    entries.get(server).or_else(|| entries.iter().find(|(key, _)| host(key)).map(|(_, entry)| entry))
}

fn credentials(entry: &Entry) -> Result<Option<Credentials>, CredentialsError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    if let Some(token) = given(&entry.identitytoken) {
        return Ok(Some(Credentials::IdentityToken(token.into())));
    }
    if let Some(token) = given(&entry.registrytoken) {
        return Ok(Some(Credentials::Token(token.into())));
    }
    if let Some(auth) = given(&entry.auth) {
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let pair = GeneralPurpose::new(&STANDARD, lenient).decode(auth).ok();
        let pair = pair.and_then(|pair| String::from_utf8(pair).ok());
        // Old versions of docker ended the pair with a zero byte.
        let pair = pair.as_ref().and_then(|pair| pair.trim_end_matches('\0').split_once(':'));
        let (username, password) =
            pair.ok_or(CredentialsError::Malformed("the entry of the registry cannot be decoded"))?;
        return Ok(Some(Credentials::Basic { username: username.to_owned(), password: password.into() }));
    }
    Ok(given(&entry.username)
        .zip(given(&entry.password))
        .map(|(username, password)| Credentials::Basic { username, password: password.into() }))
}

/// What the helper has for `server`; `None` when it says that it has nothing.
async fn ask_helper(name: &str, server: &str, deadline: Deadline) -> Result<Option<Credentials>, CredentialsError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(CredentialsError::Malformed("it names a credential helper that is no program's name"));
    }
    ask_program(Command::new(format!("docker-credential-{name}")).arg("get"), name, server, deadline).await
}

/// As [`ask_helper`], with `program` and its arguments.
async fn ask_program(
    program: &mut Command,
    name: &str,
    server: &str,
    deadline: Deadline,
) -> Result<Option<Credentials>, CredentialsError> {
    let failed = || CredentialsError::Helper(name.to_owned());
    let mut helper = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| CredentialsError::NoHelper { name: name.to_owned(), source })?;
    let answered = deadline.bound(converse(&mut helper, server)).await;
    let answered = answered.map_err(|source| CredentialsError::HelperLate { name: name.to_owned(), source })?;
    let (succeeded, answer) = answered.map_err(|_| failed())?;
    if !succeeded {
        // docker-credential-helpers, `credentials/error.go`.
        let nothing = String::from_utf8_lossy(&answer).contains("credentials not found");
        return if nothing { Ok(None) } else { Err(failed()) };
    }
    let answer: Answer = serde_json::from_slice(&answer).map_err(|_| failed())?;
    Ok(match answer {
        Answer { secret, .. } if secret.is_empty() => None,
        Answer { username, secret } if username == TOKEN_USER => Some(Credentials::IdentityToken(secret.into())),
        Answer { username, secret } => Some(Credentials::Basic { username, password: secret.into() }),
    })
}

/// Whether the helper succeeded, and what it said.
async fn converse(helper: &mut Child, server: &str) -> io::Result<(bool, Vec<u8>)> {
    if let Some(mut input) = helper.stdin.take() {
        // A helper that ends without reading its input has its reasons, and its exit code says so.
        let _not_read = input.write_all(server.as_bytes()).await;
    }
    let mut answer = Vec::new();
    if let Some(output) = helper.stdout.take() {
        output.take(ANSWER_CAP).read_to_end(&mut answer).await?;
    }
    Ok((helper.wait().await?.success(), answer))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::ExposeSecret;

    use super::*;

    async fn look_up_in(config: &str, registry: &str) -> Result<Option<String>, CredentialsError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        fs_err::write(&path, config).unwrap();
        let found = look_up(&path, registry, Deadline::after(Duration::from_secs(20))).await?;
        Ok(found.map(|found| match found {
            Credentials::Basic { username, password } => format!("{username}:{}", password.expose_secret()),
            Credentials::Token(token) => format!("token {}", token.expose_secret()),
            Credentials::IdentityToken(token) => format!("identity {}", token.expose_secret()),
            other => panic!("{other:?}"),
        }))
    }

    #[tokio::test]
    async fn entries() {
        let config = r#"{"auths": {
            "a.example": {"auth": "YTpiOmM="},
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "b.example": {"identitytoken": "refresh", "auth": "MDA6"},
            "https://c.example/v2/": {"registrytoken": "t"},
            "d.example": {"auth": "%%%"},
            "e.example:5000": {"username": "u", "password": "p"},
            "f.example": {"auth": ""}
        }, "HttpHeaders": {"x": "y"}}"#;
        for (registry, found) in [
            ("a.example", Some("a:b:c")),
            ("docker.io", Some("hub:pw")),
            ("b.example", Some("identity refresh")),
            ("c.example", Some("token t")),
            ("e.example:5000", Some("u:p")),
            ("e.example", None),
            ("f.example", None),
            ("a.example.evil.example", None),
        ] {
            assert_eq!(look_up_in(config, registry).await.unwrap().as_deref(), found, "{registry}");
        }
        assert!(matches!(look_up_in(config, "d.example").await, Err(CredentialsError::Malformed(_))));
        let secret = look_up_in(r#"{"auths": {"a": {"auth": 5, "password": "canary"}}}"#, "a").await.unwrap_err();
        assert!(!format!("{secret} {secret:?}").contains("canary"));
    }

    #[tokio::test]
    async fn helpers_that_cannot_be_run() {
        let config = r#"{"credHelpers": {"a.example": "falconer-has-no-such-helper", "b.example": "../sh"}}"#;
        assert!(matches!(look_up_in(config, "a.example").await, Err(CredentialsError::NoHelper { .. })));
        assert!(matches!(look_up_in(config, "b.example").await, Err(CredentialsError::Malformed(_))));
        assert_eq!(look_up_in(config, "c.example").await.unwrap(), None);
    }

    #[tokio::test]
    async fn answers_of_a_helper() {
        let ask = async |script: &str, seconds| {
            let deadline = Deadline::after(Duration::from_secs(seconds));
            let found = ask_program(Command::new("sh").args(["-c", script]), "test", "a.example", deadline).await;
            found.map(|found| found.map(|found| format!("{found:?}")))
        };
        let answer = r#"echo '{"ServerURL":"a.example","Username":"USER","Secret":"s"}'"#;
        let found = [("u", "Basic"), ("<token>", "IdentityToken")];
        for (user, kind) in found {
            assert_eq!(ask(&answer.replace("USER", user), 20).await.unwrap().unwrap(), kind);
        }
        let reads = "read -r server; [ $server = a.example ] && exit 3; echo 'credentials not found'; exit 1";
        assert!(matches!(ask(reads, 20).await, Err(CredentialsError::Helper(_))));
        assert!(ask("echo credentials not found in native keychain; exit 1", 20).await.unwrap().is_none());
        for bad in ["exit 1", "echo canary", "echo '{}'", "yes canary | head -c 1000000"] {
            let error = ask(bad, 20).await.unwrap_err();
            assert!(matches!(error, CredentialsError::Helper(_)) && !format!("{error:?}").contains("canary"), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_helper_that_hangs_is_ended() {
        let directory = tempfile::tempdir().unwrap();
        let note = directory.path().join("pid");
        let script = format!("echo $$ > {}.new; mv {0}.new {0}; exec sleep 600", note.display());
        let mut program = Command::new("sh");
        let program = program.args(["-c", &script]);
        let deadline = Deadline::after(Duration::from_millis(1500));
        let late = ask_program(program, "test", "a.example", deadline).await;
        assert!(matches!(late, Err(CredentialsError::HelperLate { .. })), "{late:?}");
        let process = format!("/proc/{}", fs_err::read_to_string(&note).unwrap().trim());
        let end = Deadline::after(Duration::from_secs(20));
        let is_gone = async {
            while Path::new(&process).exists() {
                tokio::task::yield_now().await;
            }
        };
        end.bound(is_gone).await.unwrap();
    }

    #[tokio::test]
    async fn no_file_is_no_credentials() {
        let deadline = Deadline::after(Duration::from_secs(1));
        assert!(look_up(Path::new("/nonexistent/config.json"), "a.example", deadline).await.unwrap().is_none());
    }
}
