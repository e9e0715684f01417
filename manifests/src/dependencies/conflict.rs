//! Why artifacts do not go together.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use semver::Version;

use super::search::COMBINATIONS;
use super::{ANSWERS, Chosen, Need};
use crate::finding::{Finding, Location};
use crate::name::ArtifactName;
use crate::version;

/// Who needs what, from an artifact of the desired state down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The needs; the name needed by one is the needer of the next.
    pub links: Vec<Link>,
    /// The entry of the desired state that the chain begins with.
    pub at: Location,
}

/// One need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Who needs it.
    pub needer: ArtifactName,
    /// The version of that one.
    pub version: Option<Version>,
    /// What is needed.
    pub name: String,
    /// The lowest version that will do, as the needer writes it.
    pub at_least: String,
}

impl Link {
    pub(super) fn new(needer: &Chosen, name: &str, at_least: &str) -> Self {
        Self {
            needer: needer.name.clone(),
            version: needer.version.clone(),
            name: name.to_string(),
            at_least: at_least.to_string(),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.needer.fmt(f)?;
        if let Some(version) = &self.version {
            write!(f, " {version}")?;
        }
        write!(f, " needs {} >= {}", self.name, self.at_least)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, link) in self.links.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            link.fmt(f)?;
        }
        Ok(())
    }
}

/// Why artifacts do not go together. Its `Display` tells who needs what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Who needs what; the last need is the one that is not met.
    pub(super) chain: Chain,
    pub(super) clash: Clash,
}

/// What stands against the last need of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clash {
    /// The desired state asks for a version that will not do.
    DesiredState { version: Option<Version>, at: Location },
    /// Others need another major version.
    Other(Chain),
    /// What was looked up as one version says that it is another one.
    Answer { asked: Version, version: Option<Version> },
    /// The name is none.
    NoName,
    /// The version is none.
    NoVersion,
    /// The first needer of the chain is needed by itself.
    Circle,
    /// It cannot be had.
    Nowhere(Finding),
    /// There are more combinations than are tried, and those that were end in conflicts.
    MoreToTry,
    /// There is no end to what is needed.
    WithoutEnd,
}

impl Conflict {
    /// Says beside this conflict, which is one of many, that there was more to try.
    pub(super) fn and_more_to_try(&self) -> Self {
        Self { chain: self.chain.clone(), clash: Clash::MoreToTry }
    }

    /// Says that this need is one too many.
    pub(super) fn without_end(need: &Need) -> Self {
        Self { chain: need.needed_by.clone(), clash: Clash::WithoutEnd }
    }

    /// The entry of the desired state to look at: the one that stands in the way, else the one that the chain begins with.
    #[must_use]
    pub const fn location(&self) -> &Location {
        match &self.clash {
            Clash::DesiredState { at, .. } => at,
            _ => &self.chain.at,
        }
    }

    /// The next act of the person who reads this.
    #[must_use]
    pub fn hint(&self) -> String {
        let Some(Link { needer, name, at_least, .. }) = self.chain.links.last() else { return String::new() };
        match &self.clash {
            Clash::DesiredState { version: None, .. } => {
                format!("ask for a version of {name} that says which one it is, {at_least} or later")
            }
            Clash::DesiredState { version: Some(version), .. } => match version::tolerant(at_least) {
                Some(need) if need.major == version.major => {
                    format!("ask for {name} {at_least} or a later {}.x", need.major)
                }
                _ => format!("ask for {name} {at_least} or a later one of that major, or for another {needer}"),
            },
            Clash::Other(other) => {
                let other = other.links.last().map_or(needer, |link| &link.needer);
                format!("ask for versions of {needer} and {other} that need the same major version of {name}")
            }
            Clash::Answer { asked, .. } => {
                format!("tell those who publish {name} that its tag {asked} is wrong, or ask for a right one by name")
            }
            Clash::NoName | Clash::NoVersion => {
                format!("ask for another version of {needer}, and tell those who publish it")
            }
            Clash::Circle => format!("ask for another version of {needer}, and tell those who publish it"),
            Clash::Nowhere(why) => why.hint.clone(),
            Clash::MoreToTry => {
                "name in `artifacts` which of the alternatives is to come; that leaves less to try".to_string()
            }
            Clash::WithoutEnd => {
                format!("ask for another version of {}, and tell those who publish it", self.first_needer())
            }
        }
    }

    fn first_needer(&self) -> &str {
        self.chain.links.first().map_or("", |link| link.needer.as_str())
    }

    /// The conflict as a finding in the desired state.
    #[must_use]
    pub fn finding(&self) -> Finding {
        Finding { location: self.location().clone(), message: self.to_string(), hint: self.hint() }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.clash {
            // Of a chain without end its beginning tells enough.
            Clash::WithoutEnd => self.chain.links.iter().take(3).enumerate().try_for_each(|(index, link)| {
                f.write_str(if index > 0 { ", " } else { "" })?;
                link.fmt(f)
            })?,
            _ => self.chain.fmt(f)?,
        }
        match &self.clash {
            Clash::DesiredState { version: Some(version), at } => write!(f, ", and {} asks for {version}", at.file),
            Clash::DesiredState { version: None, at } => {
                write!(f, ", and what {} asks for gives no version", at.file)
            }
            Clash::Other(other) => write!(f, ", and {other}"),
            Clash::Answer { asked, version: Some(version) } => write!(f, ", and {asked} there is really {version}"),
            Clash::Answer { asked, version: None } => write!(f, ", and {asked} there gives no version"),
            Clash::NoName => f.write_str(", and that is no name of an artifact"),
            Clash::NoVersion => f.write_str(", and that is no version"),
            Clash::Circle => f.write_str(", which is a circle"),
            Clash::Nowhere(why) => write!(f, ": {}", why.message),
            Clash::MoreToTry => {
                write!(f, ", and there are more combinations of alternatives than the {COMBINATIONS} that were tried")
            }
            Clash::WithoutEnd => write!(f, ", and there seems to be no end of it: {ANSWERS} were looked up"),
        }
    }
}

impl core::error::Error for Conflict {}
