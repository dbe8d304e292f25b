//! What signs the links of a target.

use std::path::Path;
use std::sync::Arc;

use distribution_core::{BaseUrl, Error, Storage, UrlSigner};

use super::cloudfront::CloudFrontLinks;
use super::document::Places;
use super::fault::all_of;
use super::file::{Beyond, Credentials, Disposed, LinkKind, Links};
use super::place::Place;
use super::secret::Secret;
use crate::{HmacKey, HmacSigner};

/// A signer that is not made yet.
pub(super) enum Signing {
    Hmac {
        base: BaseUrl,
        key: SigningKey,
        accepted: Vec<Secret>,
    },
    Presign {
        disposition: Disposed,
        beyond: Beyond,
        credentials: Option<Credentials>,
    },
    CloudFront(CloudFrontLinks),
    /// Nothing: everybody can read what is below this base.
    Public(BaseUrl),
}

pub(super) enum SigningKey {
    MadeAt(String),
    Given(Secret),
}

impl Signing {
    /// How the links of a target at `place` are signed.
    ///
    /// # Errors
    /// `Invalid`, naming the key, for what the place or the kind cannot have.
    pub(super) fn of(links: Option<&Links>, place: &Place, at: &str, places: &Places) -> Result<Self, Error> {
        let Some(links) = links else {
            if matches!(place, Place::Disk(_)) {
                let message = "is missing: a local disk needs links of `kind = \"hmac\"`, with a `base_url`";
                return Err(places.invalid(at, message));
            }
            return Ok(Self::Presign { disposition: Disposed::Inline, beyond: Beyond::Shorten, credentials: None });
        };
        links.check_kind(at, places)?;
        match links.kind {
            LinkKind::Hmac => links.hmac(at, places),
            LinkKind::Public => links.base(at, places).map(Self::Public),
            LinkKind::Presign if matches!(place, Place::Disk(_)) => {
                let message = "cannot be `presign`: a local disk checks no links, so it takes `hmac`";
                Err(places.invalid(&format!("{at}.kind"), message))
            }
            LinkKind::Presign => links.presign(place, at, places),
            LinkKind::Cloudfront => CloudFrontLinks::of(links, at, places).map(Self::CloudFront),
        }
    }

    /// What all links of the target begin with, where that is told.
    pub(super) fn base(&self) -> Option<&str> {
        match self {
            Self::Hmac { base, .. } | Self::Public(base) => Some(base.as_str()),
            Self::CloudFront(links) => Some(links.base()),
            Self::Presign { .. } => None,
        }
    }
}

impl Links {
    /// That no key of another kind is there.
    fn check_kind(&self, at: &str, places: &Places) -> Result<(), Error> {
        const A_BASE: &[LinkKind] = &[LinkKind::Hmac, LinkKind::Cloudfront, LinkKind::Public];
        const HMAC: &[LinkKind] = &[LinkKind::Hmac];
        const PRESIGN: &[LinkKind] = &[LinkKind::Presign];
        const CLOUDFRONT: &[LinkKind] = &[LinkKind::Cloudfront];
        const SIGNED: &[LinkKind] = &[LinkKind::Hmac, LinkKind::Presign, LinkKind::Cloudfront];
        let given = [
            ("base_url", A_BASE, self.base_url.is_some()),
            ("key_file", HMAC, self.key_file.is_some()),
            ("key", HMAC, self.key.is_some()),
            ("accepted_keys", HMAC, !self.accepted_keys.is_empty()),
            ("revocations", HMAC, self.revocations.is_some()),
            ("disposition", PRESIGN, self.disposition.is_some()),
            ("beyond_credentials", PRESIGN, self.beyond_credentials.is_some()),
            ("credentials", PRESIGN, self.credentials.is_some()),
            ("key_pair_id", CLOUDFRONT, self.key_pair_id.is_some()),
            ("private_key", CLOUDFRONT, self.private_key.is_some()),
            ("authenticated_url", SIGNED, self.authenticated_url.is_some()),
            ("probe", SIGNED, self.probe),
        ];
        let of = |kind: LinkKind| given.iter().filter(move |(_, of, _)| of.contains(&kind)).map(|(key, ..)| *key);
        match given.iter().find(|(_, kinds, is_given)| *is_given && !kinds.contains(&self.kind)) {
            Some((key, ..)) => {
                let (kind, keys): (_, Vec<_>) = (name(self.kind), of(self.kind).collect());
                let message = format!("is of no use with links of kind `{kind}`: those have {}", all_of(&keys));
                Err(places.invalid(&format!("{at}.{key}"), message))
            }
            None => Ok(()),
        }
    }

    fn hmac(&self, at: &str, places: &Places) -> Result<Signing, Error> {
        let at_key = |key: &str| format!("{at}.{key}");
        let base = self.base(at, places)?;
        let key = match (&self.key_file, &self.key) {
            (Some(path), None) if !path.is_empty() => SigningKey::MadeAt(path.clone()),
            (None, Some(secret)) => SigningKey::Given(secret.clone()),
            (Some(_), Some(_)) => {
                return Err(places.invalid(&at_key("key_file"), "is there beside `key`: remove one of them"));
            }
            _ => {
                let message = "is missing: name `key_file`, which is made if absent, or `key`, which hosts share";
                return Err(places.invalid(&at_key("key_file"), message));
            }
        };
        Ok(Signing::Hmac { base, key, accepted: self.accepted_keys.clone() })
    }

    /// What links begin with.
    fn base(&self, at: &str, places: &Places) -> Result<BaseUrl, Error> {
        let at = format!("{at}.base_url");
        let text = self.base_url.as_deref().ok_or_else(|| {
            places.invalid(&at, "is missing: what viewers see in front of the key, such as https://media.example/files")
        })?;
        BaseUrl::parse(text).map_err(|error| places.locate(&at, error))
    }

    /// What links begin with that ask the host who may read.
    pub(super) fn authenticated(&self, at: &str, places: &Places) -> Result<Option<BaseUrl>, Error> {
        let base = self.authenticated_url.as_deref().map(BaseUrl::parse).transpose();
        base.map_err(|error| places.locate(&format!("{at}.authenticated_url"), error))
    }

    /// Where it is kept which links were taken back.
    pub(super) fn revocations(&self, at: &str, base: &Path, places: &Places) -> Result<Option<Place>, Error> {
        let place = self.revocations.as_deref().map(|text| Place::parse(text, base)).transpose();
        place.map_err(|error| places.locate(&format!("{at}.revocations"), error))
    }

    fn presign(&self, place: &Place, at: &str, places: &Places) -> Result<Signing, Error> {
        if let Some(credentials) = &self.credentials {
            credentials.check(place, &format!("{at}.credentials"), places)?;
        }
        Ok(Signing::Presign {
            disposition: self.disposition.unwrap_or_default(),
            beyond: self.beyond_credentials.unwrap_or_default(),
            credentials: self.credentials.clone(),
        })
    }
}

/// Makes the signer of a route. Blocks on the disk.
pub(super) fn hmac_signer(
    base_url: &BaseUrl,
    key: &SigningKey,
    accepted: &[Secret],
    (at, base, places): (&str, &Path, &Places),
) -> Result<HmacSigner, Error> {
    let read = |key: &str, secret: &Secret| {
        let key = format!("{at}.{key}");
        let text = secret.read(base).map_err(|error| places.locate(&key, error))?;
        HmacKey::from_line(&text).map_err(|error| places.locate(&key, error))
    };
    let signing = match key {
        SigningKey::MadeAt(path) => {
            HmacKey::load_or_create(base.join(path)).map_err(|error| places.locate(&format!("{at}.key_file"), error))?
        }
        SigningKey::Given(secret) => read("key", secret)?,
    };
    let mut signer = HmacSigner::new(base_url.as_str(), signing).map_err(|error| places.locate(at, error))?;
    for (n, secret) in accepted.iter().enumerate() {
        let key = format!("accepted_keys[{n}]");
        let accepted = read(&key, secret)?;
        signer = signer.accept(accepted).map_err(|error| places.locate(&format!("{at}.{key}"), error))?;
    }
    Ok(signer)
}

/// That links can be tried in this build.
pub(super) fn check_probe() -> Result<(), Error> {
    #[cfg(feature = "link-probe")]
    return Ok(());
    #[cfg(not(feature = "link-probe"))]
    return Err(super::bucket::lacks("link-probe"));
}

/// The same signer, whose links are tried before they are handed out.
#[cfg(feature = "link-probe")]
pub(super) fn probed(signer: Arc<dyn UrlSigner>, storage: &Arc<dyn Storage>) -> Result<Arc<dyn UrlSigner>, Error> {
    Ok(Arc::new(crate::Probed::new(signer, storage.clone(), crate::LinkProbe::new()?)))
}

#[cfg(not(feature = "link-probe"))]
pub(super) fn probed(_: Arc<dyn UrlSigner>, _: &Arc<dyn Storage>) -> Result<Arc<dyn UrlSigner>, Error> {
    Err(super::bucket::lacks("link-probe"))
}

fn name(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Hmac => "hmac",
        LinkKind::Presign => "presign",
        LinkKind::Cloudfront => "cloudfront",
        LinkKind::Public => "public",
    }
}
