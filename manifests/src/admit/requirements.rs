//! Requirements: versions of Falco itself.

use alloc::format;
use alloc::string::{String, ToString};

use semver::Version;

use super::Verdict;
use super::facts::{Facts, release_with_engine};
use crate::artifact::Requirement;
use crate::lockfile::LockedArtifact;
use crate::version;

/// The engines that the official rules need, by their major version: what to fall back to on an older Falco.
const OFFICIAL_RULES: (&str, [(u64, u64); 4]) = ("falco-rules", [(5, 57), (4, 50), (3, 31), (2, 26)]);

/// Checks one requirement.
pub(super) fn check(artifact: &LockedArtifact, requirement: &Requirement, facts: &Facts) -> Verdict {
    let Requirement { name, version: text } = requirement;
    let number = text.parse::<u64>().ok().map(|number| Version::new(0, number, 0));
    let falco = || version::tolerant(facts.falco.as_deref()?);
    let (what, fact, need) = match name.as_str() {
        "engine_version_semver" | "engine_version" => {
            ("engine", facts.engine.clone(), number.or_else(|| version::tolerant(text)))
        }
        "plugin_api_version" => ("plugin interface", facts.plugin_api.clone(), version::tolerant(text)),
        "falco_version" => ("Falco", falco(), version::tolerant(text)),
        _ => {
            return Verdict::Unmet {
                requirement: format!("{name} {text}"),
                fact: "this falconer does not know what that is".to_string(),
                hint: format!("update falconer, or ask for another version of {}", artifact.name),
            };
        }
    };
    let Some(need) = need else {
        return Verdict::Unmet {
            requirement: format!("{what} {text}"),
            fact: "that is no version".to_string(),
            hint: format!("ask for another version of {}, and tell those who publish it", artifact.name),
        };
    };
    let requirement = format!("{what} {need}");
    match fact {
        None => Verdict::Unknown { requirement },
        Some(fact) if version::meets(&fact, &need) => Verdict::Met,
        Some(fact) => Verdict::Unmet {
            requirement,
            fact: match what {
                "Falco" => format!("this is {}", facts.name()),
                _ => format!("{} has {fact}", facts.name()),
            },
            hint: hint(artifact, what, &need, &fact),
        },
    }
}

fn hint(artifact: &LockedArtifact, what: &str, need: &Version, fact: &Version) -> String {
    let name = &artifact.name;
    if fact.major > need.major {
        return format!("ask for a later {name}, made for {what} {}", fact.major);
    }
    let update = match what {
        "engine" => release_with_engine(need).map(|release| format!(" to {release} or later")),
        "Falco" => Some(format!(" to {need} or later")),
        _ => None,
    };
    let (official, engines) = OFFICIAL_RULES;
    let mut fitting = engines.iter().filter(|(_, engine)| version::meets(fact, &Version::new(0, *engine, 0)));
    let other = match fitting.next().filter(|_| what == "engine" && name.as_str() == official) {
        Some((major, _)) => format!("{name} {major}"),
        None => format!("an earlier {name}"),
    };
    format!("update Falco{}, or ask for {other}", update.unwrap_or_default())
}
