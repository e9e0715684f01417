//! Two agents at once.

use std::process::Stdio;

use super::*;

/// Twenty passes at the same moment on a host where nothing was ever placed: one does the work, the others try later.
#[test]
fn twenty_agents_at_once() {
    for round in 0..3 {
        let host = Host::new();
        commit(&host, 1);
        let _adopted = host.falconer(["adopt"]).ended_with(0);
        let start = || once(&host).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let agents: Vec<_> = (0..20).map(|_| start()).collect();
        let ends: Vec<_> = agents.into_iter().map(|agent| agent.wait_with_output().unwrap()).collect();
        for end in &ends {
            let said = || format!("{}{}", String::from_utf8_lossy(&end.stdout), String::from_utf8_lossy(&end.stderr));
            assert!(matches!(end.status.code(), Some(0 | 75)), "{:?}: {}", end.status, said());
        }
        let done = ends.iter().filter(|end| end.status.success()).count();
        say(&format!("round {round}: {done} passes, {} that try later", ends.len() - done));
        assert!(done >= 1);
        assert_live(&host, 1);
        converges(&host, 1);
    }
}
