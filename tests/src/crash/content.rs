//! What files hold: each content once, with what can be worked out from it.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use falconer_manifests::digest::Digest;
use falconer_manifests::generation::Record;
use falconer_manifests::ledger::Ledger;

/// The bytes of a file.
#[derive(Debug)]
pub struct Content {
    bytes: Vec<u8>,
    key: u64,
    digest: OnceCell<Digest>,
    ledger: OnceCell<Option<Ledger>>,
    record: OnceCell<Option<Record>>,
}

impl Content {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let key = hasher.finish();
        Self { bytes, key, digest: OnceCell::new(), ledger: OnceCell::new(), record: OnceCell::new() }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A number that only this content has.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        self.digest.get_or_init(|| Digest::of(&self.bytes))
    }

    /// The ledger that it is, if it is one.
    pub fn ledger(&self) -> Option<&Ledger> {
        let parse = || Ledger::parse(str::from_utf8(&self.bytes).ok()?).ok();
        self.ledger.get_or_init(parse).as_ref()
    }

    /// The record of a generation that it is, if it is one.
    pub fn record(&self) -> Option<&Record> {
        self.record.get_or_init(|| serde_json::from_slice(&self.bytes).ok()).as_ref()
    }
}

/// All contents that were ever seen, each once.
#[derive(Debug, Clone, Default)]
pub struct Contents(HashMap<Vec<u8>, Rc<Content>>);

impl Contents {
    /// The one content that has these bytes.
    pub fn of(&mut self, bytes: Vec<u8>) -> Rc<Content> {
        let entry = self.0.entry(bytes);
        let new = |bytes: &Vec<u8>| Rc::new(Content::new(bytes.clone()));
        Rc::clone(entry.or_insert_with_key(new))
    }
}
