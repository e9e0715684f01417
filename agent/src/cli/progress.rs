//! Progress bars for a person who waits.
#![expect(clippy::disallowed_methods, reason = "NO_COLOR belongs to the terminal, as its width does")]

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use falconer_manifests::digest::Digest;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::print::{self, Printer};
use crate::pass::{Event, Listener, Sources};

/// Transfers shorter than this have no bar: they are over before it can be read.
const WORTH_A_BAR: u64 = 256 << 10;

/// Shows on stderr how far fetching has come: when that is a terminal, answers are for people, and `NO_COLOR` does not ask
/// for plain text. Bars are gone when the work is done.
pub(super) fn show(sources: &mut Sources, printer: Printer) {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if printer.is_for_people() && !is_plain && print::is_terminal(&std::io::stderr()) {
        let bars = Bars { all: MultiProgress::new(), open: Mutex::default() };
        sources.report_progress_to(Listener::new(move |event| bars.take(event)));
    }
}

struct Bars {
    all: MultiProgress,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    questions: Option<ProgressBar>,
    transfers: BTreeMap<Digest, ProgressBar>,
}

impl Bars {
    fn take(&self, event: Event<'_>) {
        // A bar that is wrong after a panic elsewhere harms nobody.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Asking { questions } => {
                let bar = ProgressBar::new(questions as u64).with_style(style("asking {pos}/{len} {wide_bar}"));
                open.questions = Some(self.all.add(bar));
            }
            Event::Answered => {
                if let Some(bar) = &open.questions {
                    bar.inc(1);
                    if bar.length() == Some(bar.position()) {
                        bar.finish_and_clear();
                    }
                }
            }
            Event::Begun { source, layer } if layer.size >= WORTH_A_BAR => {
                let style = style("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
                let name = source.to_string();
                let name = name.rsplit('/').next().unwrap_or_default().to_owned();
                let bar = ProgressBar::new(layer.size).with_style(style).with_message(name);
                open.transfers.insert(layer.digest.clone(), self.all.add(bar));
            }
            Event::Begun { .. } => {}
            Event::Came { digest, bytes } => {
                if let Some(bar) = open.transfers.get(digest) {
                    bar.set_position(bytes);
                }
            }
            Event::Ended { digest } => {
                if let Some(bar) = open.transfers.remove(digest) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

/// A template of ours; the plain bar where it is not understood.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
