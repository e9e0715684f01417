//! The stories: a host, and passes on it that lose power.

mod commands;

use std::ops::Deref;

use falconer_tests::falco_stand_in::Fault;
use falconer_tests::git_server::fixture::Fixture;
use falconer_tests::host::{HostWithFalco, RULES};

use super::*;
use commands::{ejected, nothing_to_do_after_a_kill, rolled_back_by_hand, suspended};

/// A host, and what is done on it.
pub(super) struct Story {
    pub(super) name: &'static str,
    pub(super) host: Box<dyn Deref<Target = Host>>,
    /// The state directory, below the host's.
    pub(super) state: &'static str,
    /// What somebody else does before, and does not sync.
    pub(super) somebody: Option<Command>,
    /// The promises that this breaks.
    pub(super) excused: &'static [&'static str],
    pub(super) passes: Vec<Pass>,
    /// An ordinary pass after a crash, and what must be there then.
    pub(super) recovers: fn(&Host),
}

/// One run of falconer.
pub(super) struct Pass {
    pub(super) command: Command,
    /// What strace does to it.
    pub(super) tampering: Vec<String>,
    /// How it may end.
    pub(super) codes: &'static [Option<i32>],
}

/// A host without Falco.
struct Alone(Host);

impl Deref for Alone {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.0
    }
}

fn pass(host: &Host, codes: &'static [Option<i32>]) -> Pass {
    Pass { command: once(host), tampering: Vec::new(), codes }
}

fn tampered(host: &Host, tampering: &str, codes: &'static [Option<i32>]) -> Pass {
    Pass { tampering: vec!["-e".into(), format!("inject={tampering}")], ..pass(host, codes) }
}

const DONE: &[Option<i32>] = &[Some(0)];
const FAILED: &[Option<i32>] = &[Some(1)];

fn story(name: &'static str, host: Host, recovers: fn(&Host)) -> Story {
    let passes = vec![pass(&host, DONE)];
    told_of(name, Box::new(Alone(host)), passes, recovers)
}

fn told_of(name: &'static str, host: Box<dyn Deref<Target = Host>>, passes: Vec<Pass>, recovers: fn(&Host)) -> Story {
    Story { name, host, state: "state", somebody: None, excused: &[], passes, recovers }
}

/// A story yet to be set up.
pub(super) type Make = Box<dyn FnOnce() -> Story + Send>;

/// All stories; the last ones are told first.
pub(super) fn all() -> Vec<Make> {
    let mut all: Vec<Make> = vec![
        Box::new(adopt),
        Box::new(install),
        Box::new(first_run),
        Box::new(update),
        Box::new(remove),
        Box::new(heal),
        Box::new(pointer),
        Box::new(prune),
        Box::new(refused),
        Box::new(rolled_back),
        Box::new(report),
        Box::new(plugin),
        Box::new(plugin_is_healed),
        Box::new(blob_is_healed),
        Box::new(disk_full),
        Box::new(disk_fails),
        Box::new(put_back_by_hand),
        Box::new(|| killed_first_run(1)),
        Box::new(|| killed_first_run(3)),
        Box::new(update_falco_yaml),
        Box::new(rolled_back_by_hand),
        Box::new(|| ejected(false)),
        Box::new(|| ejected(true)),
        Box::new(suspended),
        Box::new(nothing_to_do_after_a_kill),
    ];
    for (first, second) in [(6, 99), (9, 3), (14, 5), (19, 9), (19, 99), (20, 11), (22, 5)] {
        all.push(Box::new(move || recovery_of_a_recovery(update(), first, second)));
    }
    for first in [9, 10, 11] {
        all.push(Box::new(move || recovery_of_a_recovery(plugin(), first, 99)));
    }
    all
}

fn adopted() -> Host {
    let host = Host::new();
    commit(&host, 1);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    host
}

fn adopt() -> Story {
    let host = Host::new();
    commit(&host, 1);
    let mut command = host.command();
    command.arg("adopt");
    let passes = vec![Pass { command, tampering: Vec::new(), codes: DONE }, pass(&host, DONE)];
    let recovers = |host: &Host| {
        let _adopted = host.falconer(["adopt"]).ended_with(0);
        converges(host, 1);
    };
    Story { passes, ..story("adopt, then install", host, recovers) }
}

fn install() -> Story {
    story("install", adopted(), |host| converges(host, 1))
}

/// Falco runs already, nothing of the state directory is there, not even what leads to it.
fn first_run() -> Story {
    let host = HostWithFalco::start(true, &[]);
    std::fs::create_dir(host.path("run")).unwrap();
    let agent = host.read("agent.toml").replace("state = \"state\"", "state = \"var/lib/falconer\"\nruntime = \"run\"");
    host.write("agent.toml", &agent);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    let passes = vec![pass(&host, DONE)];
    let recovers = |host: &Host| {
        let status = host.once().ended_with(0).json();
        assert_eq!(status["condition"], "InSync", "{status:#}");
    };
    Story { state: "var/lib/falconer", ..told_of("first run beside a Falco", Box::new(host), passes, recovers) }
}

fn update() -> Story {
    let host = installed();
    commit(&host, 2);
    story("update", host, |host| converges(host, 2))
}

/// One of two rules files is no longer wanted.
fn remove() -> Story {
    let host = installed();
    host.commit(&[("fleet.yaml", &falconer_tests::host::fleet_yaml("1.0.0"))]);
    let recovers = |host: &Host| {
        let _done = host.once().ended_with(0);
        assert_eq!(broken_promise(host), None);
        let live = Live::on(host).unwrap();
        assert_eq!((live.rules("acme-rules.yaml"), live.rules("own.yaml")), (rules(1), String::new()));
    };
    story("remove", host, recovers)
}

fn heal() -> Story {
    let host = installed();
    std::fs::write(host.live("acme-rules.yaml"), "- list: somebody_elses\n  items: []\n").unwrap();
    story("heal", host, |host| converges(host, 1))
}

/// Somebody has let `current` name an older generation: the newer one is verified and activated again.
fn pointer() -> Story {
    let host = installed();
    commit(&host, 2);
    converges(&host, 2);
    std::fs::remove_file(host.path("state/current")).unwrap();
    std::os::unix::fs::symlink("generations/1", host.path("state/current")).unwrap();
    story("heal the pointer", host, |host| converges(host, 2))
}

/// Somebody has copied the good generation back, without any care for power cuts, and let `current` name an older one.
fn put_back_by_hand() -> Story {
    let host = installed();
    commit(&host, 2);
    converges(&host, 2);
    std::fs::remove_file(host.path("state/current")).unwrap();
    std::os::unix::fs::symlink("generations/1", host.path("state/current")).unwrap();
    let mut command = host.command_of(Path::new("sh"));
    // Not with cp, whose calls the model does not know.
    let script = "cd state/generations; to=$PWD/2; mv $to $PWD/was; mkdir $to $to/rules; cd was; \
        for file in MANIFEST falconer.lock falconer.yaml rules/*; do sed '' $file > $to/$file; done";
    command.args(["-ec", script]);
    let told = story("heal the pointer to what was put back by hand", host, |host| converges(host, 2));
    Story { somebody: Some(command), excused: &["I2", "W"], ..told }
}

/// The first pass is killed when it has just made the state directory, at its `nth` fsync.
fn killed_first_run(nth: u32) -> Story {
    let told = first_run();
    let codes: &[Option<i32>] = &[None];
    let killed = tampered(&told.host, &format!("fsync:signal=KILL:when={nth}"), codes);
    let passes = vec![killed, pass(&told.host, DONE)];
    Story { name: "first run, killed and made again", passes, ..told }
}

fn prune() -> Story {
    let host = installed();
    for n in 2..=3 {
        commit(&host, n);
        converges(&host, n);
    }
    commit(&host, 4);
    story("prune", host, |host| converges(host, 4))
}

fn refused() -> Story {
    let host = installed();
    host.commit(&[("rules/own.yaml", "- rule: [no\n")]);
    let passes = vec![pass(&host, FAILED)];
    let recovers = |host: &Host| {
        let _refused = host.once().ended_with(1);
        assert_live(host, 1);
    };
    Story { passes, ..story("refused", host, recovers) }
}

/// Falco dies of the new generation, and the good one comes back in the same pass.
fn rolled_back() -> Story {
    let mut host = HostWithFalco::in_sync(true, &[]);
    host.start_falco(&[Fault::CrashAfterReload(std::time::Duration::from_millis(60))]);
    host.publish(&format!("{RULES}# two\n"), "2.0.0");
    host.commit(&[("fleet.yaml", &falconer_tests::host::fleet_yaml("2.0.0"))]);
    let passes = vec![pass(&host, FAILED)];
    // The Falco is gone, so that nothing is left to fail the new generation where the crash came first.
    let recovers = |host: &Host| {
        let run = host.once();
        assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
        assert_eq!(broken_promise(host), None);
    };
    told_of("roll back", Box::new(host), passes, recovers)
}

/// falco.yaml itself names what Falco loads, and there is something newer.
pub(in crate::faults) fn named_by_falco_yaml() -> Host {
    let host = Host::new();
    host.configure("config = \"edit\"\n");
    commit(&host, 1);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    converges(&host, 1);
    let _edited = host.falconer(["adopt"]).ended_with(0);
    commit(&host, 2);
    host
}

fn update_falco_yaml() -> Story {
    let host = named_by_falco_yaml();
    story("update falco.yaml", host, |host| converges(host, 2))
}

fn report() -> Story {
    let host = installed();
    let _reports = Fixture::create(&host.path("reports.git")).unwrap();
    host.configure("[report]\nurl = \"reports.git\"\n");
    commit(&host, 2);
    story("report", host, |host| converges(host, 2))
}

/// Publishes version `n` of a plugin, and commits the wish for it.
pub(in super::super) fn wish_for_plugin(host: &Host, n: u32) {
    host.write("policy.toml", "config_keys = [\"priority\"]\nplugins = [\"acme\"]\n");
    host.write("libacme.so", &format!("library {n}"));
    let push =
        format!("artifact push oci:plugin:{n}.0.0 libacme.so --type plugin --platform linux/amd64 --version {n}.0.0");
    let _pushed = host.falconer(push.split(' ')).ended_with(0);
    let fleet = falconer_tests::host::fleet_yaml("1.0.0")
        .replace("rules_files:", &format!("  acme: {{ref: \"oci:plugin\", version: \"{n}.0.0\"}}\nrules_files:"));
    host.commit(&[("fleet.yaml", &fleet)]);
}

fn with_plugin() -> Host {
    let host = installed();
    wish_for_plugin(&host, 1);
    let _done = host.once().ended_with(0);
    host
}

fn has_plugin(host: &Host) {
    let _done = host.once().ended_with(0);
    assert_eq!(broken_promise(host), None);
    let found = std::fs::read_dir(host.path("state/plugins")).unwrap().map(|entry| entry.unwrap().path());
    let library = found.map(|path| std::fs::read_to_string(path.join("libacme.so")).unwrap()).max();
    assert!(library.is_some_and(|library| library.starts_with("library")));
}

fn plugin() -> Story {
    let host = with_plugin();
    wish_for_plugin(&host, 2);
    story("update a plugin", host, has_plugin)
}

fn plugin_is_healed() -> Story {
    let host = with_plugin();
    let plugin = std::fs::read_dir(host.path("state/plugins")).unwrap().next().unwrap().unwrap().path();
    std::fs::write(plugin.join("libacme.so"), "somebody else's").unwrap();
    story("heal a plugin", host, has_plugin)
}

/// The archive in the store has lost a bit, and what was made of it too.
fn blob_is_healed() -> Story {
    let host = heal().host;
    for blob in std::fs::read_dir(host.path("state/store/blobs/sha256")).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = std::fs::read(&blob).unwrap();
        bytes[0] ^= 1;
        std::fs::write(&blob, bytes).unwrap();
    }
    let passes = vec![pass(&host, DONE)];
    told_of("heal the store", host, passes, |host| converges(host, 1))
}

/// The disk is full for a while, from somewhere in the middle on; then there is room again.
fn disk_full() -> Story {
    let host = installed();
    commit(&host, 2);
    let passes = vec![
        tampered(&host, "write,mkdirat,renameat:error=ENOSPC:when=9+", FAILED),
        tampered(&host, "renameat:error=ENOSPC:when=4+", FAILED),
        pass(&host, DONE),
    ];
    Story { passes, ..story("disk full", host, |host| converges(host, 2)) }
}

/// Every tenth fsync fails, and the pages are gone; the next pass must not believe in them.
fn disk_fails() -> Story {
    let host = installed();
    commit(&host, 2);
    let passes = vec![
        tampered(&host, "fsync:error=EIO:when=6", &[Some(0), Some(1)]),
        tampered(&host, "fsync:error=EIO:when=11", &[Some(0), Some(1)]),
        pass(&host, DONE),
    ];
    Story { passes, ..story("disk fails", host, |host| converges(host, 2)) }
}

/// A pass is killed, the one after it too, and the third one loses power.
fn recovery_of_a_recovery(told: Story, first: u32, second: u32) -> Story {
    let killed: &[Option<i32>] = &[None, Some(0)];
    let passes = vec![
        tampered(&told.host, &format!("fsync:signal=KILL:when={first}"), killed),
        tampered(&told.host, &format!("fsync:signal=KILL:when={second}"), killed),
        pass(&told.host, DONE),
    ];
    Story { name: "recovery of a recovery", passes, ..told }
}
