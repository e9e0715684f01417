//! `current`: the one symbolic link whose replacement makes a generation live.

use std::os::unix::ffi::OsStrExt;

use falconer_manifests::generation::GenerationNumber;
use falconer_manifests::observed::Pointer;
use rustix::fs::FileType;

use super::{GENERATIONS, Locked, StateDirectory, StoreError, generation_number, kind_of};

/// The name of the link.
pub(super) const CURRENT: &str = "current";
const TEMPORARY: &str = "current.tmp";

/// What an activation has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Whether `current` named something else before.
    pub changed: bool,
    /// What `current.displaced-…` in the state directory now holds what somebody had put in the place of `current`.
    pub displaced: Option<String>,
}

impl StateDirectory {
    /// What `current` names now.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn current(&self) -> Result<Pointer, StoreError> {
        let Some(root) = &self.root else { return Ok(Pointer::Missing) };
        let Some(status) = root.stat(CURRENT)? else { return Ok(Pointer::Missing) };
        if FileType::from_raw_mode(status.st_mode) != FileType::Symlink {
            return Ok(Pointer::Foreign(kind_of(status.st_mode).into()));
        }
        let target = root.read_link(CURRENT)?;
        let number = str::from_utf8(target.as_bytes())
            .ok()
            .and_then(|target| generation_number(target.strip_prefix(GENERATIONS)?.strip_prefix('/')?));
        Ok(number.map_or_else(
            || Pointer::Foreign(format!("a symbolic link to {}", target.to_string_lossy().escape_debug())),
            Pointer::Generation,
        ))
    }
}

impl Locked {
    /// Lets `current` name `number`, durably. What is no link of any kind is moved aside, not deleted.
    pub(super) fn point_to(&self, number: GenerationNumber) -> Result<Activation, StoreError> {
        if self.current()? == Pointer::Generation(number) {
            // Where a run was killed before it could sync this, taking the lock has done it.
            return Ok(Activation { changed: false, displaced: None });
        }
        self.clear_temporary_link()?;
        self.root.create_link(&format!("{GENERATIONS}/{number}"), TEMPORARY)?;
        let displaced = if self.is_replaceable(CURRENT)? {
            self.root.rename(TEMPORARY, CURRENT)?;
            None
        } else if self.root.exchange(TEMPORARY, CURRENT)? {
            Some(self.displace(TEMPORARY)?)
        } else {
            let displaced = self.displace(CURRENT)?;
            self.root.rename(TEMPORARY, CURRENT)?;
            Some(displaced)
        };
        self.root.sync()?;
        Ok(Activation { changed: true, displaced })
    }

    /// Removes the link that an interrupted activation has left; if it was interrupted between the exchange and the moving
    /// aside, what stands there is moved aside now.
    pub(super) fn clear_temporary_link(&self) -> Result<(), StoreError> {
        if self.is_replaceable(TEMPORARY)? {
            self.root.remove_file_if_there(TEMPORARY)?;
        } else {
            let displaced = self.displace(TEMPORARY)?;
            tracing::warn!(displaced, "moved aside what stood in the place of `current`");
        }
        Ok(())
    }

    /// Whether there is nothing or a link, which holds nothing of anybody.
    fn is_replaceable(&self, name: &str) -> Result<bool, StoreError> {
        let status = self.root.stat(name)?;
        Ok(status.is_none_or(|status| FileType::from_raw_mode(status.st_mode) == FileType::Symlink))
    }

    /// Renames `name` to a free name, and gives that.
    fn displace(&self, name: &str) -> Result<String, StoreError> {
        let mut number = 1_u64;
        loop {
            let free = format!("{CURRENT}.displaced-{number}");
            if self.root.stat(&free)?.is_none() {
                self.root.rename(name, &free)?;
                return Ok(free);
            }
            number += 1;
        }
    }
}
