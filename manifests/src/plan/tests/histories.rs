//! Hosts with any history: every plan keeps every promise, and the host converges without flapping.

use proptest::prelude::*;

use super::super::simulation::load;
use super::*;
use crate::observed::{Restarter, RunningFalco};

#[derive(Debug, Clone)]
enum Act {
    Commit(u8),
    Pass(Temper, usize),
    Tamper,
    DamagePlugin,
    LosePointer,
    LoseKeys,
    LoseBlobs,
    LoseGeneration(u64),
    FalcoStarts,
    FalcoEnds,
    FalcoIsUpdated(u8),
    WatchesFiles(bool),
    MayRestart(bool),
    IsIncluded(bool),
    Tells(bool),
}

fn act() -> impl Strategy<Value = Act> {
    let temper = prop_oneof![5 => Just(Temper::Obeys), 1 => Just(Temper::Refuses), 2 => Just(Temper::NeverLoads)];
    prop_oneof![
        4 => (0u8..8).prop_map(Act::Commit),
        10 => (temper, 0usize..11).prop_map(|(temper, budget)| Act::Pass(temper, budget)),
        1 => Just(Act::Tamper),
        1 => Just(Act::DamagePlugin),
        1 => Just(Act::LosePointer),
        1 => Just(Act::LoseKeys),
        1 => Just(Act::LoseBlobs),
        1 => (0u64..6).prop_map(Act::LoseGeneration),
        2 => Just(Act::FalcoStarts),
        1 => Just(Act::FalcoEnds),
        1 => (0u8..3).prop_map(Act::FalcoIsUpdated),
        1 => any::<bool>().prop_map(Act::WatchesFiles),
        1 => any::<bool>().prop_map(Act::MayRestart),
        1 => any::<bool>().prop_map(Act::IsIncluded),
        1 => any::<bool>().prop_map(Act::Tells),
    ]
}

/// What a repository may ask for: rules, a file of its own, a plugin, another source of events.
fn wanted(n: u8) -> Composition {
    let rules = composition(n, &n.to_string(), n.is_multiple_of(2).then_some("own"));
    let mut wanted = if n % 4 < 2 { rules } else { with_plugin(rules, &(n % 3).to_string()) };
    if n.is_multiple_of(3) {
        wanted.settings.insert("engine".into(), serde_json::json!({"kind": "kmod"}));
    }
    wanted
}

fn start_falco(host: &mut Observed) {
    let pid = host.falco.running.as_ref().map_or(100, |falco| falco.pid + 1);
    host.falco.running = Some(RunningFalco { pid, started: u64::from(pid) });
    load(host);
}

fn damage_plugin(host: &mut Observed) {
    let library = host.plugins.values_mut().find_map(|plugin| plugin.entries.as_mut()?.values_mut().next());
    if let Some(entry) = library {
        *entry = Entry::File { sha256: Some(Digest::of(b"evil")), size: 4, permissions: Permissions::ours(FILE_MODE) };
    }
}

fn happen(host: &mut Observed, desired: &mut Composition, act: Act) {
    match act {
        Act::Commit(n) => *desired = wanted(n),
        Act::Pass(temper, budget) => drop(pass(host, desired, temper, budget)),
        Act::Tamper => {
            if let Some((number, _)) = host.live() {
                tamper(host, number.0);
            }
        }
        Act::DamagePlugin => damage_plugin(host),
        Act::LosePointer => host.current = Pointer::Missing,
        Act::LoseKeys => host.falco.names.clear(),
        Act::LoseBlobs => host.blobs.clear(),
        Act::LoseGeneration(number) => drop(host.generations.remove(&GenerationNumber(number))),
        Act::FalcoStarts => start_falco(host),
        Act::FalcoEnds => host.falco.running = None,
        Act::FalcoIsUpdated(release) => host.falco.version = Some(alloc::format!("0.44.{release}")),
        Act::WatchesFiles(watches) => host.falco.reloads = watches,
        Act::MayRestart(may) => host.falco.restart = may.then(|| Restarter::Unit("falco-kmod.service".into())),
        Act::IsIncluded(true) => host.falco.inclusion = Some(Inclusion::Included),
        Act::IsIncluded(false) => host.falco.inclusion = Some(Inclusion::Not("no entry".into())),
        Act::Tells(false) => host.falco.loaded = None,
        Act::Tells(true) => {
            host.falco.loaded = Some(crate::falco_answers::Loaded::default());
            load(host);
        }
    }
    // A crash loses what was only in memory.
    recall(host);
}

fn asks(plan: &Plan) -> bool {
    plan.steps.iter().any(|step| matches!(step, Step::Reload { .. } | Step::Restart { .. }))
}

proptest! {
    /// Whatever happened, whatever step a crash cut off: a few passes with a Falco that obeys end in sync, or on the good
    /// generation where the desired state is held, and one more has nothing to do. Every plan on the way is checked.
    #[test]
    fn any_history_converges(acts in prop::collection::vec(act(), 0..40), edits in any::<bool>()) {
        let mut host = if edits { edited_host() } else { fresh_host() };
        let mut desired = wanted(0);
        for act in acts {
            let lost = matches!(act, Act::LoseGeneration(_));
            let had = host.ledger.good.is_some_and(|good| host.generations.contains_key(&good));
            happen(&mut host, &mut desired, act);
            if let (Some(good), true, false) = (host.ledger.good, had, lost) {
                prop_assert!(host.generations.contains_key(&good), "the good generation exists");
            }
        }
        for act in [Act::IsIncluded(true), Act::WatchesFiles(true), Act::FalcoEnds, Act::FalcoStarts, Act::Tells(true)] {
            happen(&mut host, &mut desired, act);
        }
        for _ in 0..4 {
            pass(&mut host, &desired, Temper::Obeys, ALL);
        }
        let held = host.ledger.held(&desired.content_digest(), host.falco.version.as_deref()).is_some();
        let last = pass(&mut host, &desired, Temper::Obeys, ALL);
        // Somebody may have removed the good generation itself: then there is nothing to go back to.
        let good = host.ledger.good.and_then(|good| host.generations.get(&good)?.record.as_ref());
        if let (None, Some(live)) = (host.ledger.good, host.live_record()) {
            prop_assert!(is_intact(&host, live.generation) && last.steps.is_empty(), "what was never confirmed is whole");
        }
        if !(held && good.is_none()) {
            prop_assert!(last.steps.is_empty() && last.drift.is_empty(), "{last:?}");
            prop_assert_eq!(Some(host.current.clone()), host.ledger.good.map(Pointer::Generation));
            prop_assert!(host.deaf().is_none());
            if !held {
                prop_assert!(host.live_record().unwrap().composition.loads_same_as(&desired));
            }
        }
    }

    /// A Falco that takes nothing up is left alone after a few passes, whatever happened before.
    #[test]
    fn nothing_flaps(acts in prop::collection::vec(act(), 0..30), watches: bool, may_restart: bool) {
        let mut host = fresh_host();
        let mut desired = wanted(0);
        for act in acts {
            happen(&mut host, &mut desired, act);
        }
        happen(&mut host, &mut desired, Act::WatchesFiles(watches));
        happen(&mut host, &mut desired, Act::MayRestart(may_restart));
        host.falco.loaded = Some(crate::falco_answers::Loaded::default());
        let mut plans = Vec::new();
        for _ in 0..10 {
            plans.push(pass(&mut host, &desired, Temper::NeverLoads, ALL));
            recall(&mut host);
        }
        let late = plans.iter().skip(6).filter(|plan| asks(plan)).collect::<Vec<_>>();
        prop_assert!(late.is_empty(), "{late:?}");
    }
}
