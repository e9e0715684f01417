//! What a fleet does to its server after an outage.

use falconer_manifests::report::spacing;
use falconer_manifests::schedule::Schedule;
use falconer_tests::fleet::{outage, rate, worst};

use super::*;

#[test]
fn ten_thousand_hosts_do_not_come_back_at_once() {
    let seen = outage(10_000, &Schedule::Every(Duration::from_secs(300)), spacing(10_000, 6, 16));
    let steady = rate(&seen.before);
    println!("{steady:.1} a second; worst {} {} {}", worst(&seen.before), worst(&seen.outage), worst(&seen.after));
    assert!((33.0..35.0).contains(&steady), "{steady}");
    assert!(f64::from(worst(&seen.after)) <= 2.0 * steady, "{} of {steady}", worst(&seen.after));
    let back: u32 = seen.after.iter().skip(3600).sum();
    assert!(f64::from(back) >= 3600.0 * steady * 0.95, "all of them are back after an hour: {back}");
}
