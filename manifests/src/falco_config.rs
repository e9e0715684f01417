//! falco.yaml: what Falco makes of it and its includes, and how it is edited.

mod adopt;
mod document;
mod edit;
mod evaluate;
mod include;
mod includes;
mod plugins;
mod settings;

pub use adopt::{AdoptError, Adopted, Adoption, adopt, adoption, with_include_replaced, without_include};
pub use document::Unreadable;
pub use edit::{EditError, astray, has_blocks, owner_text, with_keys, with_marks, with_plain_keys};
pub use evaluate::{EvaluateError, Evaluated, IncludeEntry, Note, Sources, evaluate, included_paths};
pub use include::{Include, merge_settings};
pub use plugins::{loaded_plugins, plugin_entries, plugin_name};
pub use settings::{is_on, reload_is_noop, serves_metrics, truth, with_option};
