//! The files that tell: `pass.json` in the runtime directory, and the textfile of metrics.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use falconer_manifests::metrics_text::{Format, Measured, render};
use falconer_manifests::status::{LastPass, Status};

use crate::error::chain;
use crate::layout::directory::{Directory, FILE_MODE, FileError};
use crate::settings::Settings;

const PASS: &str = "pass.json";
const PASS_TEMPORARY: &str = ".pass.json.tmp";
/// The longest pass.json, in bytes.
const PASS_CAP: u64 = 1 << 20;
/// The longest textfile, in bytes.
const METRICS_CAP: u64 = 8 << 20;

/// Where the files are.
#[derive(Debug)]
pub(super) struct Files {
    runtime: PathBuf,
    textfile: Option<PathBuf>,
}

impl Files {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { runtime: settings.runtime.clone(), textfile: settings.metrics.textfile.clone() }
    }

    pub(super) fn last_pass(&self) -> Option<LastPass> {
        read_last_pass(&self.runtime)
    }

    pub(super) fn keep_last_pass(&self, pass: &LastPass) {
        let Ok(json) = serde_json::to_string_pretty(pass) else { return };
        let kept = Directory::open_or_create(&self.runtime).and_then(|directory| place_in_memory(&directory, &json));
        if let Err(error) = kept {
            tracing::debug!("the time of this pass cannot be kept: {}", chain(&error));
        }
    }

    /// Writes the textfile where it would differ. Its time of modification is that of the last pass in any case, which
    /// node_exporter tells as `node_textfile_mtime_seconds`.
    pub(super) fn keep_metrics(&self, status: &Status, at: u64) {
        let Some(path) = &self.textfile else { return };
        let version = env!("CARGO_PKG_VERSION");
        let measured = Measured { version, status: Some(status), last_pass: None, counts: None };
        let text = render(&measured, Format::Prometheus);
        let kept = place(path, text.as_bytes()).and_then(|()| {
            let touched = fs_err::File::open(path)
                .and_then(|file| file.file().set_modified(UNIX_EPOCH + Duration::from_secs(at)));
            touched.map_err(|source| FileError::new("set the time of", path, source))
        });
        if let Err(error) = kept {
            tracing::warn!("the metrics cannot be kept: {}", chain(&error));
        }
    }
}

/// Replaces pass.json in one step, and does not wait for a disk: after a crash of the machine nobody asks for it.
fn place_in_memory(runtime: &Directory, json: &str) -> Result<(), FileError> {
    runtime.remove_file_if_there(PASS_TEMPORARY)?;
    let mut file = runtime.create_file(PASS_TEMPORARY, FILE_MODE)?;
    file.write_all(format!("{json}\n").as_bytes())?;
    runtime.rename(PASS_TEMPORARY, PASS)
}

fn place(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let invalid = || FileError::new("write", path, std::io::ErrorKind::InvalidInput.into());
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(invalid)?;
    let directory = Directory::open(path.parent().ok_or_else(invalid)?)?;
    if directory.read_file(name, METRICS_CAP).ok().flatten().as_deref() == Some(content) {
        return Ok(());
    }
    // node_exporter reads nothing that does not end in .prom.
    directory.place_file(name, &format!(".{name}.tmp"), content)
}

/// The last pass, as the runtime directory remembers it; `None` where it does not.
#[must_use]
pub fn last_pass(settings: &Settings) -> Option<LastPass> {
    read_last_pass(&settings.runtime)
}

fn read_last_pass(runtime: &Path) -> Option<LastPass> {
    let bytes = Directory::open(runtime).ok()?.read_file(PASS, PASS_CAP).ok()??;
    serde_json::from_slice(&bytes).ok()
}
