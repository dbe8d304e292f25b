//! Which keys a service is asked with.

use std::path::Path;
use std::sync::Arc;

use distribution_core::{Error, ErrorKind};

use super::bucket::Bucket;
use super::document::Places;
use super::fault::all_of;
use super::file::Credentials;
use super::place::Place;

impl Credentials {
    /// # Errors
    /// `Invalid` for keys that are not of this place's kind, or not all that it takes.
    pub(super) fn check(&self, place: &Place, at: &str, places: &Places) -> Result<(), Error> {
        let Place::Bucket(bucket) = place else {
            return Err(places.invalid(at, format!("{} takes no credentials: remove them", place.name())));
        };
        let wanted = bucket.credentials();
        let given = [
            ("access_key_id", self.access_key_id.is_some()),
            ("secret_access_key", self.secret_access_key.is_some()),
            ("key_file", self.key_file.is_some()),
            ("account_key", self.account_key.is_some()),
        ];
        for (key, is_given) in given {
            let fault = match (is_given, wanted.contains(&key)) {
                (true, false) => format!("is of no use for {}, which takes {}", place.name(), all_of(wanted)),
                (false, true) => format!("is missing: {} takes {}", place.name(), all_of(wanted)),
                _ => continue,
            };
            return Err(places.invalid(&format!("{at}.{key}"), fault));
        }
        Ok(())
    }

    /// The bucket, asked with these. Blocks on the disk.
    pub(super) fn give(
        &self,
        bucket: &Arc<dyn Bucket>,
        (at, base, places): (&str, &Path, &Places),
    ) -> Result<Arc<dyn Bucket>, Error> {
        let below_base = Self { key_file: self.key_file.as_ref().map(|path| base.join(path)), ..self.clone() };
        bucket.with(&below_base, &|key, secret| {
            let missing = || Error::new(ErrorKind::Invalid, "is missing");
            let read = secret.ok_or_else(missing).and_then(|secret| secret.read(base));
            read.map_err(|error| places.locate(&format!("{at}.{key}"), error))
        })
    }
}
