//! The Git room: polls, fetches and reads the desired-state repository, and pushes reports.
//!
//! It speaks Git's wire protocol itself, over the HTTP client that it is given and over the system's `ssh`, and leaves
//! objects and packs to libgit2. Absent on purpose: references of our own, a checkout, hooks, filters, submodules,
//! credentials helpers, and history that nobody asked for.
//!
//! ```text
//! Remote ── poll ──▶ Revision ── fetch ──▶ Repository ── lineage, read_file ──▶ bytes
//!    └───── push_report
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "this room starts ssh with a part of our environment; Retry-After dates need the clock"
)]

mod access;
mod advertisement;
mod collect;
mod error;
mod fetch;
mod http;
mod intake;
mod lineage;
mod local;
mod negotiation;
mod pack_index;
mod pack_scan;
mod packet;
mod poll;
mod probe;
mod remote;
mod report;
mod repository;
mod ssh;
mod url;
mod verdict;
mod working_copy;

pub use access::{Access, Credential, Limits, Ssh};
pub use collect::Collected;
pub use error::GitError;
pub use lineage::Lineage;
pub use probe::Probe;
pub use remote::Remote;
pub use report::sign::{COMMITS, sign};
pub use report::verify::{Signed, Trust, verify};
pub use report::{Expected, Place, PushedReport, Report, blob_id};
pub use repository::{Repository, discard};
pub use url::RemoteUrl;
pub use working_copy::commit_time;
