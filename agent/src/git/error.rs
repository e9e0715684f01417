//! What can go wrong between us and a repository, and who can end it.

mod remedy;
mod text;

use std::path::PathBuf;
use std::time::Duration;

use falconer_manifests::name::{BranchName, RelativePath};
use falconer_manifests::revision::Revision;

use crate::transfer::DeadlinePassed;

use text::listed;
pub(super) use text::sanitised;

/// An error of the Git room. `remote` is the URL without user names and passwords.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The URL of a repository is not one of the forms that we take.
    #[error("the repository URL{about} {problem}")]
    Url {
        /// ` at HOST`, or nothing when the host cannot be told.
        about: String,
        /// What is wrong, as the end of a sentence.
        problem: &'static str,
        /// What a right one looks like.
        hint: &'static str,
    },
    /// Plain http to another machine, which the settings do not allow.
    #[error("{remote} is plain http to another machine")]
    PlainHttp {
        /// The repository.
        remote: String,
    },
    /// There is no connection.
    #[error("cannot reach {remote}")]
    Unreachable {
        /// The repository.
        remote: String,
        /// Why, without the URL.
        #[source]
        source: reqwest::Error,
    },
    /// The server's certificate is not one that this machine trusts.
    #[error("the certificate of {remote} is not trusted")]
    Certificate {
        /// The repository.
        remote: String,
        /// Why, without the URL.
        #[source]
        source: reqwest::Error,
    },
    /// The exchange took too long as a whole.
    #[error("the exchange with {remote} took too long")]
    Late {
        /// The repository.
        remote: String,
        /// The deadline.
        #[source]
        source: DeadlinePassed,
    },
    /// The connection ended in the middle of an answer.
    #[error("the answer of {remote} broke off")]
    BrokeOff {
        /// The repository.
        remote: String,
    },
    /// The server answered 429 or 5xx.
    #[error("{remote} answered {status}")]
    Busy {
        /// The repository.
        remote: String,
        /// The HTTP status.
        status: u16,
        /// How long the server asks us to wait.
        retry_after: Option<Duration>,
    },
    /// The server wants other credentials than it got.
    #[error("{remote} refuses access ({said})")]
    Denied {
        /// The repository.
        remote: String,
        /// The status or the words of the server.
        said: String,
    },
    /// There is no such repository, or it is hidden from us.
    #[error("{remote} is not a repository that we can see")]
    NotFound {
        /// The repository.
        remote: String,
    },
    /// The server answered with a status that Git servers do not use.
    #[error("{remote} answered {status}")]
    Status {
        /// The repository.
        remote: String,
        /// The HTTP status.
        status: u16,
    },
    /// The server sends us to a place where we do not follow.
    #[error("{remote} redirects to {to}, which is not followed")]
    Redirected {
        /// The repository.
        remote: String,
        /// The target, without userinfo and query.
        to: String,
    },
    /// The answer is not from a Git server, as that of a captive portal or a login page.
    #[error("{remote} answers as something else than a Git server ({content_type})")]
    NotGit {
        /// The repository.
        remote: String,
        /// The content type that came.
        content_type: String,
    },
    /// The server does not keep to the protocol.
    #[error("{remote} does not keep to Git's protocol: {problem}")]
    Protocol {
        /// The repository.
        remote: String,
        /// How.
        problem: String,
    },
    /// The server ended the exchange with a message.
    #[error("{remote} says: {message}")]
    Said {
        /// The repository.
        remote: String,
        /// The message, without control characters.
        message: String,
    },
    /// The `ssh` program did not start.
    #[error("cannot start {}", program.display())]
    SshMissing {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// ssh does not know the server's host key, or knows another one.
    #[error("ssh does not trust the host key of {remote}: {stderr}")]
    HostKey {
        /// The repository.
        remote: String,
        /// The end of what ssh said.
        stderr: String,
    },
    /// ssh or the command on the other side failed.
    #[error("ssh to {remote} failed: {stderr}")]
    SshFailed {
        /// The repository.
        remote: String,
        /// The end of what ssh said.
        stderr: String,
    },
    /// The repository has no commit yet.
    #[error("{remote} is empty")]
    Empty {
        /// The repository.
        remote: String,
    },
    /// The branch is not there.
    #[error("{remote} has no branch {branch}{}", listed(others))]
    BranchNotFound {
        /// The repository.
        remote: String,
        /// The branch that was looked for.
        branch: BranchName,
        /// A few that are there.
        others: Vec<String>,
    },
    /// The commit went away between the poll and the fetch.
    #[error("{remote} does not give out {wanted} any more")]
    Moved {
        /// The repository.
        remote: String,
        /// The commit that was asked for.
        wanted: Revision,
    },
    /// The repository uses object ids that we do not read.
    #[error("{remote} uses the object format {format}")]
    ObjectFormat {
        /// The repository.
        remote: String,
        /// The format, e.g. `sha256`.
        format: String,
    },
    /// A pack, an object in it or their number is over the limit.
    #[error("{remote} sends {what}, more than the limit of {limit}")]
    TooLarge {
        /// The repository.
        remote: String,
        /// What is too large, as the object of a sentence.
        what: String,
        /// The limit, in the unit that `what` names.
        limit: u64,
    },
    /// The pack that came is not whole.
    #[error("the pack from {remote} is broken: {problem}")]
    BrokenPack {
        /// The repository.
        remote: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A path of the desired state is something else than an ordinary file.
    #[error("{path} in {revision} is {kind} (mode {mode:06o})")]
    Mode {
        /// The path, or the part of it that is wrong.
        path: RelativePath,
        /// The commit.
        revision: Revision,
        /// The mode as it stands in the tree.
        mode: u32,
        /// What the mode means, with its article.
        kind: &'static str,
    },
    /// A file of the desired state is over the limit.
    #[error("{path} in {revision} is larger than {limit} bytes")]
    FileTooLarge {
        /// The path.
        path: RelativePath,
        /// The commit.
        revision: Revision,
        /// The limit in bytes.
        limit: u64,
    },
    /// A fetch ended well, and the commit or its tree is not here: the remote left it out, or we do not find it.
    #[error("after a fetch from {remote} there is still something of {revision} missing")]
    Incomplete {
        /// The remote.
        remote: String,
        /// The commit.
        revision: Revision,
    },
    /// The commit is not in our repository.
    #[error("{revision} has not been fetched")]
    NotFetched {
        /// The commit.
        revision: Revision,
    },
    /// Our own repository cannot be read.
    #[error("the repository in {} is damaged", path.display())]
    Damaged {
        /// Its directory.
        path: PathBuf,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// A repository of this machine cannot be read.
    #[error("cannot read {remote}")]
    Local {
        /// The repository.
        remote: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// A file of our own repository cannot be written.
    #[error("cannot write the repository")]
    Disk(#[source] std::io::Error),
    /// A report is not well-formed.
    #[error("cannot make a report of {what}")]
    Report {
        /// The part that is not well-formed.
        what: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// A report cannot be signed.
    #[error("cannot sign with {}: {reason}", key.display())]
    Unsigned {
        /// The key's file.
        key: PathBuf,
        /// What ssh-keygen says.
        reason: String,
    },
    /// The reference was changed by somebody else.
    #[error("{reference} in {remote} was changed by somebody else: {said}")]
    Lost {
        /// The repository.
        remote: String,
        /// The reference.
        reference: String,
        /// The values, or the reason of the server.
        said: String,
    },
    /// The server refused the push.
    #[error("{remote} refused {reference}: {reason}")]
    Refused {
        /// The repository.
        remote: String,
        /// The reference.
        reference: String,
        /// The reason of the server and the end of what its hooks said.
        reason: String,
    },
}
