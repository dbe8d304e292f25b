//! Listing keys in byte order, whatever the service's order is.

use std::collections::BTreeSet;

use distribution_core::{Error, ObjectKey};
use futures::TryStreamExt as _;
use opendal::options::ListOptions;

use super::OpendalStorage;
use super::fault::failed;

/// How many keys are asked for at a time.
const PAGE_MAX: usize = 1_000;
/// Services whose names are no paths: a list may begin anywhere in a name.
const FLAT: [&str; 9] = ["azblob", "b2", "cos", "gcs", "memory", "obs", "oss", "s3", "tos"];
/// Services that list in byte order. Azure does not where an account has folders.
const ORDERED: [&str; 3] = ["gcs", "memory", "s3"];

impl OpendalStorage {
    pub(super) async fn list_objects(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectKey>, Error> {
        if limit == 0 || !may_begin_a_key(prefix) {
            return Ok(Vec::new());
        }
        let folder = prefix.rfind('/').map_or("", |at| prefix.split_at(at + 1).0);
        let path = if FLAT.contains(&self.scheme) { prefix } else { folder };
        let start_after = after.filter(|_| self.can.list_with_start_after).map(ToString::to_string);
        let page = Some(PAGE_MAX).filter(|_| self.can.list_with_limit);
        let options = ListOptions { recursive: true, limit: page, start_after, ..ListOptions::default() };
        let failed = |error: opendal::Error| failed("list", format_args!("what begins with {prefix:?}"), &error);
        let mut entries = self.reads.lister_options(path, options).await.map_err(failed)?;
        let is_ordered = ORDERED.contains(&self.scheme);
        let mut found = BTreeSet::new();
        while let Some(entry) = entries.try_next().await.map_err(failed)? {
            // Others may keep other things there.
            let Ok(key) = ObjectKey::parse(entry.path()) else { continue };
            let is_asked_for = key.as_str().starts_with(prefix) && after.is_none_or(|after| key > *after);
            if entry.metadata().is_dir() || !is_asked_for {
                continue;
            }
            found.insert(key);
            if found.len() > limit {
                found.pop_last();
            }
            if is_ordered && found.len() == limit {
                break;
            }
        }
        Ok(found.into_iter().collect())
    }
}

fn may_begin_a_key(prefix: &str) -> bool {
    ObjectKey::parse(prefix).is_ok() || ObjectKey::parse(format!("{prefix}k")).is_ok()
}
