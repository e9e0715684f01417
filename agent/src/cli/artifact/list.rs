//! `artifact list` and `artifact search`: what the indexes know.

use falconer_manifests::artifact::ArtifactType;
use falconer_manifests::index::{self, IndexEntry};
use falconer_manifests::name::IndexName;
use falconer_manifests::remedy::Remedy;
use serde_json::{Value, json};

use super::arguments::{Indexes, Kind};
use super::locate::{self, Known, known};
use crate::cli::Failure;
use crate::cli::arguments::Arguments;
use crate::cli::print::Printer;
use crate::cli::table::table;

pub(super) async fn list(
    arguments: &Arguments,
    printer: Printer,
    kind: Option<Kind>,
    index: Option<&str>,
    places: &Indexes,
) -> Result<u8, Failure> {
    if let Some(index) = index {
        let places = locate::indexes(places)?;
        if !places.iter().any(|place| place.name.as_str() == index) {
            let names: Vec<_> = places.iter().map(|place| place.name.as_str()).collect();
            let hint = format!("the indexes are: {}", names.join(", "));
            return Err(Failure::of(format!("there is no index `{index}`"), Remedy::Operator, Some(hint)));
        }
    }
    let known = known(arguments, places).await?;
    let entries = known.entries.values();
    let chosen = entries.filter(|(from, entry)| is_of(entry, kind) && index.is_none_or(|index| from.as_str() == index));
    let chosen: Vec<_> = chosen.map(|(index, entry)| (index, entry, None)).collect();
    print(printer, &known, &chosen);
    Ok(0)
}

pub(super) async fn search(
    arguments: &Arguments,
    printer: Printer,
    keywords: &[String],
    min_score: f64,
    kind: Option<Kind>,
    places: &Indexes,
) -> Result<u8, Failure> {
    let known = known(arguments, places).await?;
    let entries = known.entries.values().filter(|(_, entry)| is_of(entry, kind));
    let mut found: Vec<_> = entries
        .filter_map(|(index, entry)| Some((index, entry, Some(index::score(entry, keywords, min_score)?))))
        .collect();
    // The best first; the entries are sorted by name already.
    found.sort_by(|(_, _, a), (_, _, b)| b.unwrap_or_default().total_cmp(&a.unwrap_or_default()));
    print(printer, &known, &found);
    if found.is_empty() {
        printer.aside("no name and no keyword is like that; a lower --min-score finds more");
    }
    Ok(0)
}

fn is_of(entry: &IndexEntry, kind: Option<Kind>) -> bool {
    kind.is_none_or(|kind| entry.kind.as_deref() == Some(ArtifactType::from(kind).as_str()))
}

fn print(printer: Printer, known: &Known, entries: &[(&IndexName, &IndexEntry, Option<f64>)]) {
    let rows = entries.iter().map(|(index, entry, _)| {
        [
            index.to_string(),
            entry.name.to_string(),
            entry.kind.clone().unwrap_or_default(),
            entry.source.to_string(),
            entry.description.clone(),
        ]
    });
    let mut text = table(["INDEX", "ARTIFACT", "TYPE", "SOURCE", "DESCRIPTION"], &rows.collect::<Vec<_>>());
    for (name, index, counts) in &known.shadowed {
        text.push_str(&format!("`{name}` of index {index} is not used: index {counts} has it too\n"));
    }
    let artifacts: Vec<Value> = entries.iter().map(|(index, entry, score)| value(index, entry, *score)).collect();
    let shadowed = known.shadowed.iter().map(|(name, index, by)| json!({"name": name, "index": index, "by": by}));
    printer.answer(&text, &json!({"artifacts": artifacts, "shadowed": shadowed.collect::<Vec<_>>()}));
}

fn value(index: &IndexName, entry: &IndexEntry, score: Option<f64>) -> Value {
    let mut value = json!({
        "index": index,
        "name": entry.name,
        "type": entry.kind,
        "source": entry.source,
        "description": entry.description,
        "home": entry.home,
        "keywords": entry.keywords,
        "license": entry.license,
        "signed": entry.cosign.is_some(),
    });
    if let (Some(score), Some(value)) = (score, value.as_object_mut()) {
        value.insert("score".to_string(), json!(score));
    }
    value
}
