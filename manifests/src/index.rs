//! falcoctl's index: which names stand for which repositories.
