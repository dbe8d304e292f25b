//! Key templates: a key within the alphabet, the same each time, or `Invalid`.

use distribution_core::{Checksum, ConceptId, ErrorKind, KeyParts, KeyTemplate, ObjectKey, StoragePrefix};

use super::take::Take;

/// Renders a template with parts, all from the bytes.
pub fn run(bytes: &[u8]) {
    let mut take = Take(bytes);
    let [template, stem, title, concept_id, prefix] = std::array::from_fn(|_| take.text());
    let template = match KeyTemplate::parse(&template) {
        Ok(template) => template,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Invalid),
    };
    let prefix = StoragePrefix::parse(prefix).unwrap_or_default();
    let concept_id = ConceptId::parse(concept_id).ok();
    let render = |checksum: &Checksum| {
        let (prefix, concept_id) = (&prefix, concept_id.as_ref());
        template.render(KeyParts { prefix, stem: &stem, checksum, concept_id, title: Some(&title) })
    };
    let (one, other) = (Checksum::of(b"one"), Checksum::of(b"other"));
    match (render(&one), render(&other)) {
        (Ok(key), Ok(other)) => {
            assert_eq!(render(&one).expect("as before"), key);
            assert_eq!(ObjectKey::parse(key.as_str()).expect("a key"), key);
            assert!(key.as_str().len() + 6 <= ObjectKey::BYTES_MAX, "room for later attempts");
            assert!(key.segments().all(|segment| !segment.is_empty() && !segment.starts_with('.')));
            assert!(key != other || !template.tells_bytes_apart(), "{key} for different bytes");
        }
        (Err(error), _) | (_, Err(error)) => assert_eq!(error.kind(), ErrorKind::Invalid),
    }
}
