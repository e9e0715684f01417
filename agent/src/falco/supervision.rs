//! Who supervises Falco: its unit, and how it is started anew where a reload does not do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use falconer_manifests::falco_answers::{exec_start_arguments, service_of};
use falconer_manifests::observed::Restarter;
use tokio::time::Instant;

use super::child::{Ended, Rights, run};
use super::reload::{Asked, LOOK};
use super::running::{proc_text, running};
use super::{Falco, FalcoError, FalcoSettings, Reloading, loaded};

/// What the operator says of the one who starts Falco.
#[derive(Debug, Clone)]
pub struct Supervision {
    /// Falco's unit; without it the one that the process belongs to, when it is called `falco…`.
    pub unit: Option<String>,
    /// The file that holds Falco's process id; without it the process is looked for.
    pub pid_file: Option<PathBuf>,
    /// Whether Falco may be restarted at all.
    pub may_restart: bool,
    /// The command that restarts Falco where systemd does not; `{pid}` stands for its process id.
    pub command: Option<Vec<String>>,
    /// The program that speaks with systemd.
    pub systemctl: PathBuf,
}

impl Default for Supervision {
    fn default() -> Self {
        Self { unit: None, pid_file: None, may_restart: true, command: None, systemctl: "systemctl".into() }
    }
}

/// How this Falco can be restarted; `None` when it cannot, or must not be. Nothing is asked and nothing started for that.
#[must_use]
pub fn restarter(settings: &FalcoSettings, falco: &Falco) -> Option<Restarter> {
    let supervision = &settings.supervision;
    if !supervision.may_restart {
        return None;
    }
    if let Some(command) = &supervision.command {
        return Some(Restarter::Command(command.clone()));
    }
    if let Some(unit) = &supervision.unit {
        return Some(Restarter::Unit(unit.clone()));
    }
    // As sd_booted(3) finds out whether systemd is there. A service by another name may be more than Falco.
    let unit = unit_of(falco.pid).filter(|unit| unit.starts_with("falco"))?;
    Path::new("/run/systemd/system").is_dir().then_some(Restarter::Unit(unit))
}

/// The unit that the process belongs to.
pub(super) fn unit_of(pid: u32) -> Option<String> {
    service_of(&proc_text(pid, "cgroup").ok()?).map(str::to_string)
}

/// The arguments with which the unit that agent.toml names would start Falco; for a Falco that does not run now.
pub async fn unit_arguments(settings: &FalcoSettings) -> Option<Vec<String>> {
    let unit = settings.supervision.unit.as_deref()?;
    let arguments = ["show", "--property=ExecStart", "--value", "--", unit];
    let ended = run(&settings.supervision.systemctl, arguments, settings.deadlines.version, &Rights::OWN).await.ok()?;
    exec_start_arguments(&ended.stdout)
}

/// Has Falco started anew and waits until the new process is there.
///
/// # Errors
/// [`FalcoError::Restart`] when that was refused and the old process runs on, [`FalcoError::NotBack`] when it has ended and no
/// other has come.
pub async fn restart(settings: &FalcoSettings, by: &Restarter, falco: &Falco) -> Result<Reloading, FalcoError> {
    let pid = falco.pid;
    let before = loaded(settings).await.ok();
    let sent = Instant::now();
    let ended = match by {
        Restarter::Unit(unit) => start(settings, &settings.supervision.systemctl, &["restart", "--", unit]).await,
        Restarter::Command(words) => {
            let own = |word: &String| if word == "{pid}" { pid.to_string() } else { word.clone() };
            let words: Vec<_> = words.iter().map(own).collect();
            let (program, arguments) = words.split_first().map_or(("", [].as_slice()), |(first, rest)| (first, rest));
            start(settings, Path::new(program), arguments).await
        }
    };
    let refused = match ended {
        Ok(Ended { status: Some(status), .. }) if status.success() => None,
        Ok(ended) if ended.status.is_none() => Some("no answer in time".to_string()),
        Ok(ended) => Some(super::binary::tail(&ended)),
        Err(error) => Some(error.to_string()),
    };
    if let (Some(said), true) = (&refused, falco.is_alive()) {
        return Err(FalcoError::Restart { by: by.to_string(), said: said.clone() });
    }
    let give_up = Instant::now() + settings.deadlines.safe;
    loop {
        let found = running(settings)?;
        if let Some(found) = found.filter(|found| !found.is_same(falco)) {
            return Ok(Reloading { falco: found, sent, before, asked: Asked::Restart });
        }
        if Instant::now() >= give_up {
            // A command that says it is done and leaves the process alone has restarted nothing.
            return Err(match falco.is_alive() {
                true => FalcoError::Restart { by: by.to_string(), said: "the same process still runs".to_string() },
                false => FalcoError::NotBack { pid, waited: settings.deadlines.safe },
            });
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn start<A: AsRef<OsStr>>(settings: &FalcoSettings, program: &Path, arguments: &[A]) -> std::io::Result<Ended> {
    run(program, arguments, settings.deadlines.restart, &Rights::OWN).await
}
