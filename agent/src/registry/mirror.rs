//! Where a repository is asked for: its mirror, its own registry, and how many exchanges a host gets at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Problem, Registries, RegistryError, Repository};
use crate::error::chain;
use crate::transfer::{Deadline, may_pass};

/// How long a mirror, or a registry that has one, is passed over after it could not be reached.
const AWAY_FOR: Duration = Duration::from_secs(300);

/// What is known of hosts while the process lives.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    /// Who wants to talk to a registry waits here for a turn.
    turns: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    /// Until when a registry is held to be away.
    away: Mutex<BTreeMap<String, Instant>>,
}

/// Who is asked first when a repository has a mirror.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// The mirror, for content: what a digest names is the same everywhere.
    Mirror,
    /// The registry, for the list of its tags: many mirrors list only what they happen to hold.
    Origin,
}

impl Registries {
    /// Asks for something of `repository` where it can be had: at its registry, and at its mirror where it has one. With a
    /// mirror each of the two gets half of `time`. `subject` names the thing in a repository.
    pub(super) async fn ask_around<T>(
        &self,
        repository: &Repository,
        first: First,
        time: Duration,
        subject: impl Fn(&Repository) -> String,
        mut ask: impl AsyncFnMut(&Repository, Deadline) -> Result<T, Problem>,
    ) -> Result<T, RegistryError> {
        let mirror = self.access(&repository.registry).and_then(|access| access.mirror.as_ref());
        let Some(mirror) = mirror.map(|mirror| mirror.of(repository)) else {
            let _turn = self.turn(&repository.registry).await;
            return ask(repository, Deadline::after(time)).await.map_err(|problem| problem.of(subject(repository)));
        };
        let (one, other) = match first {
            First::Mirror => (&mirror, repository),
            First::Origin => (repository, &mirror),
        };
        let failed = match self.ask_unless_away(one, time / 2, &mut ask).await {
            Ok(answer) => return Ok(answer),
            Err(None) => None,
            Err(Some(problem)) => {
                if problem.is_ours() || (first == First::Origin && !problem.is_absence()) {
                    return Err(problem.of(subject(one)));
                }
                let error = problem.of(subject(one));
                match error.problem {
                    Problem::NotFound(_) => tracing::debug!("{error}; asking {}", other.registry),
                    _ => tracing::warn!("{}; asking {}", chain(&error), other.registry),
                }
                Some(error)
            }
        };
        let _turn = self.turn(&other.registry).await;
        let answer = ask(other, Deadline::after(time / 2)).await;
        answer.map_err(|problem| RegistryError { before: failed.map(Box::new), ..problem.of(subject(other)) })
    }

    /// `Err(None)` when the registry is held to be away.
    async fn ask_unless_away<T>(
        &self,
        repository: &Repository,
        time: Duration,
        ask: &mut impl AsyncFnMut(&Repository, Deadline) -> Result<T, Problem>,
    ) -> Result<T, Option<Problem>> {
        let _turn = self.turn(&repository.registry).await;
        if locked(&self.hosts.away).get(&repository.registry).is_some_and(|until| *until > Instant::now()) {
            return Err(None);
        }
        ask(repository, Deadline::after(time)).await.map_err(|problem| {
            if problem.is_absence() {
                locked(&self.hosts.away).insert(repository.registry.clone(), Instant::now() + AWAY_FOR);
            }
            Some(problem)
        })
    }

    /// Waits until the registry has fewer than [`super::Limits::per_host`] exchanges of ours. The time that is spent here does not
    /// count against the exchange.
    pub(super) async fn turn(&self, registry: &str) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut turns = locked(&self.hosts.turns);
            let made = || Arc::new(Semaphore::new(self.limits.per_host.max(1)));
            Arc::clone(turns.entry(registry.to_owned()).or_insert_with(made))
        };
        // The semaphore is never closed.
        turns.acquire_owned().await.ok()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change of the maps is one insertion, so a panic elsewhere cannot leave them half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Problem {
    /// Whether another registry could not help: the disk, or a size that the caller does not want.
    const fn is_ours(&self) -> bool {
        matches!(self, Self::Output(_) | Self::TooLarge { .. })
    }

    /// Whether the registry cannot be reached, or is down.
    pub(super) fn is_absence(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Silent { .. }
            | Self::Late(_)
            | Self::Broken(_)
            | Self::TooSlow(_)
            | Self::Tls { .. }
            | Self::TokenServerUnreachable { .. } => true,
            Self::Status(status) => may_pass(*status),
            _ => false,
        }
    }
}
