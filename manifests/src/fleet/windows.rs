//! `windows` and `suspend`: when hosts may be changed.

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use jiff::Timestamp;
use jiff::civil::Time;

use crate::finding::Malformed;
use crate::window::{Act, Days, Effect, Suspension, Window, parse_time, parse_zone};
use crate::yaml::{Node, Problems};

const EFFECTS: [(&str, Effect); 2] = [("allow", Effect::Allow), ("deny", Effect::Deny)];
const ACTS: [(&str, Act); 2] = [("download", Act::Download), ("apply", Act::Apply)];

pub(super) fn decode(problems: &mut Problems<'_>, node: &Node) -> Vec<Window> {
    let hint = "write `- {effect: allow, days: mon-fri, from: \"22:00\", to: \"04:00\", zone: UTC}`";
    let items = problems.sequence(node, "a list of windows", hint).unwrap_or_default();
    items.iter().filter_map(|item| window(problems, item)).collect()
}

fn window(problems: &mut Problems<'_>, node: &Node) -> Option<Window> {
    let keys = ["effect", "what", "days", "from", "to", "zone", "reason"];
    let fields = problems.fields(node, "a window as a map", &keys, &["effect"])?;
    let effect = fields.get("effect").and_then(|node| problems.one_of(node, "allow or deny", &EFFECTS));
    let acts = match fields.get("what") {
        None => vec![Act::Download, Act::Apply],
        Some(node) => {
            let items = problems.sequence(node, "a list", "write `what: [download, apply]`").unwrap_or_default();
            items.iter().filter_map(|item| problems.one_of(item, "download or apply", &ACTS)).collect()
        }
    };
    let days = fields.get("days").map_or(Some(Days::ALL), |node| problems.parsed(node, "days", Days::parse));
    let mut time = |key| {
        fields.get(key).map_or(Some(Time::midnight()), |node| problems.parsed(node, "a time of the day", parse_time))
    };
    let (from, to) = (time("from"), time("to"));
    let zone = fields.get("zone").map_or(Some("UTC".to_string()), |node| problems.parsed(node, "a zone", parse_zone));
    let reason = fields.get("reason").and_then(|node| text(problems, node));
    Some(Window { effect: effect?, acts, days: days?, from: from?, to: to?, zone: zone?, reason })
}

pub(super) fn suspension(problems: &mut Problems<'_>, node: &Node) -> Option<Suspension> {
    let keys = ["reason", "until"];
    let fields = problems.fields(node, "a suspension as a map", &keys, &["reason"])?;
    let reason = fields.get("reason").and_then(|node| text(problems, node));
    let until = fields.get("until").and_then(|node| problems.parsed(node, "a moment", moment));
    Some(Suspension { reason, since: None, until })
}

fn text(problems: &mut Problems<'_>, node: &Node) -> Option<String> {
    problems.text(node, "a text", "write why in a few words").map(ToString::to_string)
}

fn moment(text: &str) -> Result<Timestamp, Malformed> {
    let (problem, hint) = ("is no moment", "write it like 2027-01-04T06:00:00Z or 2027-01-04T07:00:00+01:00");
    text.parse().map_err(|_| Malformed { what: "moment", value: text.to_string(), problem, hint })
}
