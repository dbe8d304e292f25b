//! Values that say in their own words what they must be.

use std::fmt;
use std::ops::RangeInclusive;

use distribution_core::{Error, KeyTemplate};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};

use super::document::Places;

/// A whole number, of which the range is known where it is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole(i64);

impl Whole {
    /// The number, if it is in the range.
    pub(super) fn within(self, range: RangeInclusive<u32>, at: &str, places: &Places) -> Result<u32, Error> {
        u32::try_from(self.0).ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let message = format!("must be {} to {}, not {}", range.start(), range.end(), self.0);
            places.invalid(at, message)
        })
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Wanted;
        impl Visitor<'_> for Wanted {
            type Value = Whole;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }
            fn visit_i64<E>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(number))
            }
        }
        deserializer.deserialize_i64(Wanted)
    }
}

/// A key template.
#[derive(Clone, Debug)]
pub(super) struct Template(pub(super) KeyTemplate);

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        KeyTemplate::parse(&text).map(Self).map_err(|error| D::Error::custom(error.message()))
    }
}
