//! Extension records: pax headers (POSIX.1-2017, pax, "pax Extended Header") and GNU tar's long names.

use std::io::Read;

use tar::EntryType;

use super::{ArchiveError, Refusal};

/// No name and no set of records is longer; in bytes.
const EXTENSION_CAP: u64 = 16 << 10;

/// What the records before an entry say about it.
#[derive(Debug, Default)]
pub(super) struct Extension {
    /// The entry's name.
    pub(super) name: Option<Box<[u8]>>,
    /// The entry's size.
    pub(super) size: Option<u64>,
    pax: bool,
}

/// A key and its value.
type Record<'a> = (&'a str, &'a [u8]);

/// Why an extension is not taken.
pub(super) enum ExtensionError {
    Refused(Refusal),
    Malformed(std::io::Error),
}

impl ExtensionError {
    /// The error of the entry called `label`.
    pub(super) fn of(self, label: &str) -> ArchiveError {
        match self {
            Self::Refused(reason) => ArchiveError::Refused { entry: label.into(), reason },
            Self::Malformed(error) => ArchiveError::Malformed(error),
        }
    }
}

impl From<Refusal> for ExtensionError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Whether an entry is no member itself but says something about members.
pub(super) fn is_extension(kind: EntryType) -> bool {
    matches!(kind, EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink)
}

impl Extension {
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && !self.pax
    }

    /// Takes what one extension entry says.
    pub(super) fn take(&mut self, kind: EntryType, size: u64, content: &mut impl Read) -> Result<(), ExtensionError> {
        if size > EXTENSION_CAP {
            return Err(Refusal::BadExtension.into());
        }
        let mut bytes = Vec::new();
        content.take(EXTENSION_CAP).read_to_end(&mut bytes).map_err(ExtensionError::Malformed)?;
        if bytes.len() as u64 != size {
            return Err(ExtensionError::Malformed(std::io::ErrorKind::UnexpectedEof.into()));
        }
        match kind {
            EntryType::GNULongName => {
                let name = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
                self.set_name(name)?;
            }
            // Says where a link points to, and there are no links here.
            EntryType::GNULongLink => return Err(Refusal::ForbiddenExtension.into()),
            EntryType::XGlobalHeader => {
                if records(&bytes)?.iter().any(|(key, _)| !is_inert(key)) {
                    return Err(Refusal::ForbiddenExtension.into());
                }
            }
            _ => self.take_pax(&records(&bytes)?)?,
        }
        Ok(())
    }

    fn take_pax(&mut self, records: &[Record<'_>]) -> Result<(), Refusal> {
        if std::mem::replace(&mut self.pax, true) {
            return Err(Refusal::ExtensionTwice);
        }
        for (key, value) in records {
            match *key {
                "path" => self.set_name(value)?,
                "size" => {
                    let size = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                    let size = size.and_then(|text| text.parse().ok()).ok_or(Refusal::BadExtension)?;
                    if self.size.replace(size).is_some() {
                        return Err(Refusal::ExtensionTwice);
                    }
                }
                key if is_inert(key) => {}
                _ => return Err(Refusal::ForbiddenExtension),
            }
        }
        Ok(())
    }

    fn set_name(&mut self, name: &[u8]) -> Result<(), Refusal> {
        if name.contains(&0) {
            return Err(Refusal::BadExtension);
        }
        if self.name.replace(name.into()).is_some() {
            return Err(Refusal::ExtensionTwice);
        }
        Ok(())
    }
}

/// Whether a record changes neither name, nor kind, nor content of a file.
fn is_inert(key: &str) -> bool {
    matches!(key, "comment" | "atime" | "ctime" | "mtime" | "uid" | "gid" | "uname" | "gname")
        || ["LIBARCHIVE.", "SCHILY.xattr.", "SCHILY.acl."].iter().any(|prefix| key.starts_with(prefix))
        || matches!(key, "SCHILY.dev" | "SCHILY.ino" | "SCHILY.nlink" | "SCHILY.fflags")
}

/// The records `length key=value\n` of a pax header.
fn records(mut bytes: &[u8]) -> Result<Vec<Record<'_>>, Refusal> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let (record, rest) = record(bytes).ok_or(Refusal::BadExtension)?;
        records.push(record);
        bytes = rest;
    }
    Ok(records)
}

/// The first record, as key and value, and the bytes behind it.
fn record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let digits = std::str::from_utf8(bytes.get(..space)?).ok()?;
    // `parse` alone would take a sign too.
    let length: usize = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
    let text = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(text.get(..equals)?).ok()?;
    Some(((key, text.get(equals + 1..)?), bytes.get(length..)?))
}
