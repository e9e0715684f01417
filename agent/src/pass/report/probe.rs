//! Tries whether a report would be taken, and sends none.

use super::courier::Courier;
use super::sink::{Sink, SinkError};
use crate::git;
use crate::outbound::OutboundError;
use crate::pass::PassError;
use crate::pass::rooms::open_remote;
use crate::settings::Settings;
use crate::transfer;

/// How much was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// A push was taken that leaves everything as it is.
    Pushed,
    /// The server lets us in to push; there is nothing yet that a push could leave as it is.
    Offered,
    /// The repository is a directory of this host.
    Local,
    /// The address answers; whether it takes a report only a report can show.
    Answers,
}

/// Tries the place that the settings name for reports; `None` where they name none.
///
/// # Errors
/// What keeps a report from being taken.
pub async fn probe(settings: &Settings) -> Option<Result<Probe, PassError>> {
    let report = settings.report.as_ref()?;
    Some(probe_place(settings, report).await)
}

async fn probe_place(settings: &Settings, report: &crate::settings::report::Report) -> Result<Probe, PassError> {
    let client = transfer::client()?;
    let remote = |remote: &crate::settings::Remote| open_remote(settings, remote, client.clone());
    let mut courier = Courier::new(settings, report, client.clone(), remote)?;
    let tried = match &mut courier.sink {
        Sink::Reference(remote, reference) | Sink::Branch(remote, reference, _) => remote.probe_report(reference).await,
        Sink::Http(endpoint) => {
            return match endpoint.get().await {
                // A token may be for writing only.
                Ok(_) | Err(OutboundError::Denied { .. } | OutboundError::Status { .. }) => Ok(Probe::Answers),
                Err(error) => Err(SinkError::from(error).into()),
            };
        }
    };
    Ok(match tried.map_err(SinkError::from)? {
        git::Probe::Pushed(_) => Probe::Pushed,
        git::Probe::Offered => Probe::Offered,
        git::Probe::Local => Probe::Local,
    })
}
