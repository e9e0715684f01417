//! falco.yaml: what Falco makes of it and its includes, and the one edit that we make.
