//! What a host's Falco is.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use semver::Version;

use crate::falco_answers::FalcoVersions;
use crate::finding::Malformed;

/// What a host's Falco is, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The release as it names itself, e.g. `0.44.1`; `None` where there is no Falco.
    pub falco: Option<String>,
    /// The version of its rules engine.
    pub engine: Option<Version>,
    /// The version of the interface that plugins are built against.
    pub plugin_api: Option<Version>,
    /// The plugins that it has loaded; `None` where nobody tells.
    pub plugins: Option<BTreeMap<String, Version>>,
    /// `os/architecture` of the host; `None` for hosts of any platform.
    pub platform: Option<String>,
}

/// A line of Falco's releases: its minor version, the minor version of its engine, and its plugin interface where known.
struct Line {
    falco: u64,
    engine: u64,
    plugin_api: Option<(u64, u64)>,
}

/// The engine of each line is the one of its first release (Falco's `userspace/engine/falco_engine_version.h`), and the
/// plugin interface is what `falco --version` of a release of the line prints.
const LINES: [Line; 11] = [
    Line { falco: 34, engine: 15, plugin_api: Some((2, 0)) },
    Line { falco: 35, engine: 17, plugin_api: Some((3, 0)) },
    Line { falco: 36, engine: 26, plugin_api: Some((3, 1)) },
    Line { falco: 37, engine: 31, plugin_api: None },
    Line { falco: 38, engine: 40, plugin_api: None },
    Line { falco: 39, engine: 43, plugin_api: Some((3, 7)) },
    Line { falco: 40, engine: 46, plugin_api: Some((3, 10)) },
    Line { falco: 41, engine: 50, plugin_api: None },
    Line { falco: 42, engine: 57, plugin_api: None },
    Line { falco: 43, engine: 58, plugin_api: None },
    Line { falco: 44, engine: 62, plugin_api: Some((3, 12)) },
];

const KNOWN: &str = "write one of 0.34, 0.35, 0.36, 0.37, 0.38, 0.39, 0.40, 0.41, 0.42, 0.43, 0.44 or a later one";

impl Facts {
    /// The facts of a release of Falco, for where there is no host to ask: `0.44`, or a release of that line such as
    /// `0.44.1`. Loaded plugins are not known, and the platform may be any. Of a line that is younger than this falconer
    /// nothing is known but its name, so that hosts with an older falconer take a document that names it.
    ///
    /// # Errors
    /// [`Malformed`], with a hint that lists the known releases, for an older one and for what is none.
    pub fn of_release(release: &str) -> Result<Self, Malformed> {
        let unknown = || Malformed {
            what: "Falco release",
            value: release.to_string(),
            problem: "is not known to this falconer",
            hint: KNOWN,
        };
        let mut numbers = release.split('.').map(str::parse::<u64>);
        let (Some(Ok(0)), Some(Ok(minor)), None | Some(Ok(_)), None) =
            (numbers.next(), numbers.next(), numbers.next(), numbers.next())
        else {
            return Err(unknown());
        };
        let line = LINES.iter().find(|line| line.falco == minor);
        if line.is_none() && LINES.iter().any(|line| line.falco > minor) {
            return Err(unknown());
        }
        Ok(Self {
            falco: Some(release.to_string()),
            engine: line.map(|line| Version::new(0, line.engine, 0)),
            plugin_api: line.and_then(|line| line.plugin_api).map(|(major, minor)| Version::new(major, minor, 0)),
            plugins: None,
            platform: None,
        })
    }

    /// The facts of a host whose Falco has answered. A Falco that names no plugins has none or was not running, so they
    /// count as not known.
    #[must_use]
    pub fn of_host(versions: &FalcoVersions, platform: &str) -> Self {
        Self {
            falco: Some(versions.falco.to_string()),
            engine: versions.engine.clone(),
            plugin_api: versions.plugin_api.clone(),
            plugins: Some(versions.plugins.clone()).filter(|plugins| !plugins.is_empty()),
            platform: Some(platform.to_string()),
        }
    }

    /// The facts of a host without Falco.
    #[must_use]
    pub fn without_falco(platform: &str) -> Self {
        Self { falco: None, engine: None, plugin_api: None, plugins: None, platform: Some(platform.to_string()) }
    }

    /// Falco as messages name it.
    pub(super) fn name(&self) -> String {
        self.falco.as_ref().map_or_else(|| "Falco".to_string(), |release| alloc::format!("Falco {release}"))
    }
}

/// The first release of Falco with an engine that will do.
pub(super) fn release_with_engine(need: &Version) -> Option<String> {
    let line = LINES.iter().find(|line| crate::version::meets(&Version::new(0, line.engine, 0), need))?;
    Some(alloc::format!("0.{}", line.falco))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_that_are_known_and_others() {
        for (release, engine, plugin_api) in [
            ("0.34", "0.15.0", Some("2.0.0")),
            ("0.36.2", "0.26.0", Some("3.1.0")),
            ("0.40", "0.46.0", Some("3.10.0")),
            ("0.42", "0.57.0", None),
            ("0.44", "0.62.0", Some("3.12.0")),
            ("0.44.1", "0.62.0", Some("3.12.0")),
        ] {
            let facts = Facts::of_release(release).unwrap();
            assert_eq!(facts.engine.unwrap().to_string(), engine, "{release}");
            assert_eq!(facts.plugin_api.map(|version| version.to_string()).as_deref(), plugin_api, "{release}");
        }
        let later = Facts::of_release("0.99.1").unwrap();
        assert_eq!((later.falco.as_deref(), later.engine, later.plugin_api), (Some("0.99.1"), None, None));
        for release in ["0.33", "1.44", "0", "", "0.44.x", "0.44.1.0", "v0.44", "0.44.", "latest"] {
            let unknown = Facts::of_release(release).unwrap_err();
            assert_eq!((unknown.value.as_str(), unknown.hint), (release, KNOWN));
        }
        for line in LINES {
            assert!(KNOWN.contains(&alloc::format!("0.{}", line.falco)));
        }
    }

    #[test]
    fn releases_by_engine() {
        for (need, release) in [("0.57.0", Some("0.42")), ("0.1.0", Some("0.34")), ("0.63.0", None), ("1.0.0", None)] {
            assert_eq!(release_with_engine(&need.parse().unwrap()).as_deref(), release, "{need}");
        }
    }
}
