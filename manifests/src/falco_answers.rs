//! What Falco says of itself: versions, metrics, findings.

mod findings;
mod metrics;
mod signals;
mod versions;

pub use findings::{FalcoFinding, Rejection, rejection};
pub use metrics::{Loaded, loaded};
pub use signals::catches_sighup;
pub use versions::{FalcoVersion, FalcoVersions, versions};
