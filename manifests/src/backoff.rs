//! How long nobody is asked again after something went wrong.
//!
//! Who can end an error alone decides: time, by itself; an author, with a commit that the next tick sees; an operator, who
//! must be told loudly and not often. Nothing here makes a host ask sooner than it would have after a success.

use core::time::Duration;

use crate::remedy::Remedy;

/// The first rest after an error that time may end, at most.
const FIRST_FOR_TIME: Duration = Duration::from_secs(5);
/// The first rest after an error that somebody on the host must end.
const FIRST_FOR_OPERATOR: Duration = Duration::from_secs(60);
/// The longest rest.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// Errors of one kind in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    remedy: Option<Remedy>,
    failures: u32,
}

impl Backoff {
    /// After a pass that asked and that `remedy` could have helped; `None` when nothing was wrong.
    #[must_use]
    pub fn after(self, remedy: Option<Remedy>) -> Self {
        let failures = if remedy.is_none() || remedy != self.remedy { 0 } else { self.failures };
        Self { remedy, failures: failures.saturating_add(u32::from(remedy.is_some())) }
    }

    /// How long to rest. `chance` is from 0 to 1: for what time may end, the whole rest is left to it (full jitter), or all
    /// hosts of a fleet would come back at the same moment.
    #[must_use]
    pub fn rest(self, chance: f64) -> Duration {
        let doubled =
            |first: Duration| first.saturating_mul(2_u32.saturating_pow(self.failures.saturating_sub(1))).min(LONGEST);
        let chance = chance.clamp(0.0, 1.0);
        match self.remedy {
            None | Some(Remedy::Author) => Duration::ZERO,
            Some(Remedy::Time) => doubled(FIRST_FOR_TIME).mul_f64(chance),
            Some(Remedy::Operator | Remedy::Us) => doubled(FIRST_FOR_OPERATOR).mul_f64(0.5 + chance / 2.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(remedies: &[Option<Remedy>]) -> Backoff {
        remedies.iter().fold(Backoff::default(), |backoff, remedy| backoff.after(*remedy))
    }

    #[test]
    fn rests() {
        let (time, author, operator) = (Some(Remedy::Time), Some(Remedy::Author), Some(Remedy::Operator));
        for (remedies, longest) in [
            (&[][..], 0),
            (&[time], 5),
            (&[time, time], 10),
            (&[time, time, time], 20),
            (&[time, time, None], 0),
            (&[time, time, author], 0),
            (&[author, author, author], 0),
            (&[time, time, operator], 60),
            (&[operator, operator], 120),
            (&[operator, operator, time], 5),
        ] {
            assert_eq!(after(remedies).rest(1.0).as_secs(), longest, "{remedies:?}");
        }
    }

    #[test]
    fn a_rest_for_time_is_left_to_chance_and_one_for_people_is_half() {
        assert_eq!(after(&[Some(Remedy::Time); 5]).rest(0.0), Duration::ZERO);
        assert_eq!(after(&[Some(Remedy::Us)]).rest(0.0).as_secs(), 30);
    }

    proptest! {
        #[test]
        fn no_rest_is_longer_than_the_longest(failures in 0_usize..200, chance in 0.0..=1.0) {
            for remedy in [Remedy::Time, Remedy::Operator, Remedy::Us, Remedy::Author] {
                let backoff = after(&alloc::vec![Some(remedy); failures]);
                prop_assert!(backoff.rest(chance) <= LONGEST);
            }
        }
    }
}
