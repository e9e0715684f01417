use super::*;

#[test]
fn a_loop_that_is_stuck_or_oversleeps_does_not_turn() {
    let (moment, now) = (Instant::now(), 1_800_000_000);
    let (working, waiting) = (Phase::Working(moment + Duration::from_secs(3600)), Phase::Waiting(now + 300));
    for (seconds, works, waits) in [(0, true, true), (359, true, true), (360, true, false), (3601, false, false)] {
        let later = moment + Duration::from_secs(seconds);
        assert_eq!((working.turns(later, 0), waiting.turns(later, now + seconds)), (works, waits), "{seconds}");
    }
    assert!(waiting.turns(moment + Duration::from_secs(86_400), now), "a clock that was set back");
}
