//! A bounded number of connections to the primary.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use distribution_core::Error;
use sqlx::postgres::PgRow;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::fault::{Failed, failed};
use super::row::Statement;
use super::session::{Session, Settings};

/// The connections. One that met an error is closed and made anew when it is needed: it may be gone,
/// in a transaction, or lead to a server that is no primary any more.
pub(super) struct Sessions {
    settings: Settings,
    size: u32,
    acquire_timeout: Duration,
    free: Semaphore,
    idle: Mutex<Vec<Session>>,
}

impl Sessions {
    pub(super) fn new(settings: Settings, size: u32, acquire_timeout: Duration) -> Self {
        let free = Semaphore::new(usize::try_from(size).unwrap_or(1));
        Self { settings, size, acquire_timeout, free, idle: Mutex::default() }
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// The rows that a statement gives. It is sent once.
    pub(super) async fn fetch(&self, statement: Statement) -> Result<Vec<PgRow>, Failed> {
        let _permit = self.permit(1).await.map_err(Failed::before)?;
        let mut session = self.session().await.map_err(Failed::before)?;
        let rows = session.fetch(statement).await.map_err(|error| self.failed(error))?;
        self.idle().push(session);
        Ok(rows)
    }

    pub(super) fn failed(&self, error: sqlx::Error) -> Failed {
        failed(&self.settings.place, error)
    }

    async fn session(&self) -> Result<Session, Error> {
        let idle = self.idle().pop();
        if let Some(mut session) = idle {
            if session.is_alive().await {
                return Ok(session);
            }
            // What has taken this one has taken the others, and each would be waited for.
            self.idle().clear();
        }
        Session::open(&self.settings).await
    }

    async fn permit(&self, permits: u32) -> Result<SemaphorePermit<'_>, Error> {
        let place = &self.settings.place;
        match timeout(self.acquire_timeout, self.free.acquire_many(permits)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Error::unavailable(format!("the database {place} was closed: open it again"))),
            Err(_) => {
                let message = format!("all connections to the database {place} were busy for too long: repeat");
                Err(Error::unavailable(message))
            }
        }
    }

    /// Waits for what is under way.
    pub(super) async fn close(&self) -> Result<(), Error> {
        let _all = self.permit(self.size).await?;
        self.free.close();
        let idle = std::mem::take(&mut *self.idle());
        for session in idle {
            session.close().await;
        }
        Ok(())
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    /// Without the settings, which hold the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("place", &self.settings.place)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
