//! What is to become of drift, kind by kind.

use alloc::collections::BTreeMap;

use super::DriftKind;
use crate::plan::DriftMode;

/// What is to become of drift, kind by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriftPolicy {
    /// Of kinds that are not named.
    pub mode: DriftMode,
    /// Of these kinds.
    pub kinds: BTreeMap<DriftKind, DriftMode>,
}

impl DriftPolicy {
    /// Whether drift of that kind is put right. What is wrong with falco.yaml never is by a pass: the file is the host's own.
    #[must_use]
    pub fn heals(&self, kind: DriftKind) -> bool {
        kind != DriftKind::Config && self.kinds.get(&kind).unwrap_or(&self.mode) == &DriftMode::Heal
    }

    /// Whether our keys in falco.yaml are put right, where that file was adopted for it.
    #[must_use]
    pub fn heals_keys(&self) -> bool {
        self.kinds.get(&DriftKind::Config).unwrap_or(&self.mode) == &DriftMode::Heal
    }
}

impl From<DriftMode> for DriftPolicy {
    fn from(mode: DriftMode) -> Self {
        Self { mode, kinds: BTreeMap::new() }
    }
}

impl From<&Self> for DriftPolicy {
    fn from(policy: &Self) -> Self {
        policy.clone()
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use serde::Deserialize as _;
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};

    use super::*;

    #[test]
    fn no_kind_is_left_out_where_all_are_counted() {
        let word: StrDeserializer<'_, Error> = "none of them".into_deserializer();
        let refused = DriftKind::deserialize(word).unwrap_err().to_string();
        let all: Vec<_> = DriftKind::ALL.iter().map(|kind| format!("`{}`", kind.as_str())).collect();
        assert!(refused.ends_with(&format!("expected one of {}", all.join(", "))), "{refused}");
    }

    #[test]
    fn a_named_kind_beats_the_mode_and_the_hosts_own_file_is_never_healed() {
        let heal = DriftPolicy {
            mode: DriftMode::Heal,
            kinds: [(DriftKind::Mode, DriftMode::Report), (DriftKind::Config, DriftMode::Heal)].into(),
        };
        assert!(heal.heals(DriftKind::Modified) && !heal.heals(DriftKind::Mode) && !heal.heals(DriftKind::Config));
        let report = DriftPolicy { mode: DriftMode::Report, kinds: [(DriftKind::Missing, DriftMode::Heal)].into() };
        assert!(!report.heals(DriftKind::Modified) && report.heals(DriftKind::Missing));
    }
}
