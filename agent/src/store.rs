//! The store room: the state directory, its generations and its ledger.
