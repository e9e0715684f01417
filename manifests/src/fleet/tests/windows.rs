use super::*;

#[test]
fn when_hosts_may_be_changed() {
    let head = "version: 1\nrules_files: [{host: /etc/falco/own.yaml}]\n";
    let text = format!(
        "{head}windows:\n  - {{effect: allow, what: [apply], days: mon-fri, from: \"22:00\", to: 04:00, zone: Europe/Berlin}}\n  \
         - {{effect: deny, days: sun, reason: freeze}}\nsuspend: {{reason: holidays, until: 2027-01-04T07:00:00+01:00}}\n"
    );
    let state = parse(FILE_NAME, &text).unwrap();
    let [allow, deny] = &state.windows[..] else { panic!("{:?}", state.windows) };
    assert_eq!((allow.acts.len(), allow.zone.as_str(), allow.to.hour()), (1, "Europe/Berlin", 4));
    assert_eq!((deny.acts.len(), deny.zone.as_str(), deny.reason.as_deref()), (2, "UTC", Some("freeze")));
    assert_eq!(state.suspension.unwrap().until.unwrap().to_string(), "2027-01-04T06:00:00Z");
    for (lines, said) in [
        ("windows: [{days: mon}]", "the key `effect` is missing"),
        ("windows: [{effect: allow, day: mon}]", "unknown key `day`"),
        ("windows: [{effect: allow, days: moon}]", "days `moon` names no day"),
        ("windows: [{effect: allow, from: 25:00}]", "time `25:00` is no time"),
        ("windows: [{effect: allow, zone: ../x}]", "time zone `../x`"),
        ("windows: [{effect: close}]", "allow or deny"),
        ("windows: [{effect: deny, what: [applying]}]", "download or apply"),
        ("suspend: {until: 2027-01-04T06:00:00Z}", "the key `reason` is missing"),
        ("suspend: {reason: x, until: tomorrow}", "moment `tomorrow` is no moment"),
    ] {
        let findings = parse(FILE_NAME, &format!("{head}{lines}\n")).unwrap_err();
        assert!(findings.to_string().contains(said), "{lines}\n{findings}");
        assert!(findings.to_string().starts_with("fleet.yaml:3:"), "{findings}");
    }
}
