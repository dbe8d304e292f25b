//! Links that a CloudFront distribution checks.

#[cfg(feature = "cloudfront")]
pub(super) use self::built::CloudFrontLinks;
#[cfg(not(feature = "cloudfront"))]
pub(super) use self::lacking::CloudFrontLinks;

#[cfg(feature = "cloudfront")]
mod built {
    use std::path::Path;
    use std::sync::Arc;

    use distribution_core::{Error, UrlSigner};

    use crate::CloudFrontSigner;
    use crate::config::document::Places;
    use crate::config::file::Links;
    use crate::config::secret::Secret;
    use crate::signing::{check_key_pair_id, cloudfront_base_of};

    /// A signer that is not made yet.
    pub(in crate::config) struct CloudFrontLinks {
        base: String,
        key_pair_id: String,
        private_key: Secret,
    }

    impl CloudFrontLinks {
        /// # Errors
        /// `Invalid`, naming the key, for what is missing or cannot be.
        pub(in crate::config) fn of(links: &Links, at: &str, places: &Places) -> Result<Self, Error> {
            let wrong = |key: &str, message: &str| places.invalid(&format!("{at}.{key}"), message);
            let base = links.base_url.as_deref().ok_or_else(|| {
                wrong("base_url", "is missing: what viewers see, such as https://d111111abcdef8.cloudfront.net")
            })?;
            let base = cloudfront_base_of(base).map_err(|message| wrong("base_url", &message))?;
            let key_pair_id = links.key_pair_id.clone().ok_or_else(|| {
                wrong("key_pair_id", "is missing: the public key's id at CloudFront, such as K2JCJMDEHXQW5F")
            })?;
            check_key_pair_id(&key_pair_id).map_err(|message| wrong("key_pair_id", &message))?;
            let private_key = links.private_key.clone().ok_or_else(|| {
                wrong("private_key", "is missing: { env = \"NAME\" } or { file = \"path\" }, the private key in PEM")
            })?;
            Ok(Self { base, key_pair_id, private_key })
        }

        pub(in crate::config) fn base(&self) -> &str {
            &self.base
        }

        /// Makes the signer. Blocks on the disk.
        pub(in crate::config) fn signer(
            &self,
            (at, folder, places): (&str, &Path, &Places),
        ) -> Result<Arc<dyn UrlSigner>, Error> {
            let signer = self
                .private_key
                .read(folder)
                .and_then(|key| CloudFrontSigner::new(&self.base, &self.key_pair_id, &key))
                .map_err(|error| places.locate(&format!("{at}.private_key"), error))?;
            Ok(Arc::new(signer))
        }
    }
}

#[cfg(not(feature = "cloudfront"))]
mod lacking {
    use std::path::Path;
    use std::sync::Arc;

    use distribution_core::{Error, UrlSigner};

    use crate::config::bucket::lacks;
    use crate::config::document::Places;
    use crate::config::file::Links;

    /// There is none.
    pub(in crate::config) enum CloudFrontLinks {}

    impl CloudFrontLinks {
        pub(in crate::config) fn of(_: &Links, at: &str, places: &Places) -> Result<Self, Error> {
            Err(places.locate(&format!("{at}.kind"), lacks("cloudfront")))
        }

        pub(in crate::config) fn base(&self) -> &str {
            match *self {}
        }

        pub(in crate::config) fn signer(&self, _: (&str, &Path, &Places)) -> Result<Arc<dyn UrlSigner>, Error> {
            match *self {}
        }
    }
}
