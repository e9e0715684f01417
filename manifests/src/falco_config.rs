//! falco.yaml: what Falco makes of it and its includes, and the one edit that we make.

mod adopt;
mod document;
mod evaluate;
mod include;
mod includes;
mod settings;

pub use adopt::{AdoptError, Adopted, Adoption, adopt, adoption, with_include_replaced};
pub use document::Unreadable;
pub use evaluate::{EvaluateError, Evaluated, IncludeEntry, Note, Sources, evaluate, included_paths};
pub use include::{Include, merge_settings};
pub use settings::{is_on, reload_is_noop, serves_metrics, truth, with_option};
