//! Deserializing strings with the `FromStr` of their type.

/// Implements `Deserialize` with `FromStr`, so that the rules of a type apply wherever it is read.
macro_rules! deserialize_from_str {
    ($($name:ty),+) => {$(
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <alloc::string::String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

pub(crate) use deserialize_from_str;
