//! What a run did to files, as strace saw it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::Run;
use crate::trace;

/// The calls that are recorded. Those that the model does not know are there so that they are noticed.
const SET: &str = "?open,openat,?openat2,?creat,write,pwrite64,writev,?pwritev,?pwritev2,?rename,renameat,?renameat2,?unlink,\
    unlinkat,?mkdir,mkdirat,?rmdir,?symlink,symlinkat,?link,linkat,?chmod,fchmod,fchmodat,truncate,ftruncate,fallocate,lseek,\
    fsync,fdatasync,sync,syncfs,sync_file_range,copy_file_range,sendfile,splice,?mknod,mknodat,mmap,connect,\
    flock,kill,tkill,tgkill,pidfd_send_signal";

/// One thing that a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A program was started.
    Begin,
    /// A program wrote to its standard output.
    Answer,
    /// A file was opened for writing, and created where it was not there.
    Open {
        /// The descriptor.
        descriptor: u32,
        /// The file.
        path: PathBuf,
        /// Whether it is created where it is missing.
        creates: bool,
        /// Whether it is emptied.
        truncates: bool,
        /// The permission bits of a new file.
        mode: u32,
    },
    /// Bytes were written: at a place, or where the last write ended.
    Write {
        /// The descriptor.
        descriptor: u32,
        /// The file.
        path: PathBuf,
        /// Where, if not where the last write ended.
        at: Option<usize>,
        /// What.
        bytes: Vec<u8>,
    },
    /// The next write is to go there.
    Seek {
        /// The descriptor.
        descriptor: u32,
        /// The file.
        path: PathBuf,
        /// Where.
        at: usize,
    },
    /// A file got another length.
    Truncate {
        /// The file.
        path: PathBuf,
        /// The length in bytes.
        length: usize,
    },
    /// Something was renamed.
    Rename {
        /// From here.
        from: PathBuf,
        /// To there.
        to: PathBuf,
        /// Whether the two changed places.
        exchanges: bool,
    },
    /// A file got one more name.
    Link {
        /// The old one.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// A symbolic link was made.
    Symlink {
        /// The link.
        path: PathBuf,
        /// Where it points to.
        target: PathBuf,
    },
    /// A file, link or directory was removed.
    Remove {
        /// Which.
        path: PathBuf,
    },
    /// A directory was made.
    MakeDirectory {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Permission bits were set.
    SetMode {
        /// Of this.
        path: PathBuf,
        /// The bits.
        mode: u32,
    },
    /// A file or directory was to be made durable.
    Sync {
        /// Which.
        path: PathBuf,
        /// Whether the disk took it.
        succeeded: bool,
    },
    /// A lock was taken.
    Lock {
        /// The file.
        path: PathBuf,
    },
    /// A signal was sent.
    Signal,
    /// Somebody was called on the network, or on a socket.
    Connect,
}

/// Runs `command` and gives what it and its children did. `tampering` are further arguments for strace.
#[must_use]
pub fn record(command: &Command, tampering: &[String]) -> (Run, Vec<Event>) {
    let (run, log) = trace::log(command, SET, tampering);
    let events = whole_lines(&log);
    (run, [Event::Begin].into_iter().chain(events.iter().filter_map(|line| event(line))).collect())
}

/// The lines of a log, each call in one.
fn whole_lines(log: &str) -> Vec<String> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut lines = Vec::new();
    for line in log.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            begun.insert(pid, start.trim_end());
        } else if let Some(rest) = call.strip_prefix("<... ") {
            let end = rest.split_once("resumed>").map_or("", |(_, end)| end);
            lines.push(format!("{}{end}", begun.remove(pid).unwrap_or_default()));
        } else {
            lines.push(call.to_owned());
        }
    }
    lines
}

/// The event that a call is; `None` for what changes nothing.
fn event(line: &str) -> Option<Event> {
    let (name, rest) = line.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(") = ").or_else(|| rest.rsplit_once(")  "))?;
    let result = result.trim_start_matches(['=', ' ']);
    // A call that a kill came before has no result.
    let failed = !result.starts_with(|c: char| c.is_ascii_digit());
    let arguments = split(arguments);
    let argument = |at: usize| arguments.get(at).map_or("", String::as_str);
    let path = |at: usize| at_path(argument(at), argument(at + 1));
    let plain = |at: usize| PathBuf::from(quoted(argument(at)));
    if matches!(name, "fsync" | "fdatasync") {
        return Some(Event::Sync { path: descriptor(argument(0))?.1, succeeded: !failed });
    }
    if failed {
        return None;
    }
    let flags = |text: &str, flag: &str| text.split('|').any(|one| one == flag);
    let open = |flags_at: usize| {
        let (text, (number, path)) = (argument(flags_at), descriptor(result)?);
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| flags(text, flag));
        let (creates, truncates) = (flags(text, "O_CREAT"), flags(text, "O_TRUNC"));
        assert!(!flags(text, "O_TMPFILE"), "not in the model: {line}");
        assert!(!writes || !flags(text, "O_APPEND"), "not in the model: {line}");
        writes.then(|| Event::Open {
            descriptor: number,
            path,
            creates,
            truncates,
            mode: octal(argument(flags_at + 1)),
        })
    };
    Some(match name {
        "open" => open(1)?,
        "openat" => open(2)?,
        "write" | "pwrite64" => {
            let (number, path) = descriptor(argument(0))?;
            if number == 1 && path.to_string_lossy().starts_with("pipe:") {
                return Some(Event::Answer);
            }
            let mut bytes = quoted(argument(1)).into_vec();
            bytes.truncate(result.parse().ok()?);
            let at = if name == "pwrite64" { Some(argument(3).parse().ok()?) } else { None };
            Event::Write { descriptor: number, path, at, bytes }
        }
        "lseek" => {
            let (number, path) = descriptor(argument(0))?;
            Event::Seek { descriptor: number, path, at: result.parse().ok()? }
        }
        "truncate" => Event::Truncate { path: plain(0), length: argument(1).parse().ok()? },
        "ftruncate" => Event::Truncate { path: descriptor(argument(0))?.1, length: argument(1).parse().ok()? },
        "rename" => Event::Rename { from: plain(0), to: plain(1), exchanges: false },
        "renameat" | "renameat2" => {
            Event::Rename { from: path(0), to: path(2), exchanges: argument(4).contains("RENAME_EXCHANGE") }
        }
        "link" => Event::Link { from: plain(0), to: plain(1) },
        "linkat" => Event::Link { from: path(0), to: path(2) },
        "symlink" => Event::Symlink { target: plain(0), path: plain(1) },
        "symlinkat" => Event::Symlink { target: plain(0), path: path(1) },
        "unlink" | "rmdir" => Event::Remove { path: plain(0) },
        "unlinkat" => Event::Remove { path: path(0) },
        "mkdir" => Event::MakeDirectory { path: plain(0), mode: octal(argument(1)) },
        "mkdirat" => Event::MakeDirectory { path: path(0), mode: octal(argument(2)) },
        "chmod" => Event::SetMode { path: plain(0), mode: octal(argument(1)) },
        "fchmod" => Event::SetMode { path: descriptor(argument(0))?.1, mode: octal(argument(1)) },
        "fchmodat" => Event::SetMode { path: path(0), mode: octal(argument(2)) },
        "flock" => Event::Lock { path: descriptor(argument(0))?.1 },
        "kill" | "tkill" | "tgkill" | "pidfd_send_signal" => Event::Signal,
        "connect" => Event::Connect,
        "mmap" => {
            let writes = argument(2).contains("PROT_WRITE") && argument(3).contains("MAP_SHARED");
            assert!(!writes || argument(3).contains("MAP_ANONYMOUS"), "not in the model: {line}");
            return None;
        }
        // What goes to sockets and pipes is no matter of the disk.
        "writev" | "pwritev" | "pwritev2" | "sendfile" | "splice" | "copy_file_range" => {
            let any_file =
                arguments.iter().filter_map(|argument| descriptor(argument)).any(|(_, path)| path.is_absolute());
            assert!(!any_file, "not in the model: {line}");
            return None;
        }
        _ => panic!("not in the model: {line}"),
    })
}

/// The arguments of a call. Strings are in hexadecimal, so that no comma is in one.
fn split(arguments: &str) -> Vec<String> {
    let (mut found, mut depth, mut one) = (Vec::new(), 0_u32, String::new());
    for c in arguments.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(std::mem::take(&mut one).trim().to_owned());
                continue;
            }
            _ => {}
        }
        one.push(c);
    }
    found.push(one.trim().to_owned());
    found
}

/// What a path that is relative to a directory's descriptor names.
fn at_path(directory: &str, name: &str) -> PathBuf {
    let base = directory.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    Path::new(&unescaped(base.map_or("", |(path, _)| path))).join(quoted(name))
}

/// A descriptor's number and the path that it leads to.
fn descriptor(text: &str) -> Option<(u32, PathBuf)> {
    let (number, path) = text.split_once('<')?;
    let (path, _) = path.rsplit_once('>')?;
    Some((number.trim().parse().ok()?, PathBuf::from(unescaped(path))))
}

fn quoted(text: &str) -> OsString {
    unescaped(text.trim_matches('"'))
}

/// `\x41` is A.
fn unescaped(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hex = rest.strip_prefix("\\x").and_then(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok());
        match hex {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.extend(first.to_string().bytes());
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    OsString::from_vec(bytes)
}

fn octal(text: &str) -> u32 {
    u32::from_str_radix(text, 8).unwrap_or(0)
}
