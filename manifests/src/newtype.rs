//! The one way in which text becomes a value of ours: checked once, then trusted by its type.

/// Declares a newtype over `String` whose values have passed `$check`, a function from `&str` to
/// `Result<(), (&'static str, &'static str)>`: the problem and the hint.
macro_rules! checked_text {
    ($(#[$meta:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(alloc::string::String);

        impl $name {
            /// Checks `text` and makes it a value of this type.
            ///
            /// # Errors
            /// [`Malformed`](crate::finding::Malformed) when the text does not have the form that the type documents.
            pub fn parse(text: &str) -> Result<Self, crate::finding::Malformed> {
                $check(text).map_err(|(problem, hint)| crate::finding::Malformed {
                    what: $what,
                    value: text.into(),
                    problem,
                    hint,
                })?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = alloc::string::String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use checked_text;
