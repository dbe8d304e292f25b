//! Where links begin: what viewers see of a download route, or of a bucket behind a public host.

use std::fmt;
use std::net::Ipv6Addr;

use crate::error::Error;
use crate::key::ObjectKey;
use crate::signer::Link;

/// The beginning of links, such as `https://media.example/files`: `http` or `https`, a host, perhaps a port,
/// perhaps a path of the characters that object keys have. Scheme and host count in lower case and one trailing
/// slash is dropped, so that each base has one form (RFC 3986 §6.2.2).
///
/// ```
/// let base = distribution_core::BaseUrl::parse("HTTPS://Media.example/files/")?;
/// assert_eq!(base.as_str(), "https://media.example/files");
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

const BASE_BYTES_MAX: usize = 1024;
const HOST_BYTES_MAX: usize = 253;

impl BaseUrl {
    /// The base with this text.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for anything else, which is not repeated: it may hold what it
    /// should not.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse(text).map(Self).map_err(|wrong| Error::invalid("base", wrong))
    }

    /// Its one form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The link to an object below it, without a signature.
    pub(crate) fn link(&self, key: &ObjectKey) -> Link {
        Link::new(format!("{self}/{key}"))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse(text: &str) -> Result<String, String> {
    if text.len() > BASE_BYTES_MAX {
        return Err(format!("is {} bytes long, the limit is {BASE_BYTES_MAX}", text.len()));
    }
    let (scheme, rest) = text.split_once("://").ok_or("must be a URL such as https://media.example/files")?;
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err("must begin with `https://` or `http://`".into());
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = authority.to_ascii_lowercase();
    if !is_authority(&authority) {
        return Err("must name a host, perhaps with a port, behind the scheme, and no user".into());
    }
    if path.strip_prefix('/').is_some_and(|path| ObjectKey::parse(path).is_err()) {
        return Err("must have a path of A-Z, a-z, 0-9, `.`, `_`, `-` and single `/`, no part of which starts with a \
                    dot, and neither query nor fragment"
            .into());
    }
    Ok(format!("{scheme}://{authority}{path}"))
}

/// `host[:port]`, in lower case: a name, an IPv4 address, or an IPv6 address in brackets.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() => (None, rest),
        Some(_) => return false,
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (Some(host), port)
        }
    };
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let host_is_sound = host.is_none_or(|host| host.len() <= HOST_BYTES_MAX && host.split('.').all(is_label));
    let port_is_sound = match port.strip_prefix(':') {
        Some(port) => port.parse().is_ok_and(|number: u16| number > 0 && number.to_string() == port),
        None => port.is_empty(),
    };
    host_is_sound && port_is_sound
}
