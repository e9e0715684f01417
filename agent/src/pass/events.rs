//! Remembers what passes have changed or failed.

use std::path::Path;

use falconer_manifests::event::{self, Event};
use falconer_manifests::status::Status;

use super::{Agent, PassError};
use crate::error::chain;
use crate::store::{Document, Locked, StateDirectory, StoreError};

/// The longest file of events that is read, in bytes: with a torn line it may be longer than it should.
const EVENTS_CAP: u64 = 2 * event::BYTES_AT_MOST as u64;

/// Remembers the pass at `now`, in seconds since 1970, when it has changed or failed something; else nothing is written.
/// That it cannot be remembered stops nobody.
pub(super) fn remember(state: &Locked, status: &Status, now: u64) {
    let before = state.read_document(Document::Events, EVENTS_CAP).map(Option::unwrap_or_default);
    let last = before.as_ref().ok().and_then(|before| event::last(before));
    let Some(event) = Event::of(status, last.as_ref(), now) else { return };
    let added = match &before {
        Ok(before) => add(state, before.clone(), &event),
        Err(error) => {
            tracing::warn!("earlier events cannot be read, and make room for new ones: {}", chain(error));
            add(state, Vec::new(), &event)
        }
    };
    if let Err(error) = added {
        tracing::warn!("the event of this pass cannot be kept: {}", chain(error.as_ref()));
    }
}

/// The whole file is replaced, so that a crash leaves the old events or the new ones.
fn add(state: &Locked, before: Vec<u8>, event: &Event) -> Result<(), Box<dyn std::error::Error>> {
    let line = event::line(event, &before)?;
    let mut events = event::kept(&before, &line).unwrap_or(before);
    events.extend_from_slice(line.as_bytes());
    let _is_another: bool = state.replace_document(Document::Events, &events)?;
    Ok(())
}

/// The events that are remembered, the oldest first. Needs no lock.
///
/// # Errors
/// When they cannot be read.
pub fn events(agent: &Agent) -> Result<Vec<Event>, PassError> {
    let state = StateDirectory::open(Path::new(agent.settings.state.as_str()))?;
    let bytes: Result<_, StoreError> = state.read_document(Document::Events, EVENTS_CAP);
    Ok(event::parse(&bytes?.unwrap_or_default()))
}
