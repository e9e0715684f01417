//! Looks at a pack as it comes, before libgit2 does, so that nothing in it can make us hold more than the limits.
//!
//! libgit2's indexer streams whole objects, but builds the result of a delta in memory, reads back the packed bytes of
//! each object, and keeps a record per object. The format is in git, Documentation/gitformat-pack.

use flate2::{Decompress, FlushDecompress, Status};

use super::access::Limits;

/// Follows one pack, piece by piece.
#[derive(Debug)]
pub(super) struct Scan {
    limits: Limits,
    state: State,
    objects: Option<u32>,
    left: u32,
    taken: u64,
    number: Number,
    kind: u8,
    declared: u64,
    inflate: Decompress,
    packed: u64,
    inflated: u64,
    sizes_of_delta: u8,
}

/// Why a pack is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Something is over a limit.
    TooLarge { what: String, limit: u64 },
    /// It is not a pack.
    Broken(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header(u8),
    Entry,
    Offset,
    Base(u8),
    Content,
    Trailer,
}

/// A number that comes in groups of seven bits, least significant first.
#[derive(Debug, Clone, Copy, Default)]
struct Number {
    value: u64,
    bits: u32,
}

const COMMIT: u8 = 1;
const BLOB: u8 = 3;
const TAG: u8 = 4;
const DELTA_BY_OFFSET: u8 = 6;
const DELTA_BY_NAME: u8 = 7;

impl Number {
    /// Takes the next group; says whether more follow.
    fn push(&mut self, byte: u8) -> Result<bool, Refusal> {
        let group = u64::from(byte & 0x7f);
        if self.bits > 56 {
            return Err(Refusal::Broken("it has a size that is too long"));
        }
        self.value |= group << self.bits;
        self.bits += 7;
        Ok(byte & 0x80 != 0)
    }
}

impl Scan {
    /// A scan that has seen nothing.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Header(0),
            objects: None,
            left: 0,
            taken: 0,
            number: Number::default(),
            kind: 0,
            declared: 0,
            inflate: Decompress::new(true),
            packed: 0,
            inflated: 0,
            sizes_of_delta: 0,
        }
    }

    /// The number of objects, once it is known.
    pub(super) const fn objects(&self) -> Option<u32> {
        self.objects
    }

    /// Whether the last object has come.
    pub(super) fn is_whole(&self) -> bool {
        self.state == State::Trailer
    }

    /// Looks at the next piece.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.taken += piece.len() as u64;
        if self.taken > self.limits.pack {
            return Err(Refusal::TooLarge { what: "a pack of too many bytes".into(), limit: self.limits.pack });
        }
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            rest = match self.state {
                State::Content => self.content(rest)?,
                State::Trailer => return Ok(()),
                _ => {
                    self.byte(*byte)?;
                    after
                }
            };
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> Result<(), Refusal> {
        match self.state {
            State::Header(at) => self.header(at, byte),
            State::Entry => {
                let more = if self.number.bits == 0 {
                    self.kind = (byte >> 4) & 7;
                    self.number = Number { value: u64::from(byte & 15), bits: 4 };
                    byte & 0x80 != 0
                } else {
                    self.number.push(byte)?
                };
                if more { Ok(()) } else { self.entry() }
            }
            State::Offset => {
                if byte & 0x80 == 0 {
                    self.state = State::Content;
                }
                Ok(())
            }
            State::Base(at) => {
                self.state = if at >= 19 { State::Content } else { State::Base(at + 1) };
                Ok(())
            }
            State::Content | State::Trailer => Ok(()),
        }
    }

    fn header(&mut self, at: u8, byte: u8) -> Result<(), Refusal> {
        if let Some(expected) = b"PACK\0\0\0\x02".get(usize::from(at)) {
            if byte != *expected {
                return Err(Refusal::Broken("it does not start as a pack of version 2 does"));
            }
        } else {
            self.left = (self.left << 8) | u32::from(byte);
        }
        self.state = State::Header(at + 1);
        if at == 11 {
            self.objects = Some(self.left);
            if self.left > self.limits.objects {
                let what = format!("a pack of {} objects", self.left);
                return Err(Refusal::TooLarge { what, limit: u64::from(self.limits.objects) });
            }
            self.next_entry();
        }
        Ok(())
    }

    /// The type and size of an object have come.
    fn entry(&mut self) -> Result<(), Refusal> {
        self.declared = self.number.value;
        self.number = Number::default();
        self.state = match self.kind {
            BLOB => State::Content,
            COMMIT..=TAG => {
                self.bounded(self.declared, "a commit, tree or tag")?;
                State::Content
            }
            DELTA_BY_OFFSET | DELTA_BY_NAME => {
                self.bounded(self.declared, "a delta")?;
                if self.kind == DELTA_BY_OFFSET { State::Offset } else { State::Base(0) }
            }
            _ => return Err(Refusal::Broken("it has an object of an unknown type")),
        };
        Ok(())
    }

    /// Inflates `input` and gives back what comes after the object.
    fn content<'a>(&mut self, input: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let mut scratch = [0; 16 * 1024];
        let before = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, &mut scratch, FlushDecompress::None)
            .map_err(|_| Refusal::Broken("it has an object that does not inflate"))?;
        let used = usize::try_from(self.inflate.total_in() - before.0).unwrap_or(input.len());
        let made = usize::try_from(self.inflate.total_out() - before.1).unwrap_or(0);
        self.packed += used as u64;
        self.inflated += made as u64;
        self.bounded(self.packed, "an object that is packed into")?;
        if self.kind >= DELTA_BY_OFFSET {
            self.delta(scratch.get(..made).unwrap_or_default())?;
        }
        if self.inflated > self.declared {
            return Err(Refusal::Broken("it has an object that is longer than it says"));
        }
        let rest = input.get(used..).unwrap_or_default();
        if status == Status::StreamEnd {
            if self.inflated < self.declared {
                return Err(Refusal::Broken("it has an object that is shorter than it says"));
            }
            self.left = self.left.saturating_sub(1);
            self.next_entry();
        } else if used == 0 && made == 0 && !rest.is_empty() {
            return Err(Refusal::Broken("it has an object that does not inflate"));
        }
        Ok(rest)
    }

    /// The head of a delta: the size of its base, then the size of its result.
    fn delta(&mut self, inflated: &[u8]) -> Result<(), Refusal> {
        for byte in inflated {
            if self.sizes_of_delta >= 2 {
                return Ok(());
            }
            if !self.number.push(*byte)? {
                self.bounded(self.number.value, "an object as a delta")?;
                self.number = Number::default();
                self.sizes_of_delta += 1;
            }
        }
        Ok(())
    }

    fn next_entry(&mut self) {
        self.state = if self.left == 0 { State::Trailer } else { State::Entry };
        self.number = Number::default();
        self.inflate.reset(true);
        (self.packed, self.inflated, self.sizes_of_delta) = (0, 0, 0);
    }

    fn bounded(&self, bytes: u64, what: &str) -> Result<(), Refusal> {
        if bytes <= self.limits.object {
            return Ok(());
        }
        Err(Refusal::TooLarge { what: format!("{what} of {bytes} bytes"), limit: self.limits.object })
    }
}

#[cfg(test)]
mod tests;
