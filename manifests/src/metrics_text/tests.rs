use alloc::string::ToString;

use super::write::seconds;
use super::*;

#[test]
fn both_formats_name_counters_as_they_want_them() {
    let mut counts = Counts { started_at: 7, milliseconds: 1500, ..Counts::default() };
    counts.passes.insert("InSync".to_string(), 2);
    counts.changes.insert(ChangeKind::Add, 1);
    let measured = Measured { version: "1.0\"\\\n", status: None, last_pass: None, counts: Some(&counts) };
    let open = render(&measured, Format::OpenMetrics);
    for line in [
        "# TYPE falconer info\n",
        "falconer_info{version=\"1.0\\\"\\\\\\n\",host=\"\",falco=\"\"} 1\n",
        "# TYPE falconer_pass counter\n",
        "falconer_pass_total{outcome=\"InSync\"} 2\n",
        "falconer_pass_duration_seconds_sum 1.5\n",
    ] {
        assert!(open.contains(line), "{line}\n{open}");
    }
    assert!(open.ends_with("\n# EOF\n"));
    let old = render(&measured, Format::Prometheus);
    for line in ["# TYPE falconer_info gauge\n", "# TYPE falconer_pass_total counter\n"] {
        assert!(old.contains(line), "{line}\n{old}");
    }
    assert!(!old.contains("EOF"));
    let samples = |text: &str| {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_string).collect::<alloc::vec::Vec<_>>()
    };
    assert_eq!(samples(&open), samples(&old));
}

#[test]
fn the_format_is_the_one_that_is_asked_for() {
    for (accept, format) in [
        ("", Format::Prometheus),
        ("*/*", Format::Prometheus),
        ("text/plain;version=0.0.4", Format::Prometheus),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3", Format::OpenMetrics),
        ("text/plain, application/openmetrics-text", Format::OpenMetrics),
    ] {
        assert_eq!(Format::accepted_by(accept), format, "{accept}");
    }
}

#[test]
fn milliseconds_are_seconds() {
    for (milliseconds, text) in [(0, "0"), (7, "0.007"), (1500, "1.5"), (10_000, "10"), (60_120, "60.12")] {
        assert_eq!(seconds(milliseconds), text);
    }
}
