//! Which Story server, and how to reach it.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use distribution_core::Error;
use reqwest::Url;
use zeroize::Zeroizing;

const CALL_TIMEOUT: Duration = Duration::from_secs(30);
const CALL_TIMEOUT_RANGE: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// How to reach a Story MCP server, for [`StoryMcpMetadata`](crate::StoryMcpMetadata) and
/// [`StoryMirror`](crate::StoryMirror).
///
/// ```
/// use distribution_backends::StoryConfig;
///
/// let local = StoryConfig::stdio("story-server", ["--database", "/var/lib/story.db"]);
/// let remote = StoryConfig::http("https://story.example/mcp")?.bearer("secret")?;
/// assert!(!format!("{remote:?}").contains("secret"));
/// assert!(StoryConfig::http("https://user:password@story.example/mcp").is_err());
/// # let _ = local;
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone)]
pub struct StoryConfig {
    pub(super) reach: Reach,
    pub(super) call_timeout: Duration,
}

#[derive(Clone)]
pub(super) enum Reach {
    Stdio { command: OsString, args: Vec<OsString> },
    Http { url: Url, token: Option<Zeroizing<String>> },
}

impl StoryConfig {
    /// A server that is a child of this process, and speaks on its standard input and output. It has
    /// this process's environment and directory; what it writes to standard error becomes `tracing`
    /// events. It is killed when the last user lets go of it.
    pub fn stdio(command: impl Into<OsString>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        Self::new(Reach::Stdio { command: command.into(), args })
    }

    /// A server at this URL, by MCP's streamable HTTP transport. No proxy is asked, and no redirect
    /// followed.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) unless it is an `http` or `https` URL without
    /// user, password, query and fragment. The error does not repeat it.
    pub fn http(url: &str) -> Result<Self, Error> {
        let wrong = |what: &str| Error::invalid("url", what);
        let url = Url::parse(url).map_err(|_| wrong("is no URL: it should look like https://story.example/mcp"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(wrong("must begin with https:// or http:// and name a host"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err(wrong("must have no user, password or query: set a token by `bearer`"));
        }
        if url.fragment().is_some() {
            return Err(wrong("must have no fragment (#…)"));
        }
        Ok(Self::new(Reach::Http { url, token: None }))
    }

    /// Sends this bearer token (RFC 6750) with every request. It is in no `Debug` and no error.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if it is no token, if the server is a child,
    /// or if the URL would send it unencrypted to another machine.
    pub fn bearer(mut self, token: impl Into<String>) -> Result<Self, Error> {
        let secret = Zeroizing::new(token.into());
        let wrong = |what: &str| Error::invalid("bearer", what);
        let Reach::Http { url, token } = &mut self.reach else {
            return Err(wrong("a server on standard input and output takes no bearer token"));
        };
        if secret.is_empty() || secret.len() > TOKEN_BYTES_MAX || !secret.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong("must be 1 to 16384 visible ASCII characters without blanks"));
        }
        if url.scheme() != "https" && !is_this_machine(url) {
            return Err(wrong("would be sent unencrypted: use https://"));
        }
        *token = Some(secret);
        Ok(self)
    }

    /// How long one call may take, and making a connection (30 seconds; 1 ms to 1 hour). The outcome of
    /// a write that takes longer is unknown.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for anything else.
    pub fn call_timeout(mut self, timeout: Duration) -> Result<Self, Error> {
        if !CALL_TIMEOUT_RANGE.contains(&timeout) {
            return Err(Error::invalid("call_timeout", "must be 1 ms to 1 hour"));
        }
        self.call_timeout = timeout;
        Ok(self)
    }

    fn new(reach: Reach) -> Self {
        Self { reach, call_timeout: CALL_TIMEOUT }
    }

    /// The server, for messages.
    pub(super) fn place(&self) -> String {
        match &self.reach {
            // Not its arguments, which may hold a secret.
            Reach::Stdio { command, .. } => format!("the Story server {}", command.to_string_lossy()),
            Reach::Http { url, .. } => format!("the Story server {url}"),
        }
    }

    /// A text of the server without the token, should it repeat it, and not longer than a message is.
    pub(super) fn clean(&self, text: &str) -> String {
        const CHARS_MAX: usize = 400;
        let text = match &self.reach {
            Reach::Http { token: Some(token), .. } => text.replace(token.as_str(), "…"),
            Reach::Http { .. } | Reach::Stdio { .. } => text.to_owned(),
        };
        let shown = text.chars().filter(|c| !c.is_control());
        shown.take(CHARS_MAX).collect()
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Debug for StoryConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("StoryConfig");
        match &self.reach {
            Reach::Stdio { command, args } => {
                debug.field("command", command).field("args", &format_args!("{} hidden", args.len()))
            }
            Reach::Http { url, token } => debug.field("url", &url.as_str()).field("bearer", &token.is_some()),
        };
        debug.field("call_timeout", &self.call_timeout).finish()
    }
}
