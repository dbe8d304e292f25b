//! The hosts that may be asked, and which of them a URL means.

use std::fmt;
use std::sync::Arc;

use distribution_core::{Error, ErrorKind};
use reqwest::{Client, Url};

use super::FIELD;
use super::resolve::{Addresses, CheckedResolver, Resolver, SharedResolver};
use super::settings::Settings;
use crate::http;

/// A host and port that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) scheme: &'static str,
    /// As [`Url::host_str`] writes it: lower case, Punycode, an IPv6 address in brackets.
    name: String,
    port: u16,
    addresses: Addresses,
}

impl Host {
    /// # Errors
    /// `Invalid` for anything but a host and perhaps a port, written as URLs write them.
    pub(super) fn parse(scheme: &'static str, text: &str, addresses: Addresses) -> Result<Self, Error> {
        // `*` would be a name like any other to the parser, and mean something else to who wrote it.
        let url = Url::parse(&format!("{scheme}://{text}/")).ok().filter(|_| !text.contains('*'));
        let parsed = url.as_ref().filter(|url| written_as_read(text, url)).and_then(|url| {
            let (name, port) = (url.host_str()?.to_owned(), url.port_or_known_default()?);
            Some(Self { scheme, name, port, addresses })
        });
        parsed.ok_or_else(|| {
            let message =
                format!("{text:?} is no host: write it like media.example or media.example:8443, without wildcards");
            Error::new(ErrorKind::Invalid, message)
        })
    }

    /// A client that connects to the addresses of this host only.
    pub(super) fn client(&self, settings: &Settings, resolver: &Arc<dyn Resolver>) -> Result<Client, Error> {
        let resolver = CheckedResolver {
            host: self.name.clone(),
            addresses: self.addresses.clone(),
            resolver: Arc::clone(resolver),
        };
        // Whatever other features of the HTTP library another crate has turned on.
        let builder = http::client_builder()?
            .https_only(self.scheme == "https")
            .read_timeout(settings.silence_max)
            .dns_resolver(SharedResolver(Arc::new(resolver)))
            .http1_only();
        http::build(builder)
    }

    fn is_of(&self, url: &Url) -> bool {
        self.scheme == url.scheme()
            && url.host_str() == Some(self.name.as_str())
            && url.port_or_known_default() == Some(self.port)
    }

    /// An address in the URL itself is never resolved, so it is looked at here.
    fn check_address(&self, url: &Url) -> Result<(), Error> {
        let literal = url.host_str().map(|host| host.trim_matches(['[', ']'])).and_then(|host| host.parse().ok());
        let checked = literal.map_or(Ok(()), |address| self.addresses.check(address));
        checked.map_err(|outside| Error::invalid(FIELD, outside.to_string()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.name)?;
        match (self.scheme, self.port) {
            ("https", 443) | ("http", 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

/// All hosts that may be asked, each with a client of its own.
pub(super) struct Hosts(pub(super) Vec<(Client, Host)>);

impl Hosts {
    /// The URL that the text is, and the client for it. Looks at the text only.
    pub(super) fn parse(&self, text: &str) -> Result<(Url, &Client), Error> {
        if text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
            return Err(self.outside("holds a backslash or white space"));
        }
        let Some((_, rest)) = text.split_once("://") else { return Err(self.outside("is no URL with a host")) };
        let url = Url::parse(text).map_err(|error| self.outside("is no URL with a host").because(error))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let client = self.client(&url)?;
        // The host was found by how it is read; that it is written the same way keeps others who read the
        // same URL, such as a log or a proxy, from seeing another one.
        if !written_as_read(authority, &url) {
            return Err(self.outside("writes its host in another way than it is read"));
        }
        Ok((url, client))
    }

    /// The client for the URL, if it may be asked for.
    pub(super) fn client(&self, url: &Url) -> Result<&Client, Error> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(self.outside("holds a user name or password"));
        }
        let found = self.0.iter().find(|(_, host)| host.is_of(url));
        let (client, host) = found.ok_or_else(|| self.outside("leads to a host that is not allowed"))?;
        host.check_address(url)?;
        Ok(client)
    }

    pub(super) fn outside(&self, why: &str) -> Error {
        Error::invalid(FIELD, format!("{why}: allowed is what begins with {self}"))
    }
}

impl fmt::Display for Hosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<_> = self.0.iter().map(|(_, host)| format!("{host}/")).collect();
        f.write_str(&hosts.join(", "))
    }
}

/// Whether the text of a host and port is the host that was read from it, letter by letter but for case,
/// and perhaps a port.
fn written_as_read(authority: &str, url: &Url) -> bool {
    let read = url.host_str().unwrap_or_default();
    let Some((host, port)) = authority.split_at_checked(read.len()) else { return false };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    !read.is_empty() && host.eq_ignore_ascii_case(read) && is_port
}
