//! Who can end an error of Git, and by what.

use std::time::Duration;

use falconer_manifests::remedy::Remedy;

use super::GitError;

impl GitError {
    /// Who can end this error.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::BrokeOff { .. }
            | Self::Busy { .. }
            | Self::Said { .. }
            | Self::SshFailed { .. }
            | Self::Moved { .. }
            | Self::BrokenPack { .. }
            | Self::Incomplete { .. }
            | Self::NotFetched { .. }
            | Self::Damaged { .. }
            | Self::Lost { .. } => Remedy::Time,
            Self::TooLarge { .. } | Self::Mode { .. } | Self::FileTooLarge { .. } => Remedy::Author,
            Self::Report { .. } => Remedy::Us,
            Self::Url { .. }
            | Self::PlainHttp { .. }
            | Self::Certificate { .. }
            | Self::Denied { .. }
            | Self::NotFound { .. }
            | Self::Status { .. }
            | Self::Redirected { .. }
            | Self::NotGit { .. }
            | Self::Protocol { .. }
            | Self::SshMissing { .. }
            | Self::HostKey { .. }
            | Self::Empty { .. }
            | Self::BranchNotFound { .. }
            | Self::ObjectFormat { .. }
            | Self::Local { .. }
            | Self::Disk(_)
            | Self::Unsigned { .. }
            | Self::Refused { .. } => Remedy::Operator,
        }
    }

    /// The next act of the person who reads this; none where waiting is the act.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Url { hint, .. } => hint,
            Self::PlainHttp { .. } => "use https, or set allow_http for this repository",
            Self::Certificate { .. } => "install the server's CA among the system's roots; check the clock",
            Self::Denied { .. } => "check the user name and the token or key, and that they may do this",
            Self::NotFound { .. } => "check the URL; hosts answer so for private repositories without credentials too",
            Self::Status { .. } | Self::Protocol { .. } => "check that the URL is that of a Git repository",
            Self::Redirected { .. } => "set the URL to where the repository is now",
            Self::NotGit { .. } => "check the URL, and that no proxy or login page stands in between",
            Self::SshMissing { .. } => "install the OpenSSH client",
            Self::HostKey { .. } => {
                "put the server's host key into known_hosts, after checking it with the server's owner"
            }
            Self::SshFailed { .. } => "try the same with ssh by hand, as the same user",
            Self::Empty { .. } => "push a first commit",
            Self::BranchNotFound { .. } => "restore the branch, or name another one in the settings",
            Self::ObjectFormat { .. } => "use a repository with SHA-1 object ids",
            Self::TooLarge { .. } => {
                "remove what is large from the repository, or let the server leave it out (uploadpack.allowFilter)"
            }
            Self::Mode { .. } => "commit an ordinary file (mode 100644) in its place",
            Self::FileTooLarge { .. } => "make the file smaller, or publish it as an artifact",
            Self::Local { .. } => "check the path, its owner and its permissions",
            Self::Disk(_) => "check the free space and the permissions of the state directory",
            Self::Unsigned { .. } => {
                "install ssh-keygen of OpenSSH 8.2 or later, and name a key without a passphrase that we may read"
            }
            Self::Refused { .. } => "allow this push on the server, or report elsewhere",
            Self::Lost { .. } => "check whether another host reports under the same name",
            Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::BrokeOff { .. }
            | Self::Busy { .. }
            | Self::Said { .. }
            | Self::Moved { .. }
            | Self::BrokenPack { .. }
            | Self::Incomplete { .. }
            | Self::NotFetched { .. }
            | Self::Damaged { .. }
            | Self::Report { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// How long the server asks us to wait before the next try.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether our own repository may be what is broken, so that making it anew may end the error.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Incomplete { .. } | Self::NotFetched { .. })
    }
}
