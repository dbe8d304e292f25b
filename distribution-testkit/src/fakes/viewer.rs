//! A viewer of links that a test has made.

use std::collections::BTreeMap;

use async_trait::async_trait;
use distribution_core::{Error, ErrorKind, Link, ObjectKey, Storage, Timestamp, Viewer};

use crate::fakes::TestSigner;
use crate::world::{MemoryObject, World};

/// Lets in by the links of [`TestSigner`], at the world's time, and by those below the bases that are public.
#[derive(Clone, Debug)]
pub struct TestViewer {
    world: World,
    public: Vec<String>,
}

impl TestViewer {
    /// A viewer in this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone(), public: Vec::new() }
    }

    /// The same, where everybody can read what is below `base`.
    #[must_use]
    pub fn public(mut self, base: impl Into<String>) -> Self {
        self.public.push(base.into());
        self
    }

    /// What is at this key of any target.
    fn object(&self, key: &str) -> Option<MemoryObject> {
        self.world.objects().into_iter().find_map(|((_, at), object)| (at == key).then_some(object))
    }
}

#[async_trait]
impl Viewer for TestViewer {
    async fn watch(&self, link: &Link, storage: &dyn Storage, key: &ObjectKey) -> Result<(), Error> {
        let is_right = match TestSigner::open(link, self.world.now()) {
            Some(opened) => opened == *key,
            None => self.is_let_in(link).await? && link.expose().ends_with(key.as_str()),
        };
        if is_right && storage.stat(key).await?.is_some() {
            return match self.object(key.as_str()) {
                Some(object) if object.headers.content_type != "video/mp4" => Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("the link to {key} has another type: look who sets it"),
                )),
                _ => Ok(()),
            };
        }
        Err(Error::new(ErrorKind::Unsupported, format!("the link to {key} does not work: look at its base")))
    }

    async fn is_let_in(&self, link: &Link) -> Result<bool, Error> {
        let is_public = self.public.iter().any(|base| link.expose().starts_with(base));
        Ok(is_public || TestSigner::open(link, self.world.now()).is_some())
    }

    async fn metadata(&self, link: &Link) -> Result<Option<BTreeMap<String, String>>, Error> {
        let below = self.public.iter().find_map(|base| link.expose().strip_prefix(base.as_str()));
        let key = match TestSigner::open(link, self.world.now()) {
            Some(key) => key.to_string(),
            None => below.unwrap_or_default().trim_start_matches('/').to_owned(),
        };
        let object =
            self.object(&key).ok_or_else(|| Error::unavailable("the link leads to no file: look at its base"))?;
        Ok(Some(object.headers.user_metadata))
    }

    async fn wait_until(&self, at: Timestamp) {
        self.world.advance((at - self.world.now()).to_std().unwrap_or_default());
    }
}
