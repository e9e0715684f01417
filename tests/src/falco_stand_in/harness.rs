//! Starts the stand-in for a test and ends it with the test.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What goes wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The second phase of a reload fails and ends the process, as a taken port or a driver that does not open does.
    DieAtReload,
    /// SIGHUP is caught and nothing is done.
    IgnoreSighup,
    /// The process aborts this long after a reload.
    CrashAfterReload(Duration),
    /// The time in which SIGHUP is not caught lasts this long in a reload.
    SlowReload(Duration),
    /// A dry run takes this much longer.
    SlowDryRun(Duration),
    /// Its files are watched, as a stock configuration has it, and their changes reload it too.
    WatchFiles,
    /// `/metrics` is not served whatever the configuration says.
    MetricsOff,
}

impl Fault {
    /// The switch of the stand-in's command line.
    #[must_use]
    pub fn argument(self) -> String {
        let kind = match self {
            Self::DieAtReload => "die-at-reload".into(),
            Self::IgnoreSighup => "ignore-sighup".into(),
            Self::CrashAfterReload(time) => format!("crash-after-reload:{}", time.as_millis()),
            Self::SlowReload(time) => format!("slow-reload:{}", time.as_millis()),
            Self::SlowDryRun(time) => format!("slow-dry-run:{}", time.as_millis()),
            Self::WatchFiles => "watch-files".into(),
            Self::MetricsOff => "metrics-off".into(),
        };
        format!("--stand-in-fault={kind}")
    }
}

/// A running stand-in; it is killed when this is dropped.
#[derive(Debug)]
pub struct FalcoStandIn {
    child: Child,
    port: u16,
    output: PathBuf,
    _directory: tempfile::TempDir,
}

/// The program, built with the tests.
///
/// # Errors
/// When the path of this test program is not known.
pub fn binary() -> io::Result<PathBuf> {
    let test = std::env::current_exe()?;
    let directory = test.ancestors().find(|path| path.join("falco-stand-in").is_file());
    directory.map(|path| path.join("falco-stand-in")).ok_or_else(|| io::Error::other("falco-stand-in is not built"))
}

/// A port that nobody listens on, below the range from which the system takes the ports of outgoing connections: the
/// stand-in gives its port up in every reload and must get it back.
fn free_port() -> io::Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in 0..1000 {
        let number = std::process::id().wrapping_mul(97).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + (number % 20_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::other("no free port"))
}

impl FalcoStandIn {
    /// Starts it with a configuration file and faults, its web server on a free port. It is not ready yet.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(config_file: &Path, faults: &[Fault]) -> io::Result<Self> {
        Self::start_with(config_file, faults, &[])
    }

    /// The same with more arguments, e.g. `--stand-in-version=0.40.0`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_with(config_file: &Path, faults: &[Fault], arguments: &[&str]) -> io::Result<Self> {
        Self::spawn(&binary()?, config_file, faults, arguments)
    }

    /// Starts a copy of it, so that it is told from those of other tests by its file.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_program(program: &Path, config_file: &Path, faults: &[Fault], arguments: &[&str]) -> io::Result<Self> {
        Self::spawn(program, config_file, faults, arguments)
    }

    fn spawn(program: &Path, config_file: &Path, faults: &[Fault], arguments: &[&str]) -> io::Result<Self> {
        let port = free_port()?;
        let directory = tempfile::tempdir()?;
        let output = directory.path().join("output");
        let file = std::fs::File::create(&output)?;
        let child = Command::new(program)
            .args(["-o", &format!("webserver.listen_port={port}"), "-c"])
            .arg(config_file)
            .args(faults.iter().map(|fault| fault.argument()))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self { child, port, output, _directory: directory })
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port of its web server on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Everything that it has written to standard output and standard error.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Waits until `/healthz` answers.
    ///
    /// # Errors
    /// When it ends before, or 10 s are over.
    pub fn wait_ready(&mut self) -> io::Result<()> {
        self.wait_for(Duration::from_secs(10), |stand_in| stand_in.page("/healthz").is_ok())
    }

    /// Waits until `seen` says so.
    ///
    /// # Errors
    /// When it ends before, or `deadline` is over.
    pub fn wait_for(&mut self, deadline: Duration, seen: impl Fn(&Self) -> bool) -> io::Result<()> {
        let give_up = Instant::now() + deadline;
        while !seen(self) {
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() >= give_up {
                let state = ended.map_or("still runs".to_owned(), |status| format!("ended with {status}"));
                return Err(io::Error::other(format!("the stand-in {state}: {}", self.output())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Waits until the process has ended.
    ///
    /// # Errors
    /// When `deadline` is over.
    pub fn wait_ended(&mut self, deadline: Duration) -> io::Result<ExitStatus> {
        let give_up = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= give_up {
                return Err(io::Error::other("the stand-in still runs"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Gets one page of the web server.
    ///
    /// # Errors
    /// When the server does not answer 200.
    pub fn page(&self, path: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: falco\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.into()),
            _ => Err(io::Error::other(answer)),
        }
    }
}

impl Drop for FalcoStandIn {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}
