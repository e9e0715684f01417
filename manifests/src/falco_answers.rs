//! What Falco says of itself: versions, metrics, findings.

mod findings;
mod metrics;
mod signals;
mod units;
mod versions;

pub use findings::{FalcoFinding, Rejection, rejection};
pub use metrics::{Loaded, loaded};
pub use signals::catches_sighup;
pub use units::{exec_start_arguments, service_of};
pub use versions::{FalcoVersion, FalcoVersions, versions};
