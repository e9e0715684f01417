//! The same input gives the same digests.

use super::*;

const PUSH: [&str; 9] =
    ["artifact", "push", "oci:artifacts:1", "fleet/rules.yaml", "--type", "rulesfile", "--version", "1.0.0", "-ojson"];

fn pushed(host: &Host, epoch: Option<&str>) -> Value {
    let mut command = host.command();
    command.args(PUSH).envs(epoch.map(|epoch| ("SOURCE_DATE_EPOCH", epoch)));
    run(&mut command).ended_with(0).json()
}

#[test]
fn at_the_time_of_the_commit() {
    let host = Host::new();
    host.commit(&[("rules.yaml", NEEDY)]);
    let seconds: u64 = host.git(&["-C", "fleet", "log", "-1", "--format=%ct"]).trim().parse().unwrap();
    let first = pushed(&host, None);
    assert_eq!(first["created_from"], "commit");
    let by_epoch = pushed(&host, Some(&seconds.to_string()));
    assert_eq!(by_epoch["created_from"], "SOURCE_DATE_EPOCH");
    assert_eq!((&by_epoch["created"], &by_epoch["digest"]), (&first["created"], &first["digest"]));
    // Another place and another time of the file change nothing.
    host.git(&["clone", "-q", "fleet", "clone"]);
    host.git(&["-C", "clone", "checkout", "-q", "main"]);
    std::fs::rename(host.path("fleet"), host.path("old")).unwrap();
    std::fs::rename(host.path("clone"), host.path("fleet")).unwrap();
    assert_eq!(pushed(&host, None)["digest"], first["digest"]);

    // What a build makes is ignored and does not count; what is not committed does.
    let index = || std::fs::read(host.path("fleet/.git/index")).unwrap();
    let before = index();
    host.write("fleet/.git/info/exclude", "built.so\n");
    host.write("fleet/built.so", "x");
    assert_eq!(pushed(&host, None)["created_from"], "commit");
    assert_eq!(index(), before, "the working copy is not written to");
    host.write("fleet/draft.yaml", "- list: x\n");
    let now = pushed(&host, None);
    assert_eq!(now["created_from"], "now");
    assert_eq!(now["layer"], first["layer"]);
}

#[test]
fn at_the_time_that_the_environment_says() {
    let host = publisher();
    let line = "push oci:plugin libacme.so arm/libacme.so --type plugin --version 1.2.3 --platform linux/amd64 --platform linux/arm64";
    let first = answer(&host, line);
    assert_eq!((&first["created"], &first["created_from"]), (&CREATED.into(), &"SOURCE_DATE_EPOCH".into()));
    assert_eq!(answer(&host, line)["digest"], first["digest"]);
    assert_eq!(answer(&host, &line.replace("oci:plugin", "oci:again/plugin"))["digest"], first["digest"]);
    host.write("rules.yaml", NEEDY);
    for bad in ["", "soon", "-1", "253402300800", "99999999999999999999"] {
        let mut command = host.command();
        command.env("SOURCE_DATE_EPOCH", bad).args(["artifact", "push", "oci:r", "rules.yaml", "--type", "rulesfile"]);
        let refused = run(command.args(["--version", "1.0.0"])).ended_with(1);
        assert!(refused.stderr.contains("SOURCE_DATE_EPOCH"), "{bad}: {}", refused.stderr);
    }
}
