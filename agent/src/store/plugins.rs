//! Plugins: each in a directory of its own, placed whole, never written twice.

use std::collections::BTreeMap;

use falconer_manifests::name::RelativePath;

use super::generation::build;
use super::observe::{Caps, observe_in, shallow};
use super::{Content, GenerationFile, Locked, ObservedEntry, PLUGINS, StateDirectory, StoreError, is_temporary, split};

/// What a plugin may have: its library may be large.
const CAPS: Caps = Caps { file: 512 << 20, total: 1 << 30 };

impl StateDirectory {
    /// The directories of all plugins, as paths in the state directory, sorted.
    ///
    /// # Errors
    /// When the directory of plugins cannot be read.
    pub fn plugins(&self) -> Result<Vec<RelativePath>, StoreError> {
        let Some(plugins) = self.subdirectory(PLUGINS)? else { return Ok(Vec::new()) };
        let names = plugins.names(usize::MAX)?;
        let path = |name: &std::ffi::OsString| RelativePath::parse(&format!("{PLUGINS}/{}", name.to_str()?)).ok();
        let mut paths: Vec<_> = names.iter().filter(|name| !is_temporary(name)).filter_map(path).collect();
        paths.sort();
        Ok(paths)
    }

    /// Everything in the directory of a plugin, as [`Self::observe`] has it for a generation.
    ///
    /// # Errors
    /// When the system itself is short of something.
    pub fn observe_plugin(
        &self,
        directory: &RelativePath,
    ) -> Result<BTreeMap<RelativePath, ObservedEntry>, StoreError> {
        let plugins = self.subdirectory(PLUGINS)?;
        observe_in(plugins.map(|plugins| plugins.subdirectory(directory.base_name())), CAPS, &self.written)
    }

    /// Reads a file of a plugin, of at most `cap` bytes; `None` when there is none. Its content is not verified.
    ///
    /// # Errors
    /// When something else stands there, when it is longer, or when it cannot be read.
    pub fn read_plugin_file(
        &self,
        directory: &RelativePath,
        path: &RelativePath,
        cap: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(plugins) = self.subdirectory(PLUGINS)? else { return Ok(None) };
        let mut found = plugins.subdirectory(directory.base_name())?;
        let (parent, name) = split(path.as_str());
        for part in parent.split('/').filter(|part| !part.is_empty()) {
            found = found.subdirectory(part)?;
        }
        Ok(found.read_file(name, cap)?)
    }

    /// What stands at the path of a plugin's directory, itself; `None` when there is nothing.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn observe_plugin_root(&self, directory: &RelativePath) -> Result<Option<ObservedEntry>, StoreError> {
        let Some(plugins) = self.subdirectory(PLUGINS)? else { return Ok(None) };
        let name = directory.base_name();
        let status = plugins.stat(name)?;
        Ok(status.map(|status| shallow(&plugins, name.as_ref(), &status)).transpose()?)
    }
}

impl Locked {
    /// Places a plugin: builds its directory, each file checked against what it must be, and names it when it is durable.
    /// What stood at its place before is moved away first and removed; a Falco that has it in use keeps its own copy.
    ///
    /// # Errors
    /// When a content cannot be had or is another one, or when the disk does not take it.
    pub fn place_plugin<'a>(
        &self,
        directory: &RelativePath,
        files: impl IntoIterator<Item = (GenerationFile, Content<'a>)>,
    ) -> Result<(), StoreError> {
        let name = directory.base_name();
        let temporary = format!("{name}.tmp");
        self.plugins.remove_tree(&temporary)?;
        if let Err(error) = build(&self.plugins, &temporary, files, None, &self.store) {
            self.plugins.discard(&temporary);
            return Err(error);
        }
        if self.plugins.stat(name)?.is_none() {
            // The name is made durable with the activation of the generation that needs it.
            self.plugins.rename(&temporary, name)?;
            return Ok(());
        }
        if !self.plugins.exchange(&temporary, name)? {
            // Not in one step here; the generation that needs it is not live before both are done.
            let old = format!("{name}.old.tmp");
            self.plugins.remove_tree(&old)?;
            self.plugins.rename(name, &old)?;
            self.plugins.rename(&temporary, name)?;
            self.plugins.discard(&old);
        }
        // Else a crash could keep the removal and lose the exchange.
        self.plugins.sync()?;
        // What it replaces is in nobody's way where it cannot be removed; the next lock tells of it.
        self.plugins.discard(&temporary);
        Ok(())
    }

    /// Removes a plugin; `false` when there is none.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub fn remove_plugin(&self, directory: &RelativePath) -> Result<bool, StoreError> {
        let (_, name) = split(directory.as_str());
        let temporary = format!("{name}.tmp");
        if self.plugins.stat(name)?.is_none() {
            return Ok(false);
        }
        self.plugins.remove_tree(&temporary)?;
        self.plugins.rename(name, &temporary)?;
        self.plugins.sync()?;
        Ok(self.plugins.remove_tree(&temporary)?)
    }
}
