use super::*;

#[test]
fn a_loop_that_is_stuck_or_oversleeps_does_not_turn() {
    let begin = Instant::now();
    let (working, waiting) = (Phase::Working(begin), Phase::Waiting(begin + Duration::from_secs(300)));
    for (seconds, works, waits) in [(0, true, true), (330, true, true), (361, true, false), (3601, false, false)] {
        let now = begin + Duration::from_secs(seconds);
        assert_eq!((working.turns(now), waiting.turns(now)), (works, waits), "{seconds}");
    }
}
