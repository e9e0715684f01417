//! `[metrics]`: who is told how the host is.

use std::path::PathBuf;

use super::{Files, SettingsError, document};
use crate::http::Listen;

/// Who is told how the host is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Where it can be asked over HTTP; `None`: nowhere.
    pub listen: Option<Listen>,
    /// The file for the textfile collector of node_exporter.
    pub textfile: Option<PathBuf>,
}

pub(super) fn check(files: &Files<'_>, written: document::Metrics) -> Result<Metrics, SettingsError> {
    let listen = written.listen.map(|text| listen(files, "metrics.listen", &text)).transpose()?;
    let textfile = written.textfile.map(|path| files.base.join(path));
    if let Some(path) = textfile.as_ref().filter(|path| path.extension().is_none_or(|extension| extension != "prom")) {
        let problem = format!("`{}` does not end in .prom", path.display());
        let hint = "node_exporter reads files that end in .prom and no others, e.g. falconer.prom";
        return Err(files.refused("metrics.textfile", &problem, hint));
    }
    Ok(Metrics { listen, textfile })
}

/// Where to listen, as `key` says it: `ADDRESS:PORT` or `unix:PATH`.
pub(super) fn listen(files: &Files<'_>, key: &str, text: &str) -> Result<Listen, SettingsError> {
    if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
        return Ok(Listen::Socket(files.base.join(path)));
    }
    let hint = "write an address with a port, like 127.0.0.1:9376 or [::1]:9376, or a socket, like unix:/run/falconer/metrics.sock";
    text.parse()
        .map(Listen::Address)
        .map_err(|_| files.refused(key, &format!("`{text}` is neither an address with a port nor a socket"), hint))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn checked(listen: &str) -> Result<Option<Listen>, SettingsError> {
        let files = Files { settings: "agent.toml", base: Path::new("/etc/falconer"), credentials: None };
        let written = document::Metrics { listen: Some(listen.to_owned()), textfile: None };
        check(&files, written).map(|metrics| metrics.listen)
    }

    #[test]
    fn addresses_and_sockets() {
        for (text, open) in
            [("127.0.0.1:0", false), ("[::1]:9376", false), ("0.0.0.0:9376", true), ("unix:a.sock", false)]
        {
            assert_eq!(checked(text).unwrap().unwrap().is_open(), open, "{text}");
        }
        assert_eq!(checked("unix:a.sock").unwrap(), Some(Listen::Socket("/etc/falconer/a.sock".into())));
        for wrong in ["", "9376", "localhost:9376", "unix:", "http://127.0.0.1:9376", "127.0.0.1"] {
            let error = checked(wrong).unwrap_err();
            assert!(error.to_string().contains("metrics.listen") && error.hint().contains("127.0.0.1:9376"), "{error}");
        }
    }

    #[test]
    fn a_textfile_that_nobody_reads_is_refused() {
        let files = Files { settings: "agent.toml", base: Path::new("/etc/falconer"), credentials: None };
        let with = |path: &str| check(&files, document::Metrics { listen: None, textfile: Some(path.into()) });
        assert!(with("falconer.txt").unwrap_err().to_string().contains(".prom"));
        assert_eq!(with("a.prom").unwrap().textfile, Some("/etc/falconer/a.prom".into()));
    }
}
