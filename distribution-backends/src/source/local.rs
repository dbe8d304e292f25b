//! Staged files below directories of this machine.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{Body, Error, Ranges, Source, SourcePin, Staged, VideoUrl};
use percent_encoding::percent_decode_str;
use rustix::io::Errno;

use crate::blocking::blocking;
use crate::confined::{Refusal, Root, open_file, way_out};
use crate::pin::pin_of;

use super::{FIELD, has_scheme};

/// Staged files below configured directories; nothing else is reached.
///
/// A `video_url` may be
/// * a path such as `edits/clip.mp4`, below the default root, taken as it is written;
/// * `file:///abs/clip.mp4` or `file://localhost/abs/clip.mp4` (RFC 8089, percent-encoded) below any
///   of the roots;
/// * `/abs/clip.mp4`, the same as it is written.
///
/// Empty, `.` and `..` segments, backslashes and control characters are refused, and symbolic links
/// below a root are never followed. Works within a Tokio runtime.
///
/// ```
/// use distribution_backends::LocalFiles;
/// use distribution_core::{Source, VideoUrl};
///
/// let staging = tempfile::tempdir()?;
/// let source = LocalFiles::open(staging.path())?;
/// assert!(source.check(&VideoUrl::parse("edits/clip.mp4")?).is_ok());
/// assert!(source.check(&VideoUrl::parse("file:///etc/passwd")?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct LocalFiles {
    /// The default root first.
    roots: Vec<Arc<Root>>,
}

impl LocalFiles {
    /// Files below `default_root`.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if it is missing, a symbolic link or no
    /// directory; [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it cannot be opened.
    pub fn open(default_root: impl Into<PathBuf>) -> Result<Self, Error> {
        Self { roots: Vec::new() }.also(default_root)
    }

    /// Files below `root` too, which only absolute paths and URLs reach.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn also(mut self, root: impl Into<PathBuf>) -> Result<Self, Error> {
        self.roots.push(Arc::new(Root::open(&root.into())?));
        Ok(self)
    }

    /// The root that the URL names a file below, and the segments from there.
    fn resolve(&self, url: &VideoUrl) -> Result<(&Arc<Root>, Vec<Segment>), Error> {
        let path = UrlPath::parse(url.expose()).map_err(|why| self.outside(&why))?;
        if !path.is_absolute {
            let root = self.roots.first().ok_or_else(|| self.outside("has no root"))?;
            return Ok((root, path.segments));
        }
        let below = self.roots.iter().filter_map(|root| {
            let above = segments_above(root, &path.segments)?;
            Some((above, root))
        });
        // The innermost of nested roots.
        let (above, root) =
            below.max_by_key(|(above, _)| *above).ok_or_else(|| self.outside("is below no configured root"))?;
        Ok((root, path.segments.into_iter().skip(above).collect()))
    }

    fn outside(&self, why: &str) -> Error {
        let roots: Vec<_> = self.roots.iter().map(|root| root.path.display().to_string()).collect();
        let allowed = format!("a path relative to {}", roots.first().map_or("", String::as_str));
        let message = format!("{why}: allowed are {allowed}, and file:/// URLs below {}", roots.join(", "));
        Error::invalid(FIELD, message)
    }
}

#[async_trait]
impl Source for LocalFiles {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        self.resolve(url).map(|_| ())
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        let (root, segments) = self.resolve(url)?;
        let (root, url) = (Arc::clone(root), url.redacted());
        blocking(move |_| {
            root.check()?;
            find(&root, &segments).map_err(|refusal| refused(&url, refusal))
        })
        .await
    }
}

impl fmt::Debug for LocalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.roots.iter().map(|root| &root.path)).finish()
    }
}

type Segment = Vec<u8>;

/// The path that a URL names.
struct UrlPath {
    is_absolute: bool,
    segments: Vec<Segment>,
}

impl UrlPath {
    fn parse(text: &str) -> Result<Self, Cow<'static, str>> {
        let (path, is_url) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => (path_of_file_url(rest)?, true),
            Some(_) => return Err("has another scheme than `file`".into()),
            None if has_scheme(text) => return Err("has a scheme without `://`".into()),
            None => (text, false),
        };
        let relative = path.strip_prefix('/');
        let segments =
            relative.unwrap_or(path).split('/').map(|text| segment(text, is_url)).collect::<Result<_, _>>()?;
        Ok(Self { is_absolute: relative.is_some(), segments })
    }
}

/// What follows the host in a `file:` URL (RFC 8089 §2).
fn path_of_file_url(rest: &str) -> Result<&str, &'static str> {
    let (host, path) = rest.find('/').map(|slash| rest.split_at(slash)).ok_or("names no absolute path")?;
    if !host.is_empty() && !host.eq_ignore_ascii_case("localhost") {
        return Err("names a host: write file:/// and the path");
    }
    if path.contains(['?', '#']) {
        return Err("holds `?` or `#`: write %3F or %23");
    }
    Ok(path)
}

fn segment(text: &str, is_url: bool) -> Result<Segment, Cow<'static, str>> {
    let segment: Segment = if is_url { decoded(text)? } else { text.into() };
    let wrong = match segment.as_slice() {
        b"" => "an empty segment (a doubled or trailing slash)",
        b"." | b".." => "a `.` or `..` segment",
        bytes if bytes.contains(&b'/') => "an escaped slash",
        bytes if bytes.contains(&b'\\') => "a backslash",
        bytes if bytes.iter().any(u8::is_ascii_control) => "a control character",
        _ => return Ok(segment),
    };
    Err(format!("holds {wrong}").into())
}

fn decoded(text: &str) -> Result<Segment, &'static str> {
    let escapes = text.split('%').skip(1);
    let is_escape = |rest: &str| rest.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if escapes.into_iter().all(is_escape) {
        return Ok(percent_decode_str(text).collect());
    }
    Err("holds a `%` that is no escape: write %25")
}

/// How many segments of a path name the root that it is below, whichever way that is written.
fn segments_above(root: &Root, segments: &[Segment]) -> Option<usize> {
    [&root.path, &root.given].into_iter().find_map(|path| {
        let above: Vec<&[u8]> = names(path)?;
        let is_below = segments.len() > above.len() && above.iter().zip(segments).all(|(a, b)| a == b);
        is_below.then_some(above.len())
    })
}

fn names(path: &Path) -> Option<Vec<&[u8]>> {
    let name = |component| match component {
        Component::Normal(name) => Some(name.as_bytes()),
        _ => None,
    };
    path.components().skip(1).map(name).collect()
}

fn find(root: &Root, segments: &[Segment]) -> Result<Option<Staged>, Refusal> {
    let Some((name, folder)) = segments.split_last() else {
        return Ok(None);
    };
    let Some(dir) = root.dir(folder.iter().map(Vec::as_slice))? else {
        return Ok(None);
    };
    let Some(file) = open_file(&dir, name)? else {
        return Ok(None);
    };
    let pin = pin_of(&file).map_err(Refusal::Io)?;
    let ranges = FileRanges(Arc::new((file.try_clone().map_err(Refusal::Io)?, pin.clone())));
    Ok(Some(Staged { pin: pin.clone(), body: Body::File { file, pin }, ranges: Some(Box::new(ranges)) }))
}

/// Parts of an open file, and the state that it had when it was opened.
struct FileRanges(Arc<(File, SourcePin)>);

#[async_trait]
impl Ranges for FileRanges {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let this = Arc::clone(&self.0);
        blocking(move |_| {
            let (file, pin) = &*this;
            let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
            let mut bytes = vec![0; len];
            let read = file.read_exact_at(&mut bytes, range.start).and_then(|()| pin_of(file));
            match read {
                Ok(now) if now == *pin => Ok(bytes.into()),
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
                    Err(Error::unavailable(format!("cannot read the staged file: {}", way_out(&error))).because(error))
                }
                Ok(_) | Err(_) => Err(Error::unavailable("the staged file changed while it was read: repeat")),
            }
        })
        .await
    }
}

fn refused(url: &VideoUrl, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Irregular { name, kind } => {
            let message = format!("{name:?} is {}: name a regular file below directories", kind.as_str());
            Error::invalid(FIELD, message)
        }
        Refusal::Io(error) if Errno::from_io_error(&error) == Some(Errno::NAMETOOLONG) => {
            Error::invalid(FIELD, way_out(&error)).because(error)
        }
        Refusal::Io(error) => unavailable(url, error),
    }
}

fn unavailable(url: &VideoUrl, error: io::Error) -> Error {
    Error::unavailable(format!("cannot open {url}: {}", way_out(&error))).because(error)
}
