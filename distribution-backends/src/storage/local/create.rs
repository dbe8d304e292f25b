//! Publishing on a disk: a proven copy under a hidden name, then one link to the final one.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use distribution_core::{
    CreateOutcome, Digest, Error, ErrorKind, Meter, ObjectKey, Proof, SourcePin, Unfit, Verification,
};
use rustix::fs::fsync;

use super::copy::{Copy, is_cloned, reserve};
use super::hashing::hash_file;
use super::stage::Stage;
use super::{failed, folder, refused};
use crate::blocking::Cancel;
use crate::confined::{Root, has_file, open_file, way_out};
use crate::durable::sync_dir;
use crate::pin::{may_be, pin_of};

/// An object to be stored.
pub(super) struct Creation {
    pub(super) key: ObjectKey,
    /// What its bytes must be.
    pub(super) wanted: Digest,
    pub(super) meter: Meter,
}

/// Where its bytes come from.
pub(super) enum Origin<R> {
    File { file: File, pin: SourcePin },
    Stream(R),
}

impl Creation {
    pub(super) fn run(&self, root: &Root, origin: Origin<impl Read>, cancel: &Cancel) -> Result<CreateOutcome, Error> {
        root.check()?;
        let refused = |refusal| refused("store", &self.key, refusal);
        let dir = root.make_dir(folder(&self.key)).map_err(refused)?;
        let name = self.key.file_name();
        if let Some(file) = open_file(&dir, name.as_bytes()).map_err(refused)? {
            // Whoever stored it may not have come as far as this, or may have used other means.
            fsync(&file).and_then(|()| sync_dir(&dir)).map_err(|errno| self.failed(errno.into()))?;
            return Ok(CreateOutcome::AlreadyExists);
        }
        let stage = Stage::create(&dir).map_err(|error| self.failed(error))?;
        let unfit = match origin {
            Origin::File { file, pin } => self.fill_from_file(&stage.file, &file, &pin, cancel)?,
            Origin::Stream(stream) => self.fill_from_stream(&stage.file, stream, cancel)?,
        };
        if let Some(unfit) = unfit {
            return Ok(CreateOutcome::Unfit(unfit));
        }
        cancel.check()?;
        if stage.publish(name).map_err(|error| self.unlinked(error))? {
            let proof = Proof { digest: self.wanted, how: Verification::ReadBack };
            return Ok(CreateOutcome::Created { proof: Some(proof) });
        }
        // What is there now had better be an object.
        has_file(&dir, name.as_bytes()).map_err(refused)?;
        Ok(CreateOutcome::AlreadyExists)
    }

    fn fill_from_file(
        &self,
        stage: &File,
        source: &File,
        pin: &SourcePin,
        cancel: &Cancel,
    ) -> Result<Option<Unfit>, Error> {
        let before = pin_of(source).map_err(unreadable)?;
        if before.size != self.wanted.size {
            return Ok(Some(Unfit::Changed));
        }
        let copied = if is_cloned(stage, source) {
            Some(hash_file(stage, &self.meter, cancel, &|error| self.failed(error))?)
        } else {
            self.copy(stage, |buffer, at| source.read_at(buffer, at), cancel)?
        };
        if copied == Some(self.wanted) {
            return Ok(None);
        }
        let is_steady = || {
            let now = pin_of(source).map_err(unreadable)?;
            Ok::<bool, Error>(now == before && may_be(pin, &now))
        };
        if !is_steady()? {
            return Ok(Some(Unfit::Changed));
        }
        let found = hash_file(source, &Meter::default(), cancel, &unreadable)?;
        match is_steady()? {
            false => Ok(Some(Unfit::Changed)),
            true if found == self.wanted => Err(self.corrupt()),
            true => Ok(Some(Unfit::OtherBytes { found })),
        }
    }

    fn fill_from_stream(&self, stage: &File, mut stream: impl Read, cancel: &Cancel) -> Result<Option<Unfit>, Error> {
        let copied = self.copy(stage, |buffer, _| stream.read(buffer), cancel)?;
        Ok(match copied {
            Some(copied) if copied == self.wanted => None,
            Some(found) => Some(Unfit::OtherBytes { found }),
            // Nobody knows how much more there would be.
            None => Some(Unfit::Changed),
        })
    }

    fn copy(
        &self,
        stage: &File,
        read: impl FnMut(&mut [u8], u64) -> io::Result<usize>,
        cancel: &Cancel,
    ) -> Result<Option<Digest>, Error> {
        reserve(stage, self.wanted.size).map_err(|error| self.failed(error))?;
        let copy = Copy {
            size: self.wanted.size,
            meter: &self.meter,
            cancel,
            unreadable: &unreadable,
            failed: &|error| self.failed(error),
            corrupt: &|| self.corrupt(),
        };
        copy.run(stage, read)
    }

    fn failed(&self, error: io::Error) -> Error {
        failed("store", &self.key, error)
    }

    fn unlinked(&self, error: io::Error) -> Error {
        if error.kind() == io::ErrorKind::Unsupported {
            let message = "the root's file system cannot make hard links: move the root to one that can, such as ext4";
            return Error::new(ErrorKind::Unsupported, format!("cannot store {}: {message}", self.key)).because(error);
        }
        self.failed(error)
    }

    fn corrupt(&self) -> Error {
        let message = "the disk gives other bytes than were written to it: check it before you repeat";
        Error::corrupt(format!("cannot store {}: {message}", self.key))
    }
}

fn unreadable(error: io::Error) -> Error {
    Error::unavailable(format!("cannot read the staged file: {}", way_out(&error))).because(error)
}
