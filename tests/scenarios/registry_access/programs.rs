//! The real program with a mirror: what it fetches from where, and what the lockfile says.

use falconer_tests::registry_server::{Mode, RegistryServer};

use super::*;

#[test]
fn the_lockfile_names_the_registry_and_not_its_mirror() {
    let (origin, mirror) = (RegistryServer::start(Mode::Plain).unwrap(), RegistryServer::start(Mode::Plain).unwrap());
    let tables = |origin: &str, mirror: &str| {
        format!(
            "[registries.\"{origin}\"]\nplain_http = true\nmirror = \"{mirror}/proxy\"\n\
             [registries.\"{mirror}\"]\nplain_http = true\n"
        )
    };
    let host = adopted(host_with(&tables(&origin.host(), &mirror.host())));
    let _at_the_mirror = host.falconer(push(&format!("{}/proxy/acme/rules:1.0.0", mirror.host()))).ended_with(0);
    // The origin has never heard of the artifact: all comes from the mirror.
    host.commit(&[("fleet.yaml", &fleet(&format!("{}/acme/rules:1.0.0", origin.host())))]);
    let _locked = host.falconer(["lock", "fleet"]).ended_with(0);
    let lock = host.read("fleet/falconer.lock");
    assert!(lock.contains(&format!("{}/acme/rules", origin.host())) && !lock.contains(&mirror.host()), "{lock}");
    host.commit(&[]);
    let _live = host.falconer(["once"]).ended_with(0);

    // Without the mirror, and with the origin having it, the same lockfile is obeyed.
    let other = adopted(host_with(&tables(&origin.host(), &dead_host())));
    other.commit(&[("fleet.yaml", &host.read("fleet/fleet.yaml")), ("falconer.lock", &lock)]);
    let absent = other.falconer(["once"]).ended_with(1);
    assert!(
        absent.stderr.contains("does not have this blob") && absent.stderr.contains("before that"),
        "{}",
        absent.stderr
    );
    let created = [("SOURCE_DATE_EPOCH", "0")];
    let mut publish = host.command();
    let _at_the_origin =
        falconer_tests::host::run(publish.args(push(&format!("{}/acme/rules:1.0.0", origin.host()))).envs(created))
            .ended_with(0);
    let _live = other.falconer(["once"]).ended_with(0);
}
