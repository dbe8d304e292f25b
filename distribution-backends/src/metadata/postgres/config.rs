//! Which database, as whom, and within which limits.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
#[cfg(feature = "config")]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use distribution_core::{Error, ErrorKind};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use zeroize::Zeroizing;

use super::session::Settings;
use super::uri::{PostgresUri, wrong};

/// More would make groups smaller and no write faster.
const WRITERS: u32 = 2;
const READERS: u32 = 4;
const READERS_RANGE: RangeInclusive<u32> = 1..=256;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
/// PostgreSQL cuts longer names.
const SCHEMA_BYTES_MAX: usize = 63;

/// A PostgreSQL database for [`PostgresMetadata`](crate::PostgresMetadata), and how to reach it.
///
/// ```
/// use distribution_backends::PostgresConfig;
///
/// let config = PostgresConfig::from_uri("postgres://publisher@db.example/ops?schema=distribution")?
///     .password("secret")
///     .readers(8);
/// assert!(!format!("{config:?}").contains("secret"));
/// assert!(PostgresConfig::from_uri("postgres://db.example/ops").is_err(), "names no user");
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone)]
pub struct PostgresConfig {
    user: String,
    password: Option<Zeroizing<String>>,
    host: String,
    /// The directory of a Unix socket.
    socket: Option<PathBuf>,
    port: u16,
    database: String,
    ssl_mode: PgSslMode,
    ssl_root_cert: Option<PathBuf>,
    ssl_cert: Option<PathBuf>,
    ssl_key: Option<PathBuf>,
    schema: String,
    pub(super) writers: u32,
    pub(super) readers: u32,
    connect_timeout: Duration,
    pub(super) acquire_timeout: Duration,
    statement_timeout: Duration,
    lock_timeout: Duration,
}

impl PostgresConfig {
    /// The database that the URI names: `postgres://user@host:5432/database`, and after `?` any of
    ///
    /// * `sslmode`: `disable`, `prefer`, `require`, `verify-ca` or `verify-full`, as libpq understands
    ///   them. Without it, `verify-full`; on this machine (`localhost`, a loopback address, a socket)
    ///   `prefer`;
    /// * `sslrootcert`: a file of the certificates to trust, in PEM, instead of the system's; `sslcert`
    ///   and `sslkey`: files of the client's own, where the server asks for them;
    /// * `schema`: where the tables are (`distribution`): lower-case letters, digits and `_`;
    /// * `host`: the directory of a Unix socket, with `postgres://user@/database`.
    ///
    /// What has to be is percent-encoded. There is one host, which must lead to the primary. A password
    /// may stand behind the user (`user:password@`), but [`password`](Self::password) keeps it out of
    /// texts that are shown. What is not given is taken from `PGPASSWORD`, `PGSSLROOTCERT`, `PGSSLCERT` and
    /// `PGSSLKEY`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else. No error repeats the URI.
    pub fn from_uri(uri: &str) -> Result<Self, Error> {
        let mut uri = PostgresUri::parse(uri)?;
        let socket = uri.take("host").map(PathBuf::from);
        let is_right = match &socket {
            Some(socket) => uri.host.is_empty() && socket.is_absolute(),
            None => !uri.host.is_empty(),
        };
        if !is_right {
            return Err(wrong("must name one host, or with `host` the directory of a socket"));
        }
        let ssl_mode = match uri.take("sslmode") {
            Some(mode) => ssl_mode(&mode)?,
            None if socket.is_some() || is_loopback(&uri.host) => PgSslMode::Prefer,
            None => PgSslMode::VerifyFull,
        };
        let config = Self {
            user: uri.user.clone(),
            password: uri.password.take(),
            host: uri.host.clone(),
            socket,
            port: uri.port,
            database: uri.database.clone(),
            ssl_mode,
            ssl_root_cert: uri.take("sslrootcert").map(PathBuf::from),
            ssl_cert: uri.take("sslcert").map(PathBuf::from),
            ssl_key: uri.take("sslkey").map(PathBuf::from),
            schema: uri.take("schema").unwrap_or_else(|| "distribution".to_owned()),
            writers: WRITERS,
            readers: READERS,
            connect_timeout: CONNECT_TIMEOUT,
            acquire_timeout: ACQUIRE_TIMEOUT,
            statement_timeout: STATEMENT_TIMEOUT,
            lock_timeout: LOCK_TIMEOUT,
        };
        uri.finish()?;
        check_schema(&config.schema)?;
        Ok(config)
    }

    /// The same, whose files are below `base` where their paths are relative.
    #[cfg(feature = "config")]
    pub(crate) fn below(mut self, base: &Path) -> Self {
        for path in [&mut self.ssl_root_cert, &mut self.ssl_cert, &mut self.ssl_key].into_iter().flatten() {
            *path = base.join(&*path);
        }
        self
    }

    /// The same with this password.
    #[must_use]
    pub fn password(self, password: impl Into<String>) -> Self {
        Self { password: Some(Zeroizing::new(password.into())), ..self }
    }

    /// The same with the tables in this schema.
    #[must_use]
    pub fn schema(self, schema: impl Into<String>) -> Self {
        Self { schema: schema.into(), ..self }
    }

    /// The same with at most so many connections to read with: 1 to 256, by default 4. Two more write.
    #[must_use]
    pub fn readers(self, readers: u32) -> Self {
        Self { readers, ..self }
    }

    /// The same with this limit on making a connection: 1 ms to 1 h, as all of them; by default 10 s.
    #[must_use]
    pub fn connect_timeout(self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, ..self }
    }

    /// The same with this limit on waiting for a connection that is free; by default 30 s.
    #[must_use]
    pub fn acquire_timeout(self, acquire_timeout: Duration) -> Self {
        Self { acquire_timeout, ..self }
    }

    /// The same with this limit on a statement; by default 30 s. The server keeps it; 5 s later, if the
    /// server has not answered, the connection is given up.
    #[must_use]
    pub fn statement_timeout(self, statement_timeout: Duration) -> Self {
        Self { statement_timeout, ..self }
    }

    /// The same with this limit on waiting for a row that somebody else has locked; by default 5 s.
    #[must_use]
    pub fn lock_timeout(self, lock_timeout: Duration) -> Self {
        Self { lock_timeout, ..self }
    }

    /// The database, for messages.
    fn place(&self) -> String {
        let port = self.port;
        match &self.socket {
            Some(socket) => format!("{:?} at {}:{port}", self.database, socket.display()),
            None => format!("{:?} at {}:{port}", self.database, self.host),
        }
    }

    pub(crate) fn settings(&self) -> Result<Settings, Error> {
        check_schema(&self.schema)?;
        if !READERS_RANGE.contains(&self.readers) {
            return Err(Error::invalid("readers", "must be 1 to 256"));
        }
        for (name, limit) in [
            ("connect_timeout", self.connect_timeout),
            ("acquire_timeout", self.acquire_timeout),
            ("statement_timeout", self.statement_timeout),
            ("lock_timeout", self.lock_timeout),
        ] {
            if !TIMEOUT_RANGE.contains(&limit) {
                return Err(Error::invalid(name, "must be 1 ms to 1 h"));
            }
        }
        Ok(Settings {
            place: self.place(),
            options: self.options(),
            schema: self.schema.clone(),
            connect_timeout: self.connect_timeout,
            statement_timeout: self.statement_timeout,
            lock_timeout: self.lock_timeout,
        })
    }

    fn options(&self) -> PgConnectOptions {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            .ssl_mode(self.ssl_mode)
            .application_name("distribution")
            // Which PgBouncer does not take, and is about numbers that we do not have.
            .extra_float_digits(None);
        if let Some(socket) = &self.socket {
            options = options.socket(socket);
        }
        if let Some(password) = &self.password {
            options = options.password(password);
        }
        if let Some(path) = &self.ssl_root_cert {
            options = options.ssl_root_cert(path);
        }
        if let Some(path) = &self.ssl_cert {
            options = options.ssl_client_cert(path);
        }
        if let Some(path) = &self.ssl_key {
            options = options.ssl_client_key(path);
        }
        options
    }
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConfig")
            .field("place", &self.place())
            .field("user", &self.user)
            .field("ssl_mode", &self.ssl_mode)
            .field("schema", &self.schema)
            .field("readers", &self.readers)
            .finish_non_exhaustive()
    }
}

fn check_schema(schema: &str) -> Result<(), Error> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_good = schema.len() <= SCHEMA_BYTES_MAX
        && schema.chars().all(is_name)
        && schema.starts_with(|c: char| c.is_ascii_lowercase())
        && !schema.starts_with("pg_");
    if is_good {
        return Ok(());
    }
    let message = "must be lower-case letters, digits and `_`, begin with a letter and not with `pg_`, and have at \
                   most 63 of them";
    Err(Error::invalid("schema", message))
}

fn ssl_mode(text: &str) -> Result<PgSslMode, Error> {
    text.parse().map_err(|_| {
        let message = "must be disable, prefer, require, verify-ca or verify-full";
        Error::new(ErrorKind::Invalid, message).at("sslmode")
    })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}
