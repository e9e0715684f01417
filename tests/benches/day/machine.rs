//! A virtual machine whose clock does not wait: its file system, made of programs of this machine, and its start.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use falconer_tests::falco_stand_in;
use falconer_tests::host::run as ended;

use super::say;

/// The first argument of this program in the machine.
pub(super) const INSIDE: &str = "inside";
/// What begins a line of the machine's console that is an answer.
const ANSWER: &str = "| ";
/// The memory of the machine, in MiB.
const MEMORY: &str = "1024";
/// What the kernel starts.
const INIT: &str = r#"#!/bin/sh
export PATH=/bin LC_ALL=C HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs tmpfs /tmp
ip link set lo up
FALCONER_PROGRAM=/bin/falconer RUST_BACKTRACE=1 /bin/deps/day inside "$(cat /hours)" 2>&1 | sed -u 's/^/| /'
echo o >/proc/sysrq-trigger
sleep 9
"#;

/// Runs this program in a machine with the falconer `program`, and says what it says. The error says what is missing here.
pub(super) fn run(program: &Path, hours: u64) -> Result<(), String> {
    let qemu =
        in_path("qemu-system-x86_64").ok_or("there is no qemu-system-x86_64 in PATH (qemu-system-x86 of Debian)")?;
    let kernel = kernel().ok_or(
        "there is no Linux kernel in /boot (linux-image-cloud-amd64 of Debian), and FALCONER_KERNEL names no other",
    )?;
    let directory = tempfile::tempdir().unwrap();
    let image = directory.path().join("initramfs");
    std::fs::write(&image, file_system(program, hours)?).unwrap();
    let mut machine = Command::new(qemu)
        .args(["-accel", "tcg", "-icount", "shift=0,sleep=off", "-m", MEMORY, "-nic", "none"])
        .args(["-display", "none", "-monitor", "none", "-serial", "stdio", "-no-reboot"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(&image)
        .args(["-append", "console=ttyS0 quiet panic=-1 no_timer_check"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("qemu: {error}"))?;
    let mut other = String::new();
    let mut answers = 0;
    for line in BufReader::new(machine.stdout.take().unwrap()).split(b'\n') {
        let line = String::from_utf8_lossy(&line.unwrap()).trim_end_matches('\r').to_string();
        match line.strip_prefix(ANSWER) {
            Some(answer) => {
                answers += 1;
                say(answer);
            }
            None => other.push_str(&format!("{line}\n")),
        }
    }
    let status = machine.wait().unwrap();
    if answers == 0 || !status.success() { Err(format!("the machine has ended ({status}): {other}")) } else { Ok(()) }
}

fn kernel() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("FALCONER_KERNEL") {
        return Some(named.into());
    }
    let found = std::fs::read_dir("/boot").ok()?.flatten().map(|entry| entry.path());
    found.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))).max()
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|at| at.join(name))
        .find(|at| at.is_file())
}

/// An archive for the kernel to start from (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
fn file_system(program: &Path, hours: u64) -> Result<Vec<u8>, String> {
    let git = ended(Command::new("git").arg("--exec-path")).stdout;
    let backend = Path::new(git.trim()).join("git-http-backend");
    let mut files = vec![
        (program.to_path_buf(), "/bin/falconer".to_string()),
        (std::env::current_exe().unwrap(), "/bin/deps/day".to_string()),
        (falco_stand_in::binary().map_err(|error| error.to_string())?, "/bin/falco-stand-in".to_string()),
        (backend.clone(), backend.display().to_string()),
    ];
    for name in ["sh", "mount", "ip", "git", "cat", "cp", "sed", "sleep"] {
        let found = in_path(name).ok_or_else(|| format!("there is no {name} in PATH"))?;
        files.push((found, format!("/bin/{name}")));
    }
    let programs: Vec<_> = files.iter().map(|(from, _)| from.clone()).collect();
    files.extend(libraries(&programs).into_iter().map(|path| (PathBuf::from(&path), path)));
    files.extend(["/etc/passwd", "/etc/group"].map(|path| (path.into(), path.to_string())));
    let mut archive = Archive::default();
    for (from, to) in files {
        let bytes = std::fs::read(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        let mode = from.metadata().unwrap().permissions().mode() & 0o777;
        archive.file(&to, mode, &bytes);
    }
    for service in ["receive-pack", "upload-pack"] {
        let script = format!("#!/bin/sh\nexec git {service} \"$@\"\n");
        archive.file(&format!("/bin/git-{service}"), 0o755, script.as_bytes());
    }
    archive.file("/init", 0o755, INIT.as_bytes());
    archive.file("/hours", 0o644, hours.to_string().as_bytes());
    ["/proc", "/sys", "/dev", "/tmp"].iter().for_each(|path| archive.directory(path));
    Ok(archive.end())
}

/// The libraries that programs load, and what loads them.
fn libraries(programs: &[PathBuf]) -> BTreeSet<String> {
    let listed = ended(Command::new("ldd").args(programs)).stdout;
    let words = listed.split_whitespace().filter(|word| word.starts_with('/') && !word.ends_with(':'));
    words.map(str::to_string).collect()
}

/// An archive in the format `newc` of cpio.
#[derive(Default)]
struct Archive {
    bytes: Vec<u8>,
    directories: BTreeSet<String>,
}

impl Archive {
    fn file(&mut self, path: &str, mode: u32, bytes: &[u8]) {
        let above: Vec<_> = Path::new(path).ancestors().skip(1).map(|path| path.display().to_string()).collect();
        above.iter().rev().filter(|path| *path != "/").for_each(|path| self.directory(path));
        self.entry(path, 0o100_000 | mode, bytes);
    }

    fn directory(&mut self, path: &str) {
        if self.directories.insert(path.to_string()) {
            self.entry(path, 0o040_755, b"");
        }
    }

    fn entry(&mut self, path: &str, mode: u32, bytes: &[u8]) {
        let path = path.trim_start_matches('/');
        let number = self.bytes.len() + 1;
        let fields = [number, mode as usize, 0, 0, 1, 0, bytes.len(), 0, 0, 0, 0, path.len() + 1, 0];
        self.bytes.extend(b"070701");
        fields.iter().for_each(|field| write!(self.bytes, "{field:08X}").unwrap());
        self.bytes.extend(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(bytes);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, b"");
        self.bytes
    }
}
