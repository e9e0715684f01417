//! `falconer index`: the documents that name artifacts.

use falconer_manifests::finding::Findings;
use falconer_manifests::index::{self, Index};
use falconer_manifests::remedy::Remedy;
use serde_json::json;

use super::Failure;
use super::arguments::Arguments;
use super::artifact::arguments::{IndexCommand, Indexes};
use super::artifact::locate;
use super::print::Printer;
use super::table::table;
use crate::pass::PassError;

/// Something is wrong with the index.
const FOUND: u8 = 1;

pub(super) async fn run(arguments: &Arguments, printer: Printer, command: &IndexCommand) -> Result<u8, Failure> {
    match command {
        IndexCommand::List { indexes } => list(printer, indexes),
        IndexCommand::Check { index } => check(arguments, printer, index).await,
    }
}

fn list(printer: Printer, indexes: &Indexes) -> Result<u8, Failure> {
    let places = locate::indexes(indexes)?;
    let rows: Vec<_> = places.iter().map(|place| [place.name.to_string(), place.url.clone()]).collect();
    let values = places.iter().map(|place| json!({"name": place.name, "url": place.url}));
    printer.answer(&table(["NAME", "URL"], &rows), &json!({"indexes": values.collect::<Vec<_>>()}));
    Ok(0)
}

async fn check(arguments: &Arguments, printer: Printer, place: &str) -> Result<u8, Failure> {
    let checked = if place.contains("://") {
        match locate::sources(arguments, std::iter::empty())?.index(place).await {
            Err(PassError::Desired(findings)) => Err(findings),
            other => Ok(other?.1),
        }
    } else {
        read(place)?
    };
    match checked {
        Ok(index) => {
            let count = index.entries().len();
            let text = format!("{count} artifacts, nothing wrong");
            printer.answer(&text, &json!({"index": place, "artifacts": count, "findings": []}));
            Ok(0)
        }
        Err(findings) => {
            let value = json!({"index": place, "findings": findings});
            printer.answer(&findings.to_string(), &value);
            Ok(FOUND)
        }
    }
}

fn read(file: &str) -> Result<Result<Index, Findings>, Failure> {
    let unreadable = |error| {
        let hint = "name an index.yaml that can be read, or a URL".to_string();
        Failure::of(error, Remedy::Operator, Some(hint))
    };
    let bytes = fs_err::read(file).map_err(unreadable)?;
    Ok(index::parse(file, &String::from_utf8_lossy(&bytes)))
}
