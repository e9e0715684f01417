//! `falconer check`: a desired-state repository or single rules files, before they are committed.
#![expect(clippy::disallowed_methods, reason = "an author's working copy is read here, not a host")]

mod repository;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use falconer_manifests::finding::{Finding, Findings, Location};
use falconer_manifests::remedy::Remedy;
use falconer_manifests::rules;
use serde_json::json;

use super::arguments::Arguments;
use super::print::Printer;
use super::{FAILURE, Failure};
use crate::falco::{self, Presence, Validity};

/// How long Falco may take for all files.
const DEADLINE: Duration = Duration::from_secs(120);
/// Where Falco's packages put it.
const FALCO: &str = "/usr/bin/falco";

/// What can be typed after `falconer check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Directories that hold a fleet.yaml, or rules files in the order in which Falco loads them [default: the current directory]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Falco's program, which knows fields and conditions [default: /usr/bin/falco where there is one]
    #[arg(long, value_name = "PROGRAM")]
    falco: Option<PathBuf>,
    /// A falco.yaml that loads the plugins that the rules need
    #[arg(long, value_name = "FILE")]
    falco_config: Option<PathBuf>,
}

/// What is to be checked, and what was found so far.
#[derive(Default)]
struct Found {
    findings: Vec<Finding>,
    /// Rules files as they are on this disk, with the names that findings give them, in the order of loading.
    rules: Vec<(PathBuf, String)>,
    /// What of that order cannot be had here, so that Falco cannot judge the rest.
    missing: Option<String>,
}

pub(super) async fn check(arguments: &Arguments, printer: Printer, asked: &Check) -> Result<u8, Failure> {
    let here = [PathBuf::from(".")];
    let paths = if asked.paths.is_empty() { &here } else { asked.paths.as_slice() };
    let work = super::lock::WorkDirectory::new()?;
    let mut found = Found::default();
    for path in paths {
        match path.is_dir() {
            true => repository::check(arguments, path, work.path(), &mut found).await?,
            false => rules_file(path, &shown(path), &mut found)?,
        }
    }
    let (validation, why) =
        if found.findings.is_empty() { by_falco(asked, &mut found, work.path()).await? } else { (None, None) };
    found.findings.sort();
    found.findings.dedup();
    let valid = found.findings.is_empty();
    let word = validation.unwrap_or_else(|| "unvalidated".to_string());
    let because = why.map(|why| format!(" ({why})")).unwrap_or_default();
    let said: Vec<_> = found.findings.iter().map(ToString::to_string).collect();
    let verdict = match (valid, found.rules.len()) {
        (true, files) => format!("valid: {files} rules files, {word}{because}"),
        (false, _) => format!("{}\n{} found", said.join("\n"), said.len()),
    };
    let findings: Vec<_> = (found.findings.iter())
        .map(|Finding { location: Location { file, line, column }, message, hint }| {
            json!({"file": file, "line": line, "column": column, "message": message, "hint": hint})
        })
        .collect();
    printer.answer(&verdict, &json!({"valid": valid, "validation": word, "findings": findings}));
    Ok(if valid { 0 } else { FAILURE })
}

/// Checks the structure of one rules file and puts it in the order of loading.
fn rules_file(path: &Path, name: &str, found: &mut Found) -> Result<(), Failure> {
    let bytes = fs_err::read(path).map_err(|error| {
        Failure::of(
            error,
            Remedy::Operator,
            Some("name a rules file, or a directory that holds fleet.yaml".to_string()),
        )
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => take(rules::check(name, &text), &mut found.findings),
        Err(_) => found.findings.push(finding(name, "is not UTF-8", "save it as UTF-8")),
    }
    found.rules.push((path.to_path_buf(), name.to_string()));
    Ok(())
}

/// What the real Falco says of the rules: its release, when it had its say, else why it had not.
async fn by_falco(asked: &Check, found: &mut Found, work: &Path) -> Result<(Option<String>, Option<String>), Failure> {
    let program = asked.falco.clone().unwrap_or_else(|| PathBuf::from(FALCO));
    if !program.exists() {
        return match &asked.falco {
            None => Ok((None, Some("there is no Falco here".to_string()))),
            Some(program) => {
                let hint = "name Falco's program, or leave --falco out".to_string();
                Err(Failure::of(format!("there is no {}", program.display()), Remedy::Operator, Some(hint)))
            }
        };
    }
    if let Some(missing) = &found.missing {
        return Ok((None, Some(missing.clone())));
    }
    if found.rules.is_empty() {
        return Ok((None, Some("there are no rules".to_string())));
    }
    let config_file = match &asked.falco_config {
        Some(file) => file.clone(),
        None => {
            let empty = work.join("falco.yaml");
            fs_err::write(&empty, "").map_err(crate::pass::PassError::Write)?;
            empty
        }
    };
    let release = match falco::version_of(&program, &config_file, DEADLINE).await {
        Ok(Presence::Present(versions)) => format!("falco {}", versions.falco),
        Ok(Presence::Absent) | Err(_) => "falco".to_string(),
    };
    let files: Vec<_> = found.rules.iter().map(|(path, _)| path.clone()).collect();
    match falco::validate(&program, &config_file, &files, DEADLINE).await {
        Validity::Valid => {}
        Validity::CannotRun(why) => return Ok((None, Some(why))),
        Validity::Invalid(said) => {
            let name = |file: &str| {
                let known = found.rules.iter().find(|(path, _)| path.to_str() == Some(file));
                known.map_or(file, |(_, name)| name).to_string()
            };
            let hint = "correct the rules; this is what Falco says of them";
            let findings = said.findings.iter().map(|said| Finding {
                location: Location { file: name(&said.file), line: said.line, column: said.column },
                message: said.code.as_ref().map_or(said.message.clone(), |code| format!("{} ({code})", said.message)),
                hint: hint.to_string(),
            });
            let mut findings: Vec<_> = findings.collect();
            if findings.is_empty() {
                findings.push(finding("falco -V", &said.tail, hint));
            }
            found.findings.append(&mut findings);
        }
    }
    Ok((Some(release), None))
}

fn take<T>(checked: Result<T, Findings>, findings: &mut Vec<Finding>) {
    if let Err(more) = checked {
        findings.extend_from_slice(more.as_slice());
    }
}

fn finding(file: &str, message: &str, hint: &str) -> Finding {
    let location = Location { file: file.to_string(), line: 0, column: 0 };
    Finding { location, message: message.to_string(), hint: hint.to_string() }
}

/// A path as it was typed, without a needless beginning.
fn shown(path: &Path) -> String {
    let text = path.display().to_string();
    text.strip_prefix("./").unwrap_or(&text).to_string()
}
