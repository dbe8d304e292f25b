//! Each `video_url` to the source of its scheme.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, ErrorKind, Source, Staged, VideoUrl};

use super::{FIELD, has_scheme, is_scheme};

/// Several sources as one: each `video_url` goes to the source of its scheme, and one whose scheme has
/// none is refused before anything is touched.
///
/// A scheme may have more than one source, such as two buckets: the first whose `check` takes the URL has it.
///
/// ```
/// use std::sync::Arc;
///
/// use distribution_backends::{LocalFiles, Sources};
/// use distribution_core::{Source, VideoUrl};
///
/// let staging = tempfile::tempdir()?;
/// let files = Arc::new(LocalFiles::open(staging.path())?);
/// let sources = Sources::new().paths(files.clone()).scheme("file", files)?;
///
/// assert!(sources.check(&VideoUrl::parse("edits/clip.mp4")?).is_ok());
/// let error = sources.check(&VideoUrl::parse("https://host.example/clip.mp4")?).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "final_edit.video_url: nothing is staged at https: here, only at plain paths and file://"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Sources(Vec<(Scheme, Arc<dyn Source>)>);

/// A URL's scheme in lower case, or `None` for a path.
type Scheme = Option<String>;

impl Sources {
    /// No source yet: every URL is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// For a `video_url` without a scheme, such as `edits/clip.mp4`.
    pub fn paths(mut self, source: Arc<dyn Source>) -> Self {
        self.0.push((None, source));
        self
    }

    /// For a `video_url` that begins with `scheme` and `://`, in upper or lower case.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) for what is no scheme (RFC 3986 §3.1), such as `https://`.
    pub fn scheme(mut self, scheme: &str, source: Arc<dyn Source>) -> Result<Self, Error> {
        if !is_scheme(scheme) {
            let message = format!("{scheme:?} is no scheme: write it like `https`, without `://`");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        self.0.push((Some(scheme.to_ascii_lowercase()), source));
        Ok(self)
    }

    /// The source for the URL, by its text alone.
    fn of(&self, url: &VideoUrl) -> Result<&Arc<dyn Source>, Error> {
        let scheme = url.scheme().map(str::to_ascii_lowercase);
        if scheme.is_none() && has_scheme(url.expose()) {
            return Err(self.unmapped("a scheme without `://`"));
        }
        let mut refusal = None;
        for (_, source) in self.0.iter().filter(|(of, _)| *of == scheme) {
            match source.check(url) {
                Ok(()) => return Ok(source),
                Err(error) => refusal = Some(and(refusal, error)),
            }
        }
        Err(refusal.unwrap_or_else(|| match &scheme {
            Some(scheme) => self.unmapped(&format!("{}:", scheme.chars().take(24).collect::<String>())),
            None => self.unmapped("a plain path"),
        }))
    }

    fn unmapped(&self, what: &str) -> Error {
        let mut mapped: Vec<String> = self.0.iter().map(|(scheme, _)| shown(scheme)).collect();
        mapped.dedup();
        let only =
            if mapped.is_empty() { "nor anywhere else".to_owned() } else { format!("only at {}", and_list(&mapped)) };
        Error::invalid(FIELD, format!("nothing is staged at {what} here, {only}"))
    }
}

#[async_trait]
impl Source for Sources {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        self.of(url).map(|_| ())
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        self.of(url)?.open(url).await
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(scheme, _)| shown(scheme))).finish()
    }
}

/// What all sources of a scheme say that refuse.
fn and(before: Option<Error>, error: Error) -> Error {
    match before {
        Some(before) => Error::invalid(FIELD, format!("{}; or {}", before.message(), error.message())),
        None => error,
    }
}

fn shown(scheme: &Scheme) -> String {
    scheme.as_ref().map_or_else(|| "plain paths".to_owned(), |scheme| format!("{scheme}://"))
}

fn and_list(names: &[String]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        names => names.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what holds its word, and counts what it is asked to open.
    struct Fake(&'static str);

    #[async_trait]
    impl Source for Fake {
        fn check(&self, url: &VideoUrl) -> Result<(), Error> {
            let holds = url.expose().contains(self.0);
            if holds { Ok(()) } else { Err(Error::invalid(FIELD, format!("holds no {}", self.0))) }
        }

        async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
            self.check(url)?;
            Err(Error::unavailable(self.0))
        }
    }

    fn sources() -> Sources {
        let with = |sources: Sources, scheme, word| sources.scheme(scheme, Arc::new(Fake(word))).unwrap();
        let sources = with(Sources::new().paths(Arc::new(Fake("edits"))), "s3", "first");
        with(with(sources, "S3", "second"), "https", "host")
    }

    fn opened(url: &str) -> String {
        let url = VideoUrl::parse(url).unwrap();
        let error = futures::executor::block_on(sources().open(&url)).map(|_| ()).unwrap_err();
        assert_eq!(sources().check(&url).is_ok(), error.kind() == ErrorKind::Unavailable);
        error.message().to_owned()
    }

    #[test]
    fn each_url_goes_to_the_source_of_its_scheme_that_takes_it() {
        assert_eq!(opened("edits/clip.mp4"), "edits");
        assert_eq!(opened("s3://first/clip.mp4"), "first");
        assert_eq!(opened("s3://second/clip.mp4"), "second");
        assert_eq!(opened("HTTPS://host/clip.mp4"), "host");
        assert_eq!(opened("s3://third/clip.mp4"), "holds no first; or holds no second");
        assert_eq!(opened("/abs/clip.mp4"), "holds no edits");
    }

    #[test]
    fn what_is_not_mapped_is_refused_and_the_mapped_are_named() {
        let mapped = "here, only at plain paths, s3:// and https://";
        assert_eq!(opened("gopher://host/first"), format!("nothing is staged at gopher: {mapped}"));
        assert_eq!(opened("http://host/clip.mp4"), format!("nothing is staged at http: {mapped}"));
        for url in ["http:host", "data:edits", "s3:first", "https:/host", "localhost:80/edits", "c:\\edits"] {
            assert_eq!(opened(url), format!("nothing is staged at a scheme without `://` {mapped}"), "{url}");
        }
        let none = Sources::new().check(&VideoUrl::parse("clip.mp4").unwrap()).unwrap_err();
        assert_eq!(none.message(), "nothing is staged at a plain path here, nor anywhere else");
    }

    #[test]
    fn a_scheme_is_written_without_what_follows_it() {
        for wrong in ["", "https://", "s3:", "3s", "a b"] {
            assert_eq!(Sources::new().scheme(wrong, Arc::new(Fake(""))).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
