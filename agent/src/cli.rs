//! The command line: what was typed, handed to the pass and printed.

mod arguments;
mod artifact;
mod check;
mod collect;
mod diff;
mod doctor;
mod eject;
mod events;
mod history;
mod host;
mod import;
mod index;
mod lock;
mod log;
mod print;
mod progress;
mod rollback;
mod suspend;
mod sync;
mod table;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use falconer_manifests::remedy::Remedy;

use arguments::{Arguments, Command};
use print::Printer;

/// Another falconer holds the state directory: try later (`EX_TEMPFAIL` of sysexits.h).
const TRY_LATER: u8 = 75;
/// The command line cannot be understood (`EX_USAGE` of sysexits.h).
const USAGE: u8 = 64;
/// Something went wrong.
const FAILURE: u8 = 1;

/// What a command ends with when it cannot do its work.
#[derive(Debug)]
pub struct Failure {
    /// What happened, with its causes.
    pub error: Box<dyn std::error::Error>,
    /// The next act.
    pub hint: Option<String>,
    /// Who can end it.
    pub remedy: Remedy,
    /// Whether another falconer is at work.
    pub busy: bool,
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { USAGE } else { 0 };
            // Printing fails only when nobody listens any more.
            let _nobody_listens = error.print();
            return ExitCode::from(code);
        }
    };
    let volume = log::start(&arguments);
    let printer = Printer::new(arguments.output);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(printer, &Failure::of(error, Remedy::Operator, None)),
    };
    let ended = runtime.block_on(run(&arguments, printer, volume));
    // What a thread still waits for, a name server for example, is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => fail(printer, &failure),
    }
}

async fn run(arguments: &Arguments, printer: Printer, volume: log::Volume) -> Result<u8, Failure> {
    match &arguments.command {
        Command::Once { refresh, now } => host::once(arguments, printer, *refresh, *now).await,
        Command::Sync { wait, now, refresh } => {
            let question = crate::socket::Question { wait: *wait, now: *now, refresh: *refresh };
            sync::sync(arguments, printer, question).await
        }
        Command::Suspend(asked) => suspend::suspend(arguments, printer, asked).await,
        Command::Resume => suspend::resume(arguments, printer).await,
        Command::Plan { refresh } => host::plan(arguments, printer, *refresh).await,
        Command::Run => host::run(arguments, volume).await,
        Command::Status => host::status(arguments, printer).await,
        Command::Events { number, since } => events::events(arguments, printer, *number, *since),
        Command::Doctor => doctor::doctor(arguments, printer).await,
        Command::History => history::history(arguments, printer),
        Command::Diff { generation } => diff::diff(arguments, printer, *generation).await,
        Command::Rollback { undo: true, wait, .. } => rollback::undo(arguments, printer, *wait).await,
        Command::Rollback { generation, wait, .. } => rollback::rollback(arguments, printer, *generation, *wait).await,
        Command::Adopt { dry_run } => host::adopt(arguments, printer, *dry_run).await,
        Command::Check(check) => check::check(arguments, printer, check).await,
        Command::Eject { dry_run, restore, to } => {
            eject::eject(arguments, printer, *dry_run, *restore, to.as_deref()).await
        }
        Command::Lock { directory, check, update, allow_downgrade } => {
            let request = lock::Request { check: *check, update: update.as_deref(), may_lower: *allow_downgrade };
            lock::lock(arguments, printer, directory.as_deref(), &request).await
        }
        Command::Collect(request) => collect::collect(printer, request).await,
        Command::Artifact { command } => artifact::run(arguments, printer, command).await,
        Command::Index { command } => index::run(arguments, printer, command).await,
        Command::Import(import) => import::import(printer, import),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Arguments::command(), "falconer", &mut script);
            // Writing fails only when nobody listens any more.
            let _nobody_listens = std::io::Write::write_all(&mut std::io::stdout(), &script);
            Ok(0)
        }
        Command::Man { directory } => {
            clap_mangen::generate_to(Arguments::command(), directory).map_err(|error| {
                Failure::of(
                    error,
                    Remedy::Operator,
                    Some("name a directory that exists and can be written".to_string()),
                )
            })?;
            Ok(0)
        }
    }
}

impl Failure {
    /// A failure with its cause, who can end it, and how.
    pub fn of(error: impl Into<Box<dyn std::error::Error>>, remedy: Remedy, hint: Option<String>) -> Self {
        Self { error: error.into(), hint, remedy, busy: false }
    }
}

fn fail(printer: Printer, failure: &Failure) -> ExitCode {
    printer.failure(failure);
    ExitCode::from(if failure.busy { TRY_LATER } else { FAILURE })
}
