//! The end of a certificate.

use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Tags of DER.
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Returns the end of the first certificate in a PEM file, which is that of the server.
pub(super) fn end_of(file: &Path) -> Result<DateTime<Utc>, String> {
    let certificate = CertificateDer::from_pem_file(file).map_err(|error| error.to_string())?;
    not_after(&certificate).ok_or_else(|| "its end cannot be read: it is no X.509 certificate".to_owned())
}

/// Reads `notAfter` of an X.509 certificate (RFC 5280, section 4.1).
fn not_after(der: &[u8]) -> Option<DateTime<Utc>> {
    let (_, certificate, _) = element(der)?;
    let (_, mut fields, _) = element(certificate)?;
    if *fields.first()? == EXPLICIT_VERSION {
        fields = element(fields)?.2;
    }
    // The serial number, the signature and the issuer.
    for _ in 0..3 {
        fields = element(fields)?.2;
    }
    let (_, validity, _) = element(fields)?;
    let (tag, end, _) = element(element(validity)?.2)?;
    let end = std::str::from_utf8(end).ok()?;
    let end = match tag {
        // Years of two digits, from 1950 to 2049.
        UTC_TIME if end.get(..2)? < "50" => format!("20{end}"),
        UTC_TIME => format!("19{end}"),
        GENERALIZED_TIME => end.to_owned(),
        _ => return None,
    };
    NaiveDateTime::parse_from_str(&end, "%Y%m%d%H%M%SZ").ok().map(|end| end.and_utc())
}

/// Splits DER into the tag and the content of its first element, and the rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(end: (i32, u8, u8)) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        params.not_after = rcgen::date_time_ymd(end.0, end.1, end.2);
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn end_is_read_from_both_forms_of_time() {
        for (end, text) in [((2049, 12, 31), "2049-12-31"), ((2050, 1, 1), "2050-01-01")] {
            let read = not_after(&certificate(end)).map(|end| end.date_naive().to_string());
            assert_eq!(read.as_deref(), Some(text));
        }
    }

    #[test]
    fn cut_certificate_has_no_end() {
        let whole = certificate((2049, 12, 31));
        let fields = whole.len() - 1;
        for length in 0..fields.min(200) {
            assert_eq!(not_after(&whole[..length]), None, "{length} bytes");
        }
    }
}
