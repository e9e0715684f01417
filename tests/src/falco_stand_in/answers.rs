//! What the stand-in says of itself: versions and the pages of its web server.

use std::collections::BTreeMap;

use falconer_manifests::digest::Digest;
use falconer_manifests::falco_answers::FalcoVersion;
use falconer_manifests::falco_config::serves_metrics;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::configuration::Load;
use super::options::Options;
use super::rules::ENGINE;

/// `--version` as text.
pub(super) fn version_text(release: &FalcoVersion) -> String {
    format!(
        "Falco version: {release}\nLibs version:  0.25.4\nPlugin API:    3.12.0\nEngine:        {ENGINE}\nDriver:\n  API version:    8.0.0\n  Schema version: 4.0.0\n  Default driver: 9.1.0+driver\n"
    )
}

/// `--version` as JSON, and the body of `/versions`.
pub(super) fn version_json(release: &FalcoVersion) -> String {
    json!({
        "default_driver_version": "9.1.0+driver", "driver_api_version": "8.0.0", "driver_schema_version": "4.0.0",
        "engine_version": ENGINE.minor.to_string(), "engine_version_semver": ENGINE.to_string(),
        "falco_version": release.to_string(), "libs_version": "0.25.4", "plugin_api_version": "3.12.0",
    })
    .to_string()
}

/// The pages that one load serves.
#[derive(Debug, Clone)]
pub(super) struct Pages {
    versions: String,
    metrics: Option<String>,
}

impl Pages {
    pub(super) fn of(options: &Options, load: &Load, started: u128, loaded: u128) -> Self {
        let on = serves_metrics(&load.settings) && !options.faults.metrics_off && options.release.is_at_least(0, 38, 0);
        let metrics = on.then(|| metrics(&options.release, load, started, loaded));
        let plugins: BTreeMap<_, _> =
            load.plugins.versions.iter().map(|(name, version)| (name, version.to_string())).collect();
        let said: Result<Value, _> = serde_json::from_str(&version_json(&options.release));
        let versions = said.map(|mut versions| {
            // Absent when there are none.
            if let (Some(versions), false) = (versions.as_object_mut(), plugins.is_empty()) {
                versions.insert("plugin_versions".into(), json!(plugins));
            }
            versions.to_string()
        });
        Self { versions: versions.unwrap_or_default(), metrics }
    }

    fn answer(&self, path: &str) -> (&'static str, &str) {
        match (path, &self.metrics) {
            ("/healthz", _) => ("200 OK", "{\"status\": \"ok\"}"),
            ("/versions", _) => ("200 OK", &self.versions),
            ("/metrics", Some(metrics)) => ("200 OK", metrics),
            _ => ("404 Not Found", ""),
        }
    }
}

fn metrics(release: &FalcoVersion, load: &Load, started: u128, loaded: u128) -> String {
    let mut text = format!("falcosecurity_falco_version_info{{version=\"{release}\"}} 1\n");
    for (kind, files) in [("rules", &load.rules_files), ("config", &load.config_files)] {
        for (name, digest) in files {
            text.push_str(&digest_series(release, kind, name, digest));
        }
    }
    if release.is_at_least(0, 41, 0) {
        text.push_str(&format!("falcosecurity_falco_reload_timestamp_nanoseconds {loaded}\n"));
    }
    text + &format!("falcosecurity_falco_start_timestamp_nanoseconds {started}\n")
}

fn digest_series(release: &FalcoVersion, kind: &str, name: &str, digest: &Digest) -> String {
    let hex = digest.hex();
    if release.is_at_least(0, 39, 0) {
        let metric = format!("falcosecurity_falco_sha256_{kind}_files_info");
        return format!(
            "# HELP {metric} https://falco.org/docs/metrics/\n# TYPE {metric} gauge\n{metric}{{file_name=\"{name}\",sha256=\"{hex}\"}} 1\n"
        );
    }
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let label = format!("falco_sha256_{kind}_file_{}", stem.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    format!("falcosecurity_falco_{label}_info{{raw_name=\"{label}\",{label}=\"{hex}\"}} 1\n")
}

/// Serves the pages for ever.
pub(super) async fn serve(listener: TcpListener, pages: Pages) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let pages = pages.clone();
            tokio::spawn(async move {
                // A client that went away is its own business.
                let _sent = answer(stream, &pages).await;
            });
        }
    }
}

async fn answer(mut stream: TcpStream, pages: &Pages) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 1024];
        let read = stream.read(&mut piece).await?;
        if read == 0 || request.len() > 16_384 {
            return Ok(());
        }
        request.extend_from_slice(piece.get(..read).unwrap_or_default());
    }
    let request = String::from_utf8_lossy(&request);
    let (status, body) = pages.answer(request.split(' ').nth(1).unwrap_or_default());
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
