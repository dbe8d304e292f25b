//! The file that is to be published, and the request for it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use distribution_core::{
    AssetMetadata, Checksum, ConceptId, Digester, DistributionSettings, DurationSeconds, Error, FinalEdit, Progress,
    PublishRequest, QcReport, REQUEST_BYTES_MAX, StoragePrefix, VideoUrl,
};
use indicatif::ProgressBar;
use mp4_atom::{FourCC, Header, Mvhd, ReadAtom, ReadFrom};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::Options;
use crate::bar::Bar;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/staging/clip.mp4");
/// What a path in a `file:` URL holds unescaped (RFC 3986 §2.3), and `/`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What is to be published, and the folder it is staged in.
pub(crate) struct Staged {
    pub(crate) folder: PathBuf,
    file: Option<PathBuf>,
}

impl Staged {
    pub(crate) fn find(options: &Options) -> Result<Self, Error> {
        let folder = match &options.staging {
            Some(folder) => Some(fs::canonicalize(folder).map_err(|error| unreadable("--staging", folder, &error))?),
            None => None,
        };
        if options.request.is_some() {
            return Ok(Self { folder: folder.unwrap_or_else(|| PathBuf::from(".")), file: None });
        }
        let file = match (&options.file, &folder) {
            (Some(file), Some(folder)) if folder.join(file).exists() => folder.join(file),
            (Some(file), _) => file.clone(),
            (None, _) => PathBuf::from(SAMPLE),
        };
        let file = fs::canonicalize(&file).map_err(|error| unreadable("FILE", &file, &error))?;
        if !file.is_file() {
            return Err(Error::invalid("FILE", format!("{} is no regular file", file.display())));
        }
        let folder = folder.or_else(|| file.parent().map(Path::to_owned)).unwrap_or_default();
        if !file.starts_with(&folder) {
            let message = format!("{} is not inside of the staging folder {}", file.display(), folder.display());
            return Err(Error::invalid("FILE", message));
        }
        Ok(Self { folder, file: Some(file) })
    }

    /// The request, from --request or as an upstream editor would make it.
    pub(crate) fn request(&self, options: &Options) -> Result<PublishRequest, Error> {
        let Some(file) = &self.file else {
            return PublishRequest::from_json(&read(options.request.as_deref().unwrap_or(Path::new("-")))?);
        };
        let concept_id = options.concept_id.clone().map(ConceptId::parse).transpose();
        let storage_prefix = options.prefix.clone().map(StoragePrefix::parse).transpose();
        let settings = DistributionSettings {
            storage_prefix: storage_prefix.map_err(|error| error.at("--prefix"))?,
            url_expiry_hours: options.expiry_hours,
            metadata: AssetMetadata {
                title: options.title.clone(),
                concept_id: concept_id.map_err(|error| error.at("--concept-id"))?,
                tags: options.tag.clone(),
                ..AssetMetadata::default()
            },
            ..DistributionSettings::default()
        };
        let duration = options.duration.map_or_else(|| playing_time(file), Ok)?;
        let url = format!("file://{}", percent_encode(file.as_os_str().as_bytes(), ESCAPED));
        Ok(PublishRequest {
            final_edit: FinalEdit {
                video_url: VideoUrl::parse(url).map_err(|error| error.at("FILE"))?,
                duration_seconds: DurationSeconds::new(duration).map_err(|error| error.at("--duration"))?,
                checksum: checksum(file)?,
            },
            qc_report: QcReport { status: options.qc_status.clone().into(), ..QcReport::default() },
            distribution_settings: settings,
            idempotency_key: None,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let (mut json, limit) = (Vec::new(), REQUEST_BYTES_MAX as u64 + 1);
    let read = match path.to_str() {
        Some("-") => io::stdin().take(limit).read_to_end(&mut json),
        _ => File::open(path).and_then(|file| file.take(limit).read_to_end(&mut json)),
    };
    read.map_err(|error| unreadable("--request", path, &error))?;
    Ok(json)
}

fn checksum(path: &Path) -> Result<Checksum, Error> {
    let mut file = File::open(path).map_err(|error| unreadable("FILE", path, &error))?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    let bar = Bar(ProgressBar::new(size));
    bar.0.set_style(Bar::style());
    bar.0.set_message("hashing");
    let (mut digester, mut buffer) = (Digester::default(), vec![0; 1 << 18]);
    loop {
        match file.read(&mut buffer).map_err(|error| unreadable("FILE", path, &error))? {
            0 => break,
            n => {
                digester.update(buffer.get(..n).unwrap_or_default());
                bar.advance(n as u64);
            }
        }
    }
    bar.0.finish_and_clear();
    Ok(digester.finish().checksum)
}

/// The playing time that the file's movie header tells (ISO/IEC 14496-12 §8.2.2).
fn playing_time(path: &Path) -> Result<f64, Error> {
    let mut file = File::open(path).map_err(|error| unreadable("FILE", path, &error))?;
    let mut movie_header = || -> Option<Mvhd> {
        loop {
            let header = Header::read_from(&mut file).ok()?;
            if header.kind == FourCC::new(b"mvhd") {
                return Mvhd::read_atom(&header, &mut file).ok();
            }
            if header.kind != FourCC::new(b"moov") {
                file.seek(SeekFrom::Current(i64::try_from(header.size?).ok()?)).ok()?;
            }
        }
    };
    movie_header().filter(|header| header.timescale > 0).map_or_else(
        || {
            Err(Error::invalid(
                "FILE",
                format!("{} does not tell its playing time: is it an MP4? If so, give --duration", path.display()),
            ))
        },
        |header| Ok(header.duration as f64 / f64::from(header.timescale)),
    )
}

fn unreadable(field: &str, path: &Path, error: &io::Error) -> Error {
    Error::invalid(field, format!("cannot read {}: {error}", path.display()))
}
