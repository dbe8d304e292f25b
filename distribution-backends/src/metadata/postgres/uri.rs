//! `postgres://user@host:5432/database?sslmode=verify-full&schema=distribution`, as PostgreSQL's manual
//! has it (34.1.1.2, Connection URIs), but strict: what is not understood is a mistake.

use std::collections::BTreeMap;

use distribution_core::{Error, ErrorKind};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

const SETTINGS: &str = "host, schema, sslcert, sslkey, sslmode, sslrootcert";

/// The parts of a URI. No error repeats any of it, since it may hold a password.
pub(super) struct PostgresUri {
    pub(super) user: String,
    pub(super) password: Option<Zeroizing<String>>,
    /// Empty where a socket is meant.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) database: String,
    settings: BTreeMap<String, String>,
}

impl PostgresUri {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
        let rest = rest.ok_or_else(|| wrong("has another scheme"))?;
        if rest.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control()) {
            return Err(wrong("holds a `#` or a blank, which have to be percent-encoded"));
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').ok_or_else(|| wrong("names no database"))?;
        let (user, server) = authority.rsplit_once('@').ok_or_else(|| wrong("names no user"))?;
        let (user, password) = user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)));
        let (host, port) = server_of(server)?;
        let uri = Self {
            user: decoded(user)?,
            password: password.map(decoded).transpose()?.map(Zeroizing::new),
            host,
            port,
            database: decoded(database)?,
            settings: settings(query)?,
        };
        match (uri.user.as_str(), uri.database.as_str()) {
            ("", _) => Err(wrong("names no user")),
            (_, "") => Err(wrong("names no database")),
            (_, database) if database.contains('/') => Err(wrong("has a path behind the database")),
            _ => Ok(uri),
        }
    }

    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.settings.remove(name)
    }

    /// After every setting was asked for.
    pub(super) fn finish(self) -> Result<(), Error> {
        match self.settings.keys().next() {
            // Nor the name: who forgets an `&` has a value in it.
            Some(_) => Err(wrong(&format!("has a setting that is none of: {SETTINGS}"))),
            None => Ok(()),
        }
    }
}

fn server_of(server: &str) -> Result<(String, u16), Error> {
    const DEFAULT_PORT: u16 = 5432;
    let (host, port) = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':').or(port.is_empty().then_some(""))),
        None => server.split_once(':').map_or((server, Some("")), |(host, port)| (host, Some(port))),
    };
    let port = port.ok_or_else(|| wrong("has a port that is no number"))?;
    if host.contains(',') || port.contains(',') {
        return Err(wrong("names several hosts: name the one that leads to the primary"));
    }
    let port = match port {
        "" => DEFAULT_PORT,
        port => port.parse().map_err(|_| wrong("has a port that is no number"))?,
    };
    Ok((decoded(host)?, port))
}

fn settings(query: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut settings = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| wrong("has a setting without a value"))?;
        if settings.insert(decoded(name)?, decoded(value)?).is_some() {
            return Err(wrong("has a setting twice"));
        }
    }
    Ok(settings)
}

fn decoded(text: &str) -> Result<String, Error> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| wrong("is not UTF-8"))?;
    if text.contains('\0') { Err(wrong("holds a NUL")) } else { Ok(text.into_owned()) }
}

pub(super) fn wrong(what: &str) -> Error {
    let message = format!("{what}: write it like postgres://user@host:5432/database?sslmode=verify-full");
    Error::new(ErrorKind::Invalid, format!("the PostgreSQL URI {message}"))
}
