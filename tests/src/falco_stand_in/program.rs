//! The life of the program: start, reload, end.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use falconer_manifests::falco_config::{is_on, reload_is_noop};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::UnboundedReceiver;

use super::answers::{Pages, serve, version_json, version_text};
use super::configuration::{Load, Refused, load};
use super::options::{Options, options};
use super::plugins::{Phase, kept, mapped};
use super::rules;
use super::watch::watch;

/// When the process was started, in nanoseconds since 1970; set from the first reload on.
const STARTED: &str = "FALCO_STAND_IN_STARTED";
/// How long a first start takes until SIGHUP is safe, and how long after a reload, with 93 rules on an idle machine.
const START: Duration = Duration::from_millis(150);
const RESTART: Duration = Duration::from_millis(300);
/// How long it must be quiet before the dry run of a reload, and again after it.
const QUIET: Duration = Duration::from_millis(100);

/// Runs the stand-in with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    let run = options(std::env::args().skip(1)).and_then(|options| run(&options));
    run.unwrap_or_else(|error| {
        say(&mut io::stderr(), &format!("Error: {error}"));
        ExitCode::FAILURE
    })
}

/// A pipe that nobody reads is no reason to end.
fn say(output: &mut impl io::Write, line: &str) {
    let _said = writeln!(output, "{line}").and_then(|()| output.flush());
}

fn run(options: &Options) -> Result<ExitCode, String> {
    let refused = |Refused { before, error }| {
        let _said = io::stderr().write_all(before.as_bytes());
        error
    };
    let json = options.settings.iter().any(|option| option == "json_output=true");
    if options.version_only {
        if options.config_file_given && !options.config_file.exists() {
            return Err(format!("could not read {}", options.config_file.display()));
        }
        let release = &options.release;
        say(&mut io::stdout(), &if json { version_json(release) } else { version_text(release) });
        return Ok(ExitCode::SUCCESS);
    }
    if !options.validate.is_empty() {
        return rules::validate(&options.validate, json);
    }
    let load = load(options, &mapped(), Phase::Start).map_err(refused)?;
    if options.dry_run {
        std::thread::sleep(options.faults.slow_dry_run.unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(live(options, load))
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos())
}

async fn live(options: &Options, load: Load) -> Result<ExitCode, String> {
    say(&mut io::stderr(), &format!("Falco version: {}", options.release));
    let started = std::env::var(STARTED).ok().and_then(|text| text.parse().ok());
    let is_reload = started.is_some();
    if is_reload && options.faults.die_at_reload {
        return Err("Runtime error: an error occurred while opening the source. Exiting.".into());
    }
    // Until here and for this long nobody catches SIGHUP.
    let slow = options.faults.slow_reload.filter(|_| is_reload);
    tokio::time::sleep(slow.unwrap_or(if is_reload { RESTART } else { START })).await;

    let started = started.unwrap_or_else(now);
    let failed = |error: io::Error| error.to_string();
    let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    if is_on(&load.settings, &["webserver", "enabled"], false) {
        let port =
            load.settings.get("webserver").and_then(|webserver| webserver.get("listen_port")?.as_u64()).unwrap_or(8765);
        // On loopback whatever listen_address says: this is a test.
        let listener = TcpListener::bind(("127.0.0.1", u16::try_from(port).unwrap_or(8765))).await;
        let listener =
            listener.map_err(|_| "Runtime error: an error occurred while starting webserver. Exiting.".to_owned())?;
        say(&mut io::stderr(), &format!("Starting health webserver, listening on 127.0.0.1:{port}"));
        tokio::spawn(serve(listener, Pages::of(options, &load, started, now())));
    }
    let (_nobody, mut changed) =
        match options.faults.watch_files && is_on(&load.settings, &["watch_config_files"], true) {
            true => (None, watch(&load.watched).map_err(failed)?),
            false => {
                let (tell, told) = tokio::sync::mpsc::unbounded_channel();
                (Some(tell), told)
            }
        };
    let crash = options.faults.crash_after_reload.filter(|_| is_reload);
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = until(crash) => std::process::abort(),
            _ = hangup.recv() => {
                if options.faults.ignore_sighup {
                    say(&mut io::stderr(), "SIGHUP ignored");
                }
                if options.faults.ignore_sighup || reload_is_noop(Some(&options.release), &load.settings) {
                    continue;
                }
                if would_start(options, &load, &mut hangup, &mut changed).await {
                    return Err(restart(started, &load).to_string());
                }
            }
            _ = changed.recv() => {
                if would_start(options, &load, &mut hangup, &mut changed).await {
                    return Err(restart(started, &load).to_string());
                }
            }
        }
    }
    say(&mut io::stderr(), "SIGINT received, exiting...");
    Ok(ExitCode::SUCCESS)
}

async fn until(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// The dry run between two quiet times; a signal or a change in either starts over, so that several make one reload.
async fn would_start(
    options: &Options,
    running: &Load,
    hangup: &mut Signal,
    changed: &mut UnboundedReceiver<()>,
) -> bool {
    loop {
        if tokio::time::timeout(QUIET, asked(hangup, changed)).await.is_ok() {
            continue;
        }
        if let Err(Refused { before, error }) = load(options, &running.plugins.mapped, Phase::DryRun) {
            let _said = io::stderr().write_all(before.as_bytes());
            let alert = format!("08:00:00.000000000: Critical Falco internal: hot restart failure: {error} ()");
            say(&mut io::stdout(), &alert);
            return false;
        }
        if tokio::time::timeout(QUIET, asked(hangup, changed)).await.is_err() {
            say(&mut io::stderr(), "SIGHUP received, restarting...");
            return true;
        }
    }
}

async fn asked(hangup: &mut Signal, changed: &mut UnboundedReceiver<()>) {
    tokio::select! {
        _ = hangup.recv() => {}
        _ = changed.recv() => {}
    }
}

/// Starts over inside the same process: handlers become the default ones, sockets close. Returns only when that fails.
fn restart(started: u128, load: &Load) -> io::Error {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => return error,
    };
    let arguments: Vec<String> = std::env::args().collect();
    let (name, rest) = arguments.split_first().map_or(("falco", [].as_slice()), |(name, rest)| (name.as_str(), rest));
    let (name_of_mapped, mapped) = kept(&load.plugins.mapped);
    let mut command = Command::new(program);
    command.arg0(name).args(rest).env(STARTED, started.to_string()).env(name_of_mapped, mapped).exec()
}
