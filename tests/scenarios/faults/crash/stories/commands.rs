//! Stories of commands other than a plain pass, and of a pass that only answers.

use super::*;

/// Somebody goes back to the first generation.
pub(super) fn rolled_back_by_hand() -> Story {
    let host = installed();
    commit(&host, 2);
    converges(&host, 2);
    let mut command = host.command();
    command.args(["rollback", "--output", "json"]);
    let passes = vec![Pass { command, tampering: Vec::new(), codes: DONE }];
    // The wish may have been lost: the pass stays where it is then.
    let recovers = |host: &Host| {
        let run = host.once();
        assert!(matches!(run.code, Some(0 | 1)), "{run:?}");
        assert_live(host, if run.code == Some(0) { 2 } else { 1 });
    };
    Story { passes, ..story("roll back by hand", host, recovers) }
}

/// Falco is left to plain files: what falco.yaml loads is there, and whoever was interrupted can begin again.
pub(super) fn ejected(edits: bool) -> Story {
    let host = Host::new();
    host.configure(if edits { "config = \"edit\"\n" } else { "" });
    commit(&host, 1);
    let _adopted = host.falconer(["adopt"]).ended_with(0);
    converges(&host, 1);
    let _named = host.falconer(["adopt"]).ended_with(0);
    let mut command = host.command();
    command.args(["eject", "--output", "json"]);
    let passes = vec![Pass { command, tampering: Vec::new(), codes: DONE }];
    let recovers = |host: &Host| {
        let _ejected = host.falconer(["eject"]).ended_with(0);
        assert!(!host.read("etc/falco.yaml").contains("/state/"));
        assert_eq!(host.read("etc/falconer-ejected/rules/10-acme-rules.yaml"), rules(1));
        let refused = host.once().ended_with(1);
        assert!(refused.stderr.contains("ejected"), "{refused:?}");
    };
    let name = if edits { "eject from falco.yaml" } else { "eject" };
    Story { passes, ..story(name, host, recovers) }
}

/// A pass is killed when its last ledger is not surely on the disk; the next one finds nothing to do, and answers what it finds.
pub(super) fn nothing_to_do_after_a_kill() -> Story {
    let told = update();
    let saved = Saved::of(&told.host);
    let (run, calls) = trace::record(&once(&told.host), "fsync", false);
    let _done = run.ended_with(0);
    saved.restore();
    let last = calls.iter().rposition(|call| call.line.contains("/state>")).unwrap();
    let killed = tampered(&told.host, &format!("fsync:signal=KILL:when={}", last + 1), &[None]);
    let passes = vec![killed, pass(&told.host, DONE)];
    Story { name: "nothing to do after a kill", passes, ..told }
}

/// Somebody suspends the host, and resumes it.
pub(super) fn suspended() -> Story {
    let host = installed();
    commit(&host, 2);
    let said = |words: &[&str]| {
        let mut command = host.command();
        command.args(words).args(["--output", "json"]);
        Pass { command, tampering: Vec::new(), codes: DONE }
    };
    let waits = pass(&host, &[Some(2)]);
    let passes = vec![said(&["suspend", "--reason", "audit"]), waits, said(&["resume"])];
    let recovers = |host: &Host| {
        let run = host.once();
        assert!(matches!(run.code, Some(0 | 2)), "{run:?}");
        assert_live(host, if run.code == Some(0) { 2 } else { 1 });
        let _resumed = host.falconer(["resume"]).ended_with(0);
        converges(host, 2);
    };
    Story { passes, ..story("suspend and resume", host, recovers) }
}
