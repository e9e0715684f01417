//! `artifact config` and `artifact manifest`: documents as they are stored.

use falconer_manifests::oci::Platform;

use super::arguments::Show;
use super::locate::{Located, locate};
use super::{malformed, platform};
use crate::cli::Failure;
use crate::cli::arguments::Arguments;
use crate::cli::print::Printer;
use crate::pass::Sources;

/// Prints the config blob of the artifact for a platform.
pub(super) async fn config(arguments: &Arguments, printer: Printer, show: &Show) -> Result<u8, Failure> {
    let (sources, located) = find(arguments, show).await?;
    for Located { reference, .. } in located {
        let document = sources.document(&reference).await?;
        let platform = platform(show.platform.as_deref())?;
        let (_, manifest) = sources.for_platform(&reference, document, &platform).await?;
        printer.bytes(&sources.config(&reference.source, &manifest).await?);
    }
    Ok(0)
}

/// Prints the document that the reference names, or the manifest for the platform that was given.
pub(super) async fn manifest(arguments: &Arguments, printer: Printer, show: &Show) -> Result<u8, Failure> {
    let (sources, located) = find(arguments, show).await?;
    for Located { reference, .. } in located {
        let document = sources.document(&reference).await?;
        let document = match &show.platform {
            None => document,
            Some(text) => {
                let platform = Platform::parse(text).map_err(malformed)?;
                sources.for_platform(&reference, document, &platform).await?.0
            }
        };
        printer.bytes(&document.bytes);
    }
    Ok(0)
}

async fn find(arguments: &Arguments, show: &Show) -> Result<(Sources, Vec<Located>), Failure> {
    locate(arguments, &show.place, std::slice::from_ref(&show.reference)).await
}
