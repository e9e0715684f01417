//! The hooks room: tells commands and webhooks that the host's condition has changed.
//!
//! A hook is told of the newest change that it has not been told of; one run at a time, each with a deadline. What goes
//! wrong in a hook is logged, and is nobody else's matter.
#![expect(clippy::disallowed_methods, reason = "this room starts the commands that the settings name")]

mod event;
mod signature;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::watch;

use crate::error::chain;
use crate::outbound::{Credential, Endpoint, OutboundError};
use crate::settings::hooks::{Action, Hook};
use crate::transfer::{Deadline, DeadlinePassed};

pub use event::{Event, EventError};

/// Where commands look for other programs. Nothing else of our environment is theirs.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How long the last words of a command that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// How much of what a command says on stderr is logged.
const SAID: u64 = 1024;

/// The hooks of an agent.
#[derive(Debug)]
pub struct Hooks {
    each: Vec<Told>,
    client: reqwest::Client,
}

/// One hook and how it is told.
#[derive(Debug)]
struct Told {
    hook: Hook,
    /// To the task that runs it, where there is one.
    task: Option<watch::Sender<Option<Event>>>,
}

/// Why a hook has not done its work.
#[derive(Debug, thiserror::Error)]
enum HookError {
    #[error("it cannot be started")]
    Start(#[source] std::io::Error),
    #[error("it {0}")]
    Late(DeadlinePassed),
    #[error("it ended with {0}")]
    Failed(String),
    #[error(transparent)]
    Webhook(#[from] OutboundError),
}

impl Hooks {
    /// The hooks of `settings`; `client` is for webhooks.
    #[must_use]
    pub fn new(hooks: &[Hook], client: reqwest::Client) -> Self {
        Self { each: hooks.iter().map(|hook| Told { hook: hook.clone(), task: None }).collect(), client }
    }

    /// From now on hooks run on their own, and nobody waits for them. To be called where tokio runs.
    pub fn start(&mut self) {
        for told in &mut self.each {
            let (sender, mut events) = watch::channel(None::<Event>);
            let (hook, client) = (told.hook.clone(), self.client.clone());
            tokio::spawn(async move {
                while events.changed().await.is_ok() {
                    let event = events.borrow_and_update().clone();
                    if let Some(event) = event {
                        run(&hook, &event, &client).await;
                    }
                }
            });
            told.task = Some(sender);
        }
    }

    /// Tells every hook that wants to know. Without [`Hooks::start`] this waits for them, each up to its deadline.
    pub async fn tell(&self, event: &Event) {
        let mut running = Vec::new();
        for told in self.each.iter().filter(|told| wants(&told.hook, event)) {
            match &told.task {
                Some(task) => drop(task.send_replace(Some(event.clone()))),
                None => running.push(run(&told.hook, event, &self.client)),
            }
        }
        futures_util::future::join_all(running).await;
    }
}

fn wants(hook: &Hook, event: &Event) -> bool {
    hook.conditions.as_ref().is_none_or(|conditions| conditions.contains(&event.condition))
}

async fn run(hook: &Hook, event: &Event, client: &reqwest::Client) {
    let json = event.json();
    let done = match &hook.action {
        Action::Command(command) => told_by_command(command, hook.deadline, json).await,
        Action::Webhook(url, secret) => posted(url.as_str(), secret.as_ref(), hook.deadline, client, json).await,
    };
    let (hook, condition) = (hook.name.as_str(), event.condition.as_str());
    match done {
        Ok(()) => tracing::info!(hook, condition, "told"),
        Err(error) => tracing::warn!(hook, condition, "a hook was not told: {}", chain(&error)),
    }
}

async fn posted(
    url: &str,
    secret: Option<&SecretString>,
    deadline: Duration,
    client: &reqwest::Client,
    json: String,
) -> Result<(), HookError> {
    let endpoint = Endpoint::new(url, Credential::None, deadline, client.clone())?;
    let signed = secret.map(|secret| signature::hmac_sha256(secret.expose_secret().as_bytes(), json.as_bytes()));
    let headers = signed.map(|digest| ("X-Falconer-Signature-256", format!("sha256={}", digest.hex())));
    Ok(endpoint.post(json, headers.as_slice()).await?)
}

async fn told_by_command(command: &[String], deadline: Duration, json: String) -> Result<(), HookError> {
    let [program, arguments @ ..] = command else { return Ok(()) };
    let mut started = Command::new(Path::new(program));
    started.args(arguments).current_dir("/").env_clear().env("PATH", SEARCH).env("LC_ALL", "C");
    started.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).process_group(0);
    let mut child = started.spawn().map_err(HookError::Start)?;
    let mut group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let heard = tokio::spawn(async move {
        let mut said = Vec::new();
        if let Some(mut stderr) = stderr {
            // What it says is for the log only; the rest is read so that it does not block.
            let _heard = (&mut stderr).take(SAID).read_to_end(&mut said).await;
            let _rest = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
        }
        said
    });
    let fed = async {
        if let Some(mut stdin) = stdin {
            // A command need not read it.
            let _unread = stdin.write_all(json.as_bytes()).await;
        }
        std::future::pending().await
    };
    let ended = async {
        tokio::select! {
            status = child.wait() => status,
            never = fed => never,
        }
    };
    let status = Deadline::after(deadline).bound(ended).await.map_err(HookError::Late)?.map_err(HookError::Start)?;
    group.0 = None;
    if status.success() {
        return Ok(());
    }
    // What it leaves running may hold stderr open.
    let said = tokio::time::timeout(LAST_WORDS, heard).await.ok().and_then(Result::ok).unwrap_or_default();
    let said: String = String::from_utf8_lossy(&said).split_whitespace().collect::<Vec<_>>().join(" ");
    Err(HookError::Failed(if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }))
}

/// The processes of a command that has not ended. They are ended when this is dropped.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // There may be none left.
            let _ended = kill_process_group(group, Signal::KILL);
        }
    }
}
