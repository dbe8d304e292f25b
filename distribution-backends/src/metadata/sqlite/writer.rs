//! The one connection that writes. Writes that wait for each other share a transaction, and so the
//! sync that makes them durable.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use distribution_core::Error;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::fault::fault;
use super::row::Statement;
use crate::desk::{Desk, Shift};

/// How many writes share a transaction at most.
const GROUP_WRITES_MAX: usize = 64;

/// Writes one statement after the other; the answer is how many rows it changed.
#[derive(Clone, Debug)]
pub(super) struct Writer(Arc<Desk<Pen, Write, u64>>);

enum Write {
    Statement(Statement),
    Close,
}

/// The connection and how to open another.
struct Pen {
    place: String,
    /// Device and inode of the file that was opened: SQLite does not notice that it has gone, and
    /// would go on to write where nobody will ever read.
    file: (u64, u64),
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    closed: bool,
}

impl Writer {
    pub(super) async fn open(place: &str, options: SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let connection = Some(options.connect().await?);
        let file = identity(&options)?;
        Ok(Self(Desk::new(Pen { place: place.to_owned(), file, options, connection, closed: false })))
    }

    pub(super) async fn write(&self, statement: Statement) -> Result<u64, Error> {
        self.ask(Write::Statement(statement)).await
    }

    /// Closes the connection once what waits has been written.
    pub(super) async fn close(&self) -> Result<(), Error> {
        self.ask(Write::Close).await.map(drop)
    }

    async fn ask(&self, write: Write) -> Result<u64, Error> {
        let start = |shift| drop(tokio::spawn(work(shift)));
        self.0.ask(write, start).await
    }
}

async fn work(mut shift: Shift<Pen, Write, u64>) {
    while let Some((pen, group)) = shift.next_group(GROUP_WRITES_MAX) {
        let (writes, callers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match pen.write(writes).await {
            Ok(changed) => callers.into_iter().zip(changed).for_each(|(caller, changed)| caller.answer(Ok(changed))),
            Err(error) => {
                let error = fault(&pen.place, error);
                callers.into_iter().for_each(|caller| caller.answer(Err(error.clone())));
            }
        }
    }
}

impl Pen {
    /// All of them or, on an error, none or all: then nobody knows.
    async fn write(&mut self, writes: Vec<Write>) -> Result<Vec<u64>, sqlx::Error> {
        if self.closed {
            return Err(sqlx::Error::PoolClosed);
        }
        // Taken: a connection that met an error, perhaps inside a transaction, is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        self.closed = writes.iter().any(|write| matches!(write, Write::Close));
        let changed = if writes.len() > 1 {
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let changed = write_each(&mut transaction, writes).await?;
            transaction.commit().await?;
            changed
        } else {
            // A transaction by itself.
            write_each(&mut connection, writes).await?
        };
        if identity(&self.options)? != self.file {
            return Err(sqlx::Error::Io(io::Error::other("the file was replaced while in use")));
        }
        if self.closed {
            connection.close().await?;
        } else {
            self.connection = Some(connection);
        }
        Ok(changed)
    }
}

/// One look at a name, too short to leave the async thread for.
pub(crate) fn identity(options: &SqliteConnectOptions) -> Result<(u64, u64), sqlx::Error> {
    let found = std::fs::metadata(options.get_filename())?;
    Ok((found.dev(), found.ino()))
}

async fn write_each(connection: &mut SqliteConnection, writes: Vec<Write>) -> Result<Vec<u64>, sqlx::Error> {
    let mut changed = Vec::with_capacity(writes.len());
    for write in writes {
        changed.push(match write {
            Write::Statement(statement) => statement.execute(&mut *connection).await?.rows_affected(),
            Write::Close => 0,
        });
    }
    Ok(changed)
}

impl std::fmt::Debug for Pen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pen").field("place", &self.place).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Write {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Write")
    }
}
