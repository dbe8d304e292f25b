//! TOML values as serde reads them, each with its path.

use serde::Deserializer;
use serde::de::value::{StrDeserializer, StringDeserializer};
use serde::de::{DeserializeSeed, Error as _, IntoDeserializer as _, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::fault::{Fault, join};

/// A value, and the path of keys that leads to it.
pub(super) struct Node<'n, 'i> {
    pub(super) path: String,
    pub(super) value: &'n DeValue<'i>,
}

impl<'de> Deserializer<'de> for Node<'_, '_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let read = match self.value {
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => Err(Fault::invalid_value(Unexpected::Other(""), &visitor)),
            },
            DeValue::Float(_) => Err(Fault::invalid_type(Unexpected::Float(0.0), &visitor)),
            DeValue::Datetime(_) => Err(Fault::custom(format_args!("must be {}, not a date", Shown(&visitor)))),
            DeValue::Array(values) => {
                visitor.visit_seq(Elements { path: &self.path, values: values.iter().enumerate() })
            }
            DeValue::Table(table) => visitor.visit_map(Entries { path: &self.path, rest: table.iter(), entry: None }),
        };
        read.map_err(|fault| fault.at(&self.path))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let read = match self.value {
            DeValue::String(text) => {
                let name: StrDeserializer<'_, Fault> = text.as_ref().into_deserializer();
                visitor.visit_enum(name)
            }
            _ => Err(Fault::unknown_variant("", variants)),
        };
        read.map_err(|fault| fault.at(&self.path))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// What a visitor expects, in its own words.
struct Shown<'v, V>(&'v V);

impl<'de, V: Visitor<'de>> std::fmt::Display for Shown<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expecting(f)
    }
}

struct Entries<'n, 'i, I> {
    path: &'n str,
    rest: I,
    entry: Option<(String, &'n Spanned<DeValue<'i>>)>,
}

impl<'de, 'n, 'i: 'n, I> MapAccess<'de> for Entries<'n, 'i, I>
where
    I: Iterator<Item = (&'n Spanned<DeString<'i>>, &'n Spanned<DeValue<'i>>)>,
{
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        let path = join(self.path, key.get_ref());
        let name: StringDeserializer<Fault> = key.get_ref().clone().into_owned().into_deserializer();
        let read = seed.deserialize(name).map_err(|fault| fault.at(&path))?;
        self.entry = Some((path, value));
        Ok(Some(read))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (path, value) = self.entry.take().ok_or_else(|| Fault::custom("a value was read before its key"))?;
        // Whoever converts the value afterwards does not know where it stands.
        seed.deserialize(Node { path: path.clone(), value: value.get_ref() }).map_err(|fault| fault.at(&path))
    }
}

struct Elements<'n, I> {
    path: &'n str,
    values: I,
}

impl<'de, 'n, 'i: 'n, I> SeqAccess<'de> for Elements<'n, I>
where
    I: Iterator<Item = (usize, &'n Spanned<DeValue<'i>>)>,
{
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((n, value)) = self.values.next() else { return Ok(None) };
        let path = format!("{}[{n}]", self.path);
        let read = seed.deserialize(Node { path: path.clone(), value: value.get_ref() });
        read.map(Some).map_err(|fault| fault.at(&path))
    }
}
