//! Where a service is reached.

use distribution_core::{Error, ErrorKind};
use http::Uri;

/// The endpoint without `/` at its end.
///
/// # Errors
/// `Invalid` for anything but `http` or `https`, a host, perhaps a port and a path: a user, password or
/// query would be a secret in a text that is shown.
pub(crate) fn checked_endpoint(text: &str) -> Result<String, Error> {
    let is_sound = text.parse::<Uri>().is_ok_and(|uri| {
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        let has_scheme = matches!(uri.scheme_str(), Some("http" | "https"));
        has_host && has_scheme && uri.query().is_none() && !text.contains(['@', '#', '?'])
    });
    if is_sound {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    let message = "the endpoint must be a URL without credentials or query, such as https://storage.example:9000";
    Err(Error::new(ErrorKind::Invalid, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_plain_url() {
        assert_eq!(checked_endpoint("https://storage.example/").unwrap(), "https://storage.example");
        assert_eq!(checked_endpoint("http://[::1]:10000/account").unwrap(), "http://[::1]:10000/account");
        for wrong in ["", "storage.example", "ftp://h", "https://", "https://u:secret@h", "https://h?sig=secret", "h/#"]
        {
            assert!(!checked_endpoint(wrong).unwrap_err().to_string().contains("secret"), "{wrong}");
        }
    }
}
