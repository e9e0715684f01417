//! Checks the signature of a report, or of the commit that holds it, as `git verify-commit` does, but for one signer: the
//! host itself.

use std::path::Path;

use falconer_manifests::name::HostName;

use super::sanitised;
use super::sign::{ended, keygen};

/// A signature and what it should be of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What it is for: [`super::sign::COMMITS`] or another word.
    pub namespace: &'static str,
    /// The signature, in OpenSSH's armour.
    pub signature: Vec<u8>,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// What a signature is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// A key that may sign for this host has signed these bytes.
    Good,
    /// There is no signature.
    Unsigned,
    /// The signature is not of these bytes, or the key may not sign for this host.
    Bad(String),
}

/// Checks that what is `signed` is so by a key that the file `allowed_signers` lists for the principal `host`
/// (ssh-keygen(1), ALLOWED SIGNERS). Keys are judged at the time of the check, because a signer chooses the time of a
/// commit. `scratch` is a directory for a moment's files.
///
/// # Errors
/// When files cannot be written, or ssh-keygen cannot be run.
pub async fn verify(
    allowed_signers: &Path,
    host: &HostName,
    signed: Option<&Signed>,
    scratch: &Path,
) -> Result<Trust, std::io::Error> {
    let Some(Signed { namespace, signature, payload }) = signed else { return Ok(Trust::Unsigned) };
    if !signature.starts_with(b"-----BEGIN SSH SIGNATURE-----") {
        return Ok(Trust::Bad("it is no SSH signature".to_owned()));
    }
    // One host may have reported to several places.
    let file = scratch.join(format!("{host}-{:016x}.sig", fastrand::u64(..)));
    std::io::Write::write_all(&mut fs_err::File::create(&file)?, signature)?;
    let mut command = keygen("verify");
    command.args(["-n", namespace, "-I", host.as_str(), "-f"]).arg(allowed_signers).arg("-s").arg(&file);
    let ended = ended(command, payload).await;
    fs_err::remove_file(&file)?;
    let (success, stdout, stderr) = ended.map_err(std::io::Error::other)?;
    if success {
        return Ok(Trust::Good);
    }
    let said = sanitised(&format!("{} {}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)));
    Ok(Trust::Bad(said))
}
