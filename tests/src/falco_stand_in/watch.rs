//! The files that the stand-in watches when it is told to, as Falco does: by inode, so that a watch is gone with the file it
//! was set on, and set again only by a reload that succeeds.

use std::io;
use std::path::PathBuf;

use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use tokio::sync::mpsc;

/// Watches until the process ends. What is not there is not watched.
pub(super) fn watch(paths: &[PathBuf]) -> io::Result<mpsc::UnboundedReceiver<()>> {
    let inotify = init(CreateFlags::CLOEXEC)?;
    // `userspace/falco/app/restart_handler.cpp`
    let of_files = WatchFlags::CLOSE_WRITE | WatchFlags::MOVE_SELF | WatchFlags::DELETE_SELF;
    let of_directories = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE;
    for path in paths {
        let flags = if path.is_dir() { of_directories } else { of_files };
        let _absent = add_watch(&inotify, path, flags);
    }
    let (tell, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let mut events = [0; 4096];
        while rustix::io::read(&inotify, &mut events).is_ok_and(|read| read > 0) {
            if tell.send(()).is_err() {
                break;
            }
        }
    });
    Ok(told)
}
