//! Reads falco.yaml and what it includes.

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::Path;

use falconer_manifests::falco_answers::FalcoVersion;
use falconer_manifests::falco_config::{IncludeEntry, Sources, included_paths};
use falconer_manifests::name::AbsolutePath;

use super::{FalcoError, FalcoSettings};

/// The longest file of a configuration, in bytes. The stock falco.yaml has 65 KB.
const FILE_CAP: u64 = 1 << 20;
/// The most files of one included directory.
const DIRECTORY_CAP: usize = 500;

/// The texts of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// Where the main file is.
    pub path: AbsolutePath,
    /// Its text.
    pub text: String,
    /// What it includes; paths that do not exist are left out.
    pub includes: BTreeMap<AbsolutePath, IncludeEntry>,
}

impl Documents {
    /// The argument of [`evaluate`](falconer_manifests::falco_config::evaluate), leaving `exclude` out.
    #[must_use]
    pub fn sources<'a>(&'a self, version: Option<&'a FalcoVersion>, exclude: Option<&'a AbsolutePath>) -> Sources<'a> {
        Sources { path: &self.path, text: &self.text, version, includes: &self.includes, exclude }
    }
}

/// Reads the main file and everything that a Falco of this version includes from it. Symbolic links are followed: the files
/// belong to the host.
///
/// # Errors
/// [`FalcoError`] when a file cannot be read, is too long or is not text, or the list of includes is not one.
pub fn documents(settings: &FalcoSettings, version: Option<&FalcoVersion>) -> Result<Documents, FalcoError> {
    let path = std::path::absolute(&settings.config_file).map_err(FalcoError::Read)?;
    let not_text = || FalcoError::NotText { path: path.clone() };
    let name = AbsolutePath::parse(path.to_str().ok_or_else(not_text)?).map_err(|_| not_text())?;
    let text = text(&path)?;
    let paths = included_paths(&name, &text, version)
        .map_err(|source| FalcoError::Configuration { path: path.clone(), source })?;
    let mut includes = BTreeMap::new();
    for include in paths {
        if let Some(entry) = entry(Path::new(include.as_str()))? {
            includes.insert(include, entry);
        }
    }
    Ok(Documents { path: name, text, includes })
}

fn entry(path: &Path) -> Result<Option<IncludeEntry>, FalcoError> {
    match fs_err::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(IncludeEntry::File(text(path)?))),
        Ok(metadata) if metadata.is_dir() => directory(path).map(|files| Some(IncludeEntry::Directory(files))),
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(FalcoError::Read(error)),
    }
}

fn directory(path: &Path) -> Result<Vec<(String, String)>, FalcoError> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(path).map_err(FalcoError::Read)? {
        let file = entry.map_err(FalcoError::Read)?.path();
        // A dangling link is no regular file to Falco either.
        if !file.is_file() {
            continue;
        }
        if files.len() >= DIRECTORY_CAP {
            return Err(FalcoError::TooMany { path: path.into(), cap: DIRECTORY_CAP });
        }
        let name = file.file_name().and_then(|name| name.to_str()).map(String::from);
        files.push((name.ok_or_else(|| FalcoError::NotText { path: file.clone() })?, text(&file)?));
    }
    Ok(files)
}

fn text(path: &Path) -> Result<String, FalcoError> {
    let file = fs_err::File::open(path).map_err(FalcoError::Read)?;
    let mut bytes = Vec::new();
    file.take(FILE_CAP + 1).read_to_end(&mut bytes).map_err(FalcoError::Read)?;
    if bytes.len() as u64 > FILE_CAP {
        return Err(FalcoError::TooLong { path: path.into(), cap: FILE_CAP });
    }
    String::from_utf8(bytes).map_err(|_| FalcoError::NotText { path: path.into() })
}

#[cfg(test)]
mod tests {
    use falconer_manifests::falco_config::evaluate;

    use super::*;

    fn settings(config_file: &Path) -> FalcoSettings {
        let deadlines = super::super::Deadlines::default();
        FalcoSettings {
            memory: std::sync::Arc::default(),
            config_file: config_file.into(),
            binary: "/none".into(),
            http: None,
            deadlines,
            supervision: super::super::Supervision::default(),
            validate_as: None,
        }
    }

    #[test]
    fn a_main_file_its_directory_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs_err::create_dir(at("config.d")).unwrap();
        fs_err::create_dir(at("config.d/below")).unwrap();
        fs_err::write(at("config.d/b.txt"), "x: b\n").unwrap();
        fs_err::write(at("real"), "x: a\ny: a\n").unwrap();
        std::os::unix::fs::symlink(at("real"), at("config.d/a.yaml")).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("config.d/gone.yaml")).unwrap();
        let main = format!("config_files: [{0}/config.d, {0}/missing, {0}/real]\n", dir.path().display());
        fs_err::write(at("falco.yaml"), main).unwrap();
        let read = documents(&settings(&at("falco.yaml")), None).unwrap();
        assert_eq!(read.includes.len(), 2);
        let evaluated = evaluate(&read.sources(None, None)).unwrap();
        assert_eq!((evaluated.settings["x"].as_str(), evaluated.files.len()), (Some("a"), 4));
    }

    #[test]
    fn files_that_are_no_configuration() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("falco.yaml");
        assert!(matches!(documents(&settings(&file), None), Err(FalcoError::Read(_))));
        fs_err::write(&file, [0xff, 0xfe]).unwrap();
        assert!(matches!(documents(&settings(&file), None), Err(FalcoError::NotText { .. })));
        fs_err::write(&file, vec![b'#'; FILE_CAP as usize + 1]).unwrap();
        assert!(matches!(documents(&settings(&file), None), Err(FalcoError::TooLong { .. })));
        fs_err::write(&file, "config_files: [[]]\n").unwrap();
        assert!(matches!(documents(&settings(&file), None), Err(FalcoError::Configuration { .. })));
    }
}
