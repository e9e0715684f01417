//! `falconer artifact`: publishes artifacts and looks at them.

pub(super) mod arguments;
mod info;
mod list;
pub(super) mod locate;
mod pull;
mod push;
mod show;

use falconer_manifests::finding::Malformed;
use falconer_manifests::oci::Platform;
use falconer_manifests::remedy::Remedy;

use super::Failure;
use super::arguments::Arguments;
use super::print::Printer;
use crate::pass::InspectError;
use arguments::ArtifactCommand;

pub(super) async fn run(arguments: &Arguments, printer: Printer, command: &ArtifactCommand) -> Result<u8, Failure> {
    match command {
        ArtifactCommand::Push(push) => push::push(arguments, printer, push).await,
        ArtifactCommand::Pull(pull) => pull::pull(arguments, printer, pull).await,
        ArtifactCommand::Info { references, place } => info::info(arguments, printer, references, place).await,
        ArtifactCommand::Config(show) => show::config(arguments, printer, show).await,
        ArtifactCommand::Manifest(show) => show::manifest(arguments, printer, show).await,
        ArtifactCommand::List { kind, index, indexes } => {
            list::list(arguments, printer, *kind, index.as_deref(), indexes).await
        }
        ArtifactCommand::Search { keywords, min_score, kind, indexes } => {
            list::search(arguments, printer, keywords, *min_score, *kind, indexes).await
        }
    }
}

/// A word on the command line that does not have its form.
fn malformed(error: Malformed) -> Failure {
    let hint = error.hint.to_string();
    Failure::of(error, Remedy::Operator, Some(hint))
}

/// The platform that was given, else this machine's.
fn platform(given: Option<&str>) -> Result<Platform, Failure> {
    match given {
        Some(text) => Platform::parse(text).map_err(malformed),
        None => Ok(Platform::from_rust(std::env::consts::OS, std::env::consts::ARCH)),
    }
}

impl From<InspectError> for Failure {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Source(error) => error.into(),
            error => {
                let (remedy, hint) = (error.remedy(), error.hint());
                Self::of(error, remedy, hint)
            }
        }
    }
}
