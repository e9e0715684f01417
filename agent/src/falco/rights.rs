//! With whose rights a candidate is tried.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The user and the group that nobody's files belong to, where /etc/passwd knows no `nobody`.
const NOBODY: Account = Account { uid: 65534, gid: 65534 };

/// A user with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Account {
    /// The account that `text` names: `UID:GID`, or a user of /etc/passwd. `None` when there is no such user.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        if let Some((uid, gid)) = text.split_once(':') {
            return Some(Self { uid: uid.parse().ok()?, gid: gid.parse().ok()? });
        }
        let known = fs_err::read_to_string("/etc/passwd").ok().and_then(|users| in_passwd(&users, text));
        known.or_else(|| (text == "nobody").then_some(NOBODY))
    }

    /// Whether this account, being nobody special, can read what is at `path`: the file itself and every directory on the way
    /// are open to all.
    #[must_use]
    pub fn may_read(self, path: &Path) -> bool {
        let Ok(path) = fs_err::canonicalize(path) else { return true };
        path.ancestors().enumerate().all(|(depth, part)| {
            fs_err::metadata(part).is_ok_and(|found| {
                let needed = if depth > 0 {
                    0o001
                } else if found.is_dir() {
                    0o005
                } else {
                    0o004
                };
                found.mode() & needed == needed
            })
        })
    }
}

/// The entry of a user in the text of a passwd(5).
fn in_passwd(users: &str, name: &str) -> Option<Account> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next() == Some(name);
        let (_password, uid, gid) = (fields.next()?, fields.next()?, fields.next()?);
        found.then_some(Account { uid: uid.parse().ok()?, gid: gid.parse().ok()? })
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn accounts_by_name_and_by_number() {
        let users = "root:x:0:0:root:/root:/bin/sh\nfalco-check:x:998:997::/:/bin/false\nbroken\n";
        assert_eq!(in_passwd(users, "falco-check"), Some(Account { uid: 998, gid: 997 }));
        assert_eq!(in_passwd(users, "falco"), None);
        assert_eq!(Account::named("7:8"), Some(Account { uid: 7, gid: 8 }));
        assert_eq!((Account::named("7:x"), Account::named("no such user")), (None, None));
        assert!(Account::named("nobody").is_some());
    }

    #[test]
    fn what_is_closed_on_the_way_cannot_be_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs_err::File::create(&file).unwrap();
        let mode = |path: &Path, mode| fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        for (of_directory, of_file, readable) in [(0o755, 0o644, true), (0o700, 0o644, false), (0o755, 0o640, false)] {
            mode(directory.path(), of_directory);
            mode(&file, of_file);
            assert_eq!(NOBODY.may_read(&file), readable, "{of_directory:o} {of_file:o}");
        }
        assert!(NOBODY.may_read(&directory.path().join("gone")), "nothing to read, nothing to be kept from");
    }
}
