//! Links, as those see them who fetch and serve them.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

/// What is before the query, and the query's fields. `None` if one stands there twice.
pub(crate) fn parsed(url: &str) -> Option<(&str, BTreeMap<String, String>)> {
    let (place, query) = url.split_once('?')?;
    let mut fields = BTreeMap::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value).decode_utf8().ok()?.into_owned();
        if fields.insert(name.to_owned(), value).is_some() {
            return None;
        }
    }
    Some((place, fields))
}
