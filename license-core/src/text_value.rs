//! Types that are parsed from a text.

/// Implements the conversions from and to text of a type with `parse` and `as_str`.
macro_rules! text_value {
    ($name:ident, $error:ident) => {
        impl std::str::FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::parse(&text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        $crate::text_enum::display_as_str!($name);
    };
}

pub(crate) use text_value;

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    use crate::access::TokenName;
    use crate::command::IdempotencyKey;
    use crate::domain::DomainName;
    use crate::id::{EndpointId, LicenseId, TokenId};
    use crate::license::{ActivationId, CustomerEmail, Fingerprint, Label};

    fn check<T>(text: &str, bad: &str)
    where
        T: FromStr<Err: Debug>
            + for<'a> TryFrom<&'a str, Error: Debug>
            + TryFrom<String, Error: Debug>
            + AsRef<str>
            + Display
            + PartialEq
            + Debug,
    {
        let value: T = text.parse().expect(text);
        assert_eq!(T::try_from(text).expect(text), value);
        assert_eq!(T::try_from(text.to_owned()).expect(text), value);
        assert_eq!((value.as_ref(), value.to_string().as_str()), (text, text));
        assert!(bad.parse::<T>().is_err() && T::try_from(bad).is_err(), "{bad:?}");
    }

    #[test]
    fn text_values_convert_from_and_to_text() {
        check::<LicenseId>("lic_a1", "whe_a1");
        check::<EndpointId>("whe_a1", "lic_a1");
        check::<TokenId>("tok_a1", "a1");
        check::<ActivationId>("act_a1", "a1");
        check::<DomainName>("example.com", "exa mple.com");
        check::<CustomerEmail>("dev@example.com", "dev@");
        check::<Fingerprint>("machine-1", "");
        check::<IdempotencyKey>("order-17", "");
        check::<TokenName>("billing", "");
        check::<Label>("Office", "a\0b");
    }
}
